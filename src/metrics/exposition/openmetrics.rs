//! OpenMetrics 1.0.

use std::collections::HashSet;

use super::numbers::push_number;
use super::text::push_series;
use super::{Exemplar, FamilySnapshot, HistogramValue, SeriesSnapshot, Value};
use crate::metrics::cells::Kind;
use crate::metrics::names::escape_label_value;
use crate::metrics::registry::sample_names;

/// Units that a name may end in, and so declare.
const UNITS: [&str; 9] = ["seconds", "bytes", "ratio", "celsius", "meters", "grams", "joules", "volts", "amperes"];

/// Every family and series, and the line that says that nothing is missing. With `created`, also when each series of
/// a counter or histogram was made.
pub(super) fn encode(families: &[FamilySnapshot<'_>], created: bool) -> String {
    let series: usize = families.iter().map(|family| family.series.len()).sum();
    let mut out = String::with_capacity(1024 + 128 * series);
    let names: HashSet<String> = families.iter().flat_map(|family| sample_names(&family.name, family.kind)).collect();
    for family in families {
        encode_family(&mut out, family, Title::of(family, &names), created);
    }
    out.push_str("# EOF\n");
    out
}

/// What a family is called and what type it has here, where a counter's own name lacks the ending `_total`.
struct Title<'a> {
    name: &'a str,
    kind: &'static str,
}

impl<'a> Title<'a> {
    /// A counter that does not end so, or whose shorter name another family or its samples have, is written as of unknown type: its
    /// samples keep one name in every format.
    fn of(family: &'a FamilySnapshot<'_>, names: &HashSet<String>) -> Self {
        let name = family.name.as_ref();
        if family.kind != Kind::Counter {
            return Self { name, kind: family.kind.as_str() };
        }
        match name.strip_suffix("_total").filter(|base| !base.is_empty() && !names.contains(*base)) {
            Some(base) => Self { name: base, kind: "counter" },
            None => Self { name, kind: "unknown" },
        }
    }

    fn unit(&self) -> Option<&'static str> {
        UNITS.into_iter().find(|unit| self.name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
    }
}

fn encode_family(out: &mut String, family: &FamilySnapshot<'_>, title: Title<'_>, created: bool) {
    line(out, "# TYPE ", title.name, title.kind);
    if let Some(unit) = title.unit() {
        line(out, "# UNIT ", title.name, unit);
    }
    if !family.help.is_empty() {
        let mut help = String::with_capacity(family.help.len());
        escape_label_value(&family.help, &mut help);
        line(out, "# HELP ", title.name, &help);
    }
    for series in &family.series {
        match &series.value {
            // An exemplar stands with a counter or a bucket and nowhere else.
            Value::Number(value, exemplar) => {
                let exemplar = exemplar.as_deref().filter(|_| title.kind == "counter");
                sample(out, &family.name, "", &series.labels, None, *value, exemplar);
            }
            Value::Histogram(value) => histogram(out, &family.name, &series.labels, value),
        }
        if created && matches!(title.kind, "counter" | "histogram") {
            push_created(out, title.name, series);
        }
    }
}

fn push_created(out: &mut String, name: &str, series: &SeriesSnapshot<'_>) {
    if let Some(created) = series.created {
        sample(out, name, "_created", &series.labels, None, created, None);
    }
}

fn histogram(out: &mut String, name: &str, labels: &str, value: &HistogramValue<'_>) {
    let bounds = value.bounds.iter().copied().chain([f64::INFINITY]);
    for (at, (bound, count)) in bounds.zip(&value.cumulative).enumerate() {
        let exemplar = value.exemplars.get(at).and_then(Option::as_ref);
        sample(out, name, "_bucket", labels, Some(bound), *count as f64, exemplar);
    }
    // With observations below 0 a sum may go down, which a format with counters in it has no place for, and there is no
    // count without a sum.
    if !value.below_zero && value.bounds.first().is_none_or(|least| *least >= 0.0) {
        sample(out, name, "_count", labels, None, value.cumulative.last().copied().unwrap_or_default() as f64, None);
        sample(out, name, "_sum", labels, None, value.sum, None);
    }
}

fn sample(
    out: &mut String,
    name: &str,
    ending: &str,
    labels: &str,
    bound: Option<f64>,
    value: f64,
    exemplar: Option<&Exemplar>,
) {
    push_series(out, name, ending, labels, bound);
    out.push(' ');
    push_number(out, value);
    if let Some(exemplar) = exemplar {
        for part in [" # {", &exemplar.labels, "} "] {
            out.push_str(part);
        }
        push_number(out, exemplar.value);
        out.push_str(&format!(" {:.3}", exemplar.timestamp));
    }
    out.push('\n');
}

fn line(out: &mut String, start: &str, name: &str, end: &str) {
    for part in [start, name, " ", end, "\n"] {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;
    use crate::metrics::{LabelSet, Registry};

    fn series<'a>(labels: &'a str, value: Value<'a>) -> SeriesSnapshot<'a> {
        SeriesSnapshot { labels: labels.into(), value, created: Some(12.5) }
    }

    #[test]
    fn every_type_is_written_as_the_format_says() {
        let exemplar = Exemplar { labels: r#"trace_id="abc""#.into(), value: 2.0, timestamp: 1.25 };
        let times = HistogramValue {
            bounds: vec![0.5].into(),
            cumulative: vec![0, 1],
            sum: 2.0,
            below_zero: false,
            exemplars: vec![None, Some(exemplar.clone())],
            native: None,
        };
        let family = |name: &'static str, kind, series| FamilySnapshot {
            name: name.into(),
            help: "A \"b\".".into(),
            kind,
            series: vec![series],
        };
        let families = [
            family("hits_total", Kind::Counter, series(r#"a="1""#, Value::Number(2.0, Some(Box::new(exemplar))))),
            family("depth", Kind::Gauge, series("", Value::Number(-3.0, None))),
            family("wait_seconds", Kind::Histogram, series("", Value::Histogram(Box::new(times)))),
        ];
        let expected = [
            "# TYPE hits counter",
            r#"# HELP hits A \"b\"."#,
            r#"hits_total{a="1"} 2 # {trace_id="abc"} 2 1.250"#,
            r#"hits_created{a="1"} 12.5"#,
            "# TYPE depth gauge",
            r#"# HELP depth A \"b\"."#,
            "depth -3",
            "# TYPE wait_seconds histogram",
            "# UNIT wait_seconds seconds",
            r#"# HELP wait_seconds A \"b\"."#,
            r#"wait_seconds_bucket{le="0.5"} 0"#,
            r#"wait_seconds_bucket{le="+Inf"} 1 # {trace_id="abc"} 2 1.250"#,
            "wait_seconds_count 1",
            "wait_seconds_sum 2",
            "wait_seconds_created 12.5",
            "# EOF",
            "",
        ];
        assert_eq!(encode(&families, true), expected.join("\n"));
        assert!(!encode(&families, false).contains("_created"));
    }

    #[test]
    fn a_counter_whose_short_name_cannot_be_had_keeps_its_samples_name() {
        let registry = Registry::default();
        registry.histogram("times", "", Some(&["a".to_owned()]), None).unwrap();
        for name in ["plain", "both_total", "times_count_total", "both_created_total"] {
            registry.counter(name, "", Some(&[])).unwrap();
        }
        registry.gauge("both", "", Some(&[])).unwrap().series(LabelSet::Values(&[])).unwrap();
        let expected = "# TYPE times histogram\n# TYPE plain unknown\nplain 0\n# TYPE both_total unknown\nboth_total 0\n\
                        # TYPE times_count_total unknown\ntimes_count_total 0\n\
                        # TYPE both_created_total unknown\nboth_created_total 0\n\
                        # TYPE both gauge\nboth 0\n# EOF\n";
        assert_eq!(encode(&registry.snapshot().unwrap(), true), expected);
    }
}
