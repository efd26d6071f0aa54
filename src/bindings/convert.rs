//! Python values to core values and back.
