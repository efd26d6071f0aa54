//! One registry of counters, gauges and histograms, and a listener that shows it to Prometheus.
//!
//! Writers touch atomics through handles. Readers (encoders) take no lock at all, so that a scrape can neither
//! wait for the program nor be left holding a lock that a forked child would find locked for ever.

mod append_list;
mod cells;
mod error;
mod family;
mod names;
mod registry;
mod server;
mod text;

pub use cells::{Bounds, Cell, Counter, DEFAULT_BOUNDS, Gauge, Histogram, HistogramSnapshot, Kind};
pub use error::MetricError;
pub use family::{DEFAULT_SERIES_LIMIT, Family, LabelSet, OVERFLOW, Series};
pub use registry::{AnyFamily, Registry};
pub use server::{Closing, Server, abandon_inherited, resolve, serve};
pub use text::{CONTENT_TYPE, encode};
