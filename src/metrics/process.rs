//! `process_*`: processor time, memory, descriptors and threads of this process, as the crate `prometheus` reads them.

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{MetricFamily, MetricType};

use super::cells::Kind;
use super::error::MetricError;
use super::exposition::{FamilySnapshot, SeriesSnapshot, Source, Value};

/// The process that answers.
#[derive(Debug, Default)]
pub struct Process;

impl Source for Process {
    /// Reads /proc anew each time, for whichever process this is: a forked child shows its own.
    fn snapshot(&self) -> Result<Vec<FamilySnapshot<'_>>, MetricError> {
        Ok(ProcessCollector::for_self().collect().iter().filter_map(translated).collect())
    }
}

/// None for a type that the collector does not have today.
fn translated(family: &MetricFamily) -> Option<FamilySnapshot<'static>> {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => Kind::Counter,
        MetricType::GAUGE => Kind::Gauge,
        _ => return None,
    };
    let series = family.get_metric().iter().map(|metric| {
        let value =
            if kind == Kind::Counter { metric.get_counter().get_value() } else { metric.get_gauge().get_value() };
        SeriesSnapshot { labels: "".into(), value: Value::Number(value, None), created: None }
    });
    Some(FamilySnapshot {
        name: family.name().to_owned().into(),
        help: family.help().to_owned().into(),
        kind,
        series: series.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::names::reserved_for;

    #[test]
    fn the_process_shows_what_it_uses() {
        let families = Process.snapshot().unwrap();
        for (name, kind) in [
            ("process_cpu_seconds_total", Kind::Counter),
            ("process_open_fds", Kind::Gauge),
            ("process_resident_memory_bytes", Kind::Gauge),
            ("process_start_time_seconds", Kind::Gauge),
            ("process_threads", Kind::Gauge),
        ] {
            let family = families.iter().find(|family| family.name == name).unwrap();
            assert_eq!(family.kind, kind, "{name}");
            let Value::Number(value, _) = family.series[0].value else { panic!("{name} is no number") };
            assert!(value > 0.0 || kind == Kind::Counter, "{name} is {value}");
        }
    }

    #[test]
    fn no_metric_of_a_program_can_take_the_processs_names() {
        for family in Process.snapshot().unwrap() {
            assert_eq!(reserved_for(&family.name), Some("the process itself"), "{}", family.name);
        }
    }
}
