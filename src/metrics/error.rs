//! Everything that can be wrong with a metric, said so that the reader knows what to change.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::cells::Kind;
use super::combine::COMBINATIONS;
use super::exemplars::EXEMPLAR_RUNES;

/// A metric that the exposition format does not allow, or a listener that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MetricError {
    /// The name does not follow the exposition format.
    #[error(
        "metric name {name:?} is not allowed: it must match [a-zA-Z_:][a-zA-Z0-9_:]*; \
         write it with letters, digits and underscores"
    )]
    Name {
        /// The name as given.
        name: String,
    },
    /// A counter whose name has nothing before the ending of counters.
    #[error(
        "a counter cannot be called \"_total\": OpenMetrics takes that ending off and nothing is left; \
         put a name before it"
    )]
    NoBaseName,
    /// The label's name does not follow the exposition format, or is reserved.
    #[error("metric {metric}: label name {label:?} is not allowed: {reason}")]
    LabelName {
        /// The metric it was meant for.
        metric: String,
        /// The label's name as given.
        label: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// The labels of a call are not those of the metric.
    #[error("metric {metric} has the labels [{expected}], not [{given}]; {remedy}")]
    Labels {
        /// The metric.
        metric: String,
        /// Its label names.
        expected: String,
        /// What the call gave.
        given: String,
        /// What to change.
        remedy: &'static str,
    },
    /// The name is registered as another type.
    #[error("metric {metric} is already registered as a {existing}, so it cannot be a {wanted}; choose another name")]
    Type {
        /// The metric.
        metric: String,
        /// The type it has.
        existing: Kind,
        /// The type asked for.
        wanted: Kind,
    },
    /// Two metrics would write samples of one name.
    #[error("metric {metric} would write samples named {sample}, which {other} already does; choose another name")]
    SampleName {
        /// The metric asked for.
        metric: String,
        /// The sample name both would use.
        sample: String,
        /// The metric that has it.
        other: String,
    },
    /// The name is registered with other labels.
    #[error(
        "metric {metric} is already registered with the labels [{existing}], not [{wanted}]; \
         use the same labels or another name"
    )]
    OtherLabels {
        /// The metric.
        metric: String,
        /// The labels it has.
        existing: String,
        /// The labels asked for.
        wanted: String,
    },
    /// The histogram is registered with other buckets.
    #[error(
        "histogram {metric} is already registered with the buckets {existing:?}, not {wanted:?}; \
         leave them out or use the same"
    )]
    OtherBuckets {
        /// The metric.
        metric: String,
        /// The upper bounds it has.
        existing: Vec<f64>,
        /// The upper bounds asked for.
        wanted: Vec<f64>,
    },
    /// The gauge is registered with another way to combine the values of several processes.
    #[error(
        "gauge {metric} is already registered as {existing}, not {wanted}; leave multiprocess_mode out or use the same"
    )]
    OtherCombination {
        /// The metric.
        metric: String,
        /// The way it has.
        existing: &'static str,
        /// The way asked for.
        wanted: &'static str,
    },
    /// No such way to combine gauges.
    #[error("multiprocess_mode {given:?} is not known; use one of {}", COMBINATIONS.map(|(name, _)| name).join(", "))]
    Combination {
        /// What was given.
        given: String,
    },
    /// The directory of the processes' files cannot be used.
    #[error("cannot keep metrics of several processes in {}: {source}; {remedy}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What to change.
        remedy: &'static str,
    },
    /// What other processes hold cannot be read, so that no total would be one.
    #[error("cannot read the metrics of the other processes in {}: {source}; {remedy}", path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What to change.
        remedy: &'static str,
    },
    /// A histogram's upper bound is no number, or there is none.
    #[error("histogram {metric}: buckets need at least one finite upper bound and no NaN, not {given:?}")]
    Buckets {
        /// The metric.
        metric: String,
        /// What was given.
        given: Vec<f64>,
    },
    /// A counter was told to go down.
    #[error("a counter can only go up, not by {amount}; use a gauge for a value that goes down")]
    Negative {
        /// The increment.
        amount: f64,
    },
    /// A value that would spoil every later one (NaN or an infinity added to a sum).
    #[error("cannot add {value}: the total would stay {value} for ever; pass a finite number")]
    NotFinite {
        /// The value.
        value: f64,
    },
    /// An exemplar is larger than OpenMetrics allows.
    #[error(
        "metric {metric}: the exemplar's labels have {runes} characters, names and values together; \
         {EXEMPLAR_RUNES} are allowed, so give a trace id and little else"
    )]
    Exemplar {
        /// The metric it was meant for.
        metric: String,
        /// How many it has.
        runes: usize,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot serve metrics over TLS with {}: {reason}; give a certificate chain and its key in PEM files", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The token could never be sent.
    #[error("a bearer token must have at least one character, all of them visible ASCII, because a header carries it")]
    Token,
    /// The listener's address cannot be understood.
    #[error("cannot serve metrics on {host:?}, port {port}: {reason}")]
    Address {
        /// The host as given.
        host: String,
        /// The port as given.
        port: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// The listener cannot be opened.
    #[error("cannot serve metrics on {} port {}: {}", address.ip(), address.port(), bind_remedy(source))]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The listener's thread or its event loop cannot start.
    #[error("cannot start the metrics listener: {source}")]
    Start {
        /// What the system said.
        source: io::Error,
    },
}

fn bind_remedy(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop the program that has it, or pass another port (0 picks a free one)".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            format!("{error}; ports below 1024 need privileges, pass a higher one")
        }
        _ => format!("{error}; pass an address of this machine, such as 127.0.0.1"),
    }
}
