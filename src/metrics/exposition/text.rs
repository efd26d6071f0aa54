//! Prometheus' text format 0.0.4.

use super::numbers::{push_bound, push_number};
use super::{FamilySnapshot, HistogramValue, Value};
use crate::metrics::names::escape_help;

/// Every family and series, each line ended by a line feed.
pub(super) fn encode(families: &[FamilySnapshot<'_>]) -> String {
    let series: usize = families.iter().map(|family| family.series.len()).sum();
    let mut out = String::with_capacity(1024 + 128 * series);
    for family in families {
        header(&mut out, family);
        for series in &family.series {
            match &series.value {
                Value::Number(value, _) => sample(&mut out, &family.name, "", &series.labels, None, *value),
                Value::Histogram(value) => histogram(&mut out, &family.name, &series.labels, value),
            }
        }
    }
    out
}

fn histogram(out: &mut String, name: &str, labels: &str, value: &HistogramValue<'_>) {
    let bounds = value.bounds.iter().copied().chain([f64::INFINITY]);
    for (bound, count) in bounds.zip(&value.cumulative) {
        sample(out, name, "_bucket", labels, Some(bound), *count as f64);
    }
    let count = value.cumulative.last().copied().unwrap_or_default();
    sample(out, name, "_sum", labels, None, value.sum);
    sample(out, name, "_count", labels, None, count as f64);
}

fn header(out: &mut String, family: &FamilySnapshot<'_>) {
    if !family.help.is_empty() {
        out.push_str("# HELP ");
        out.push_str(&family.name);
        out.push(' ');
        escape_help(&family.help, out);
        out.push('\n');
    }
    for part in ["# TYPE ", &family.name, " ", family.kind.as_str(), "\n"] {
        out.push_str(part);
    }
}

fn sample(out: &mut String, name: &str, ending: &str, labels: &str, bound: Option<f64>, value: f64) {
    push_series(out, name, ending, labels, bound);
    out.push(' ');
    push_number(out, value);
    out.push('\n');
}

/// A sample's name and labels, with a bucket's bound if it is one.
pub(super) fn push_series(out: &mut String, name: &str, ending: &str, labels: &str, bound: Option<f64>) {
    out.push_str(name);
    out.push_str(ending);
    if labels.is_empty() && bound.is_none() {
        return;
    }
    out.push('{');
    out.push_str(labels);
    if let Some(bound) = bound {
        out.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
        push_bound(out, bound);
        out.push('"');
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use crate::metrics::{Format, LabelSet, Registry, Source};

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn encode(registry: &Registry) -> String {
        String::from_utf8(Format::Text.encode(&registry.snapshot().unwrap(), false)).unwrap()
    }

    #[test]
    fn every_type_is_written_as_the_format_says() {
        let registry = Registry::default();
        let requests = registry.counter("requests_total", "All\nof \\ them.", Some(&labels(&["path"]))).unwrap();
        requests.series(LabelSet::Values(&["a\"b\n\\日本"])).unwrap().cell.increment(2.5).unwrap();
        registry.gauge("depth", "", Some(&[])).unwrap().series(LabelSet::Values(&[])).unwrap().cell.set(-3.0);
        let seconds = registry.histogram("seconds", "", Some(&labels(&["p"])), Some(&[0.5, 30.0])).unwrap();
        seconds.series(LabelSet::Values(&["x"])).unwrap().cell.observe(2.0).unwrap();
        let expected = [
            r"# HELP requests_total All\nof \\ them.",
            "# TYPE requests_total counter",
            r#"requests_total{path="a\"b\n\\日本"} 2.5"#,
            "# TYPE depth gauge",
            "depth -3",
            "# TYPE seconds histogram",
            r#"seconds_bucket{p="x",le="0.5"} 0"#,
            r#"seconds_bucket{p="x",le="30.0"} 1"#,
            r#"seconds_bucket{p="x",le="+Inf"} 1"#,
            r#"seconds_sum{p="x"} 2"#,
            r#"seconds_count{p="x"} 1"#,
            "",
        ];
        assert_eq!(encode(&registry), expected.join("\n"));
    }

    #[test]
    fn a_metric_that_nobody_has_used_yet_is_there_at_zero() {
        let registry = Registry::default();
        let open = registry.counter("open_total", "", None).unwrap();
        assert_eq!(encode(&registry), "# TYPE open_total counter\nopen_total 0\n");
        open.series(LabelSet::Partial(&[("a", "1")])).unwrap().cell.increment(1.0).unwrap();
        assert_eq!(encode(&registry), "# TYPE open_total counter\nopen_total{a=\"1\"} 1\n");
    }

    #[test]
    fn label_sets_beyond_the_limit_show_in_a_counter_of_the_registry() {
        let registry = Registry::new(1);
        let family = registry.counter("m", "", Some(&labels(&["a"]))).unwrap();
        for value in ["1", "2", "3"] {
            family.series(LabelSet::Values(&[value])).unwrap();
        }
        assert!(encode(&registry).ends_with("hagane_metrics_overflow_total{metric=\"m\"} 2\n"));
    }
}
