//! One registry of counters, gauges and histograms, and a listener that shows it to Prometheus.
//!
//! Writers touch atomics through handles. Readers (encoders) take no lock at all, so that a scrape can neither
//! wait for the program nor be left holding a lock that a forked child would find locked for ever.

mod append_list;
mod cells;
mod combine;
mod error;
mod exemplars;
mod exporter;
mod exposition;
mod family;
mod histogram;
mod labels;
#[cfg(target_os = "linux")]
mod mmap;
#[cfg(target_os = "linux")]
mod multiprocess;
mod names;
mod native;
#[cfg(target_os = "linux")]
mod process;
mod push;
mod registry;
mod series;
mod server;
mod shelf;
mod snapshot;
mod words;

pub use cells::{Cell, Counter, Gauge, Kind, Layout};
pub use combine::{COMBINATIONS, Combine};
pub use error::MetricError;
pub use exemplars::EXEMPLAR_RUNES;
pub use exporter::{Answer, Exporter, Options, Scrape, Token};
pub use exposition::{Exemplar, FamilySnapshot, Format, HistogramValue, NativeValue, SeriesSnapshot, Source, Value};
pub use family::{DEFAULT_SERIES_LIMIT, Family, OVERFLOW};
pub use histogram::{Bounds, DEFAULT_BOUNDS, Histogram, HistogramSnapshot};
pub use labels::LabelSet;
#[cfg(target_os = "linux")]
pub use multiprocess::Directory;
#[cfg(target_os = "linux")]
pub use process::Process;
pub use push::{RemoteWriteOptions, remote_write_requests};
pub use registry::{AnyFamily, Registry};
pub use series::Series;
pub use server::{Closing, Server, abandon_inherited, load_tls, resolve, serve};
pub use shelf::Shelf;
pub use words::Words;
