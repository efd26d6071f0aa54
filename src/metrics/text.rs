//! Prometheus' text format 0.0.4.

use std::fmt::Write;

use super::cells::{Cell, Counter, Gauge, Kind};
use super::family::Family;
use super::histogram::Histogram;
use super::names::escape_help;
use super::registry::{AnyFamily, DROPS, Registry};

/// What a response with this text says of itself.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every family and series of the registry, each line ended by a line feed. Takes no lock.
pub fn encode(registry: &Registry) -> String {
    let mut out = String::with_capacity(4096);
    for family in registry.iter() {
        match family {
            AnyFamily::Counter(family) => encode_family(family, &mut out),
            AnyFamily::Gauge(family) => encode_family(family, &mut out),
            AnyFamily::Histogram(family) => encode_family(family, &mut out),
        }
    }
    encode_drops(registry, &mut out);
    out
}

trait Encoded: Cell {
    fn encode(&self, name: &str, labels: &str, out: &mut String);
}

impl Encoded for Counter {
    fn encode(&self, name: &str, labels: &str, out: &mut String) {
        sample(out, name, "", labels, None, self.get());
    }
}

impl Encoded for Gauge {
    fn encode(&self, name: &str, labels: &str, out: &mut String) {
        sample(out, name, "", labels, None, self.get());
    }
}

impl Encoded for Histogram {
    fn encode(&self, name: &str, labels: &str, out: &mut String) {
        let seen = self.snapshot();
        let bounds = self.bounds().as_slice().iter().copied().chain([f64::INFINITY]);
        for (bound, count) in bounds.zip(&seen.cumulative) {
            sample(out, name, "_bucket", labels, Some(bound), *count as f64);
        }
        sample(out, name, "_sum", labels, None, seen.sum);
        sample(out, name, "_count", labels, None, seen.count() as f64);
    }
}

fn encode_family<C: Encoded>(family: &Family<C>, out: &mut String) {
    header(out, family.name(), family.help(), C::KIND);
    let mut series = family.iter().peekable();
    // Nobody has used an open family yet: the unlabelled zero lets `increase()` see its first event.
    if series.peek().is_none() && family.label_names().is_none() {
        C::zero(family.shape()).encode(family.name(), "", out);
    }
    for series in series {
        series.cell.encode(family.name(), series.rendered(), out);
    }
}

fn encode_drops(registry: &Registry, out: &mut String) {
    let dropped = |family: &AnyFamily| match family {
        AnyFamily::Counter(family) => family.dropped(),
        AnyFamily::Gauge(family) => family.dropped(),
        AnyFamily::Histogram(family) => family.dropped(),
    };
    let mut families = registry.iter().filter(|family| dropped(family) > 0).peekable();
    if families.peek().is_some() {
        header(
            out,
            DROPS,
            "Uses of label sets beyond a metric's limit, counted in its overflow series.",
            Kind::Counter,
        );
    }
    for family in families {
        sample(out, DROPS, "", &format!("metric=\"{}\"", family.name()), None, dropped(family) as f64);
    }
}

fn header(out: &mut String, name: &str, help: &str, kind: Kind) {
    if !help.is_empty() {
        out.push_str("# HELP ");
        out.push_str(name);
        out.push(' ');
        escape_help(help, out);
        out.push('\n');
    }
    // Writing into a String cannot fail.
    let _ = writeln!(out, "# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, ending: &str, labels: &str, bound: Option<f64>, value: f64) {
    out.push_str(name);
    out.push_str(ending);
    if !labels.is_empty() || bound.is_some() {
        out.push('{');
        out.push_str(labels);
        if let Some(bound) = bound {
            out.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
            push_bound(out, bound);
            out.push('"');
        }
        out.push('}');
    }
    out.push(' ');
    push_number(out, value);
    out.push('\n');
}

/// `1.0`, not `1`: Prometheus 3 rewrites the one into the other, so that queries survive its upgrade.
fn push_bound(out: &mut String, bound: f64) {
    if bound == f64::INFINITY {
        out.push_str("+Inf");
    } else {
        let _ = write!(out, "{bound:?}");
    }
}

fn push_number(out: &mut String, value: f64) {
    let _ = match value {
        _ if value.is_nan() => write!(out, "NaN"),
        f64::INFINITY => write!(out, "+Inf"),
        f64::NEG_INFINITY => write!(out, "-Inf"),
        _ if value.fract() == 0.0 && value.abs() < 1e15 => write!(out, "{}", value as i64),
        _ => write!(out, "{value:?}"),
    };
}

#[cfg(test)]
mod tests {
    use super::super::labels::LabelSet;
    use super::*;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
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
    fn numbers_that_are_none_have_their_own_words() {
        let mut out = String::new();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 0.1, -0.0, 1e15] {
            push_number(&mut out, value);
            out.push(' ');
        }
        assert_eq!(out, "NaN +Inf -Inf 1e300 0.1 0 1000000000000000.0 ");
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
