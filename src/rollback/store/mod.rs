//! Where checkpoints are kept: one trait, an in-memory form and SQLite.
