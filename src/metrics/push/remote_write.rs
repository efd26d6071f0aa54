//! Bodies for Prometheus' remote write 1.0: a `prometheus.WriteRequest`, compressed with snappy.

use std::borrow::Cow;

use crate::metrics::cells::Kind;
use crate::metrics::error::MetricError;
use crate::metrics::exposition::labels::pairs;
use crate::metrics::exposition::wire::Message;
use crate::metrics::exposition::{Exemplar, FamilySnapshot, HistogramValue, SeriesSnapshot, Value, bound_text};
use crate::metrics::names::check_label_names;

/// What goes with the samples of one push.
pub struct RemoteWriteOptions<'a> {
    /// Labels that every series gets; one that a series has itself is renamed there to `exported_...`, with as many
    /// prefixes as it takes.
    pub labels: &'a [(String, String)],
    /// Of every sample, in milliseconds since the epoch.
    pub timestamp: i64,
    /// How many series one request may have.
    pub batch: usize,
}

/// One body per `batch` of series. Each has the types and descriptions of the families that begin in it.
pub fn remote_write_requests(
    families: &[FamilySnapshot<'_>],
    options: &RemoteWriteOptions<'_>,
) -> Result<Vec<Vec<u8>>, MetricError> {
    // As of a histogram: `le` would stand twice with a bucket.
    check_label_names("remote write", Kind::Histogram, options.labels.iter().map(|(name, _)| name.as_str()))?;
    let mut writer = Writer { options, request: Message::default(), series: 0, bodies: Vec::new() };
    for family in families {
        writer.describe(family);
        for series in &family.series {
            writer.series(family, series);
        }
    }
    writer.end_request();
    Ok(writer.bodies)
}

struct Writer<'a> {
    options: &'a RemoteWriteOptions<'a>,
    request: Message,
    series: usize,
    bodies: Vec<Vec<u8>>,
}

impl Writer<'_> {
    fn describe(&mut self, family: &FamilySnapshot<'_>) {
        let mut metadata = Message::default();
        metadata.uint(
            1,
            match family.kind {
                Kind::Counter => 1,
                Kind::Gauge => 2,
                Kind::Histogram => 3,
            },
        );
        metadata.text(2, &family.name);
        metadata.text(4, &family.help);
        self.request.message(3, &metadata);
    }

    fn series(&mut self, family: &FamilySnapshot<'_>, series: &SeriesSnapshot<'_>) {
        match &series.value {
            Value::Number(value, exemplar) => {
                self.sample(&family.name, "", &series.labels, None, *value, exemplar.as_deref());
            }
            Value::Histogram(value) => self.histogram(&family.name, &series.labels, value),
        }
    }

    fn histogram(&mut self, name: &str, labels: &str, value: &HistogramValue<'_>) {
        let bounds = value.bounds.iter().copied().chain([f64::INFINITY]);
        for (at, (bound, count)) in bounds.zip(&value.cumulative).enumerate() {
            let exemplar = value.exemplars.get(at).and_then(Option::as_ref);
            self.sample(name, "_bucket", labels, Some(bound), *count as f64, exemplar);
        }
        self.sample(name, "_sum", labels, None, value.sum, None);
        self.sample(name, "_count", labels, None, value.cumulative.last().copied().unwrap_or_default() as f64, None);
    }

    fn sample(
        &mut self,
        name: &str,
        ending: &str,
        labels: &str,
        bound: Option<f64>,
        value: f64,
        exemplar: Option<&Exemplar>,
    ) {
        let mut series = Message::default();
        push_labels(&mut series, self.all_labels(&format!("{name}{ending}"), labels, bound));
        let mut sample = Message::default();
        sample.double(1, value);
        sample.int(2, self.options.timestamp);
        series.message(2, &sample);
        if let Some(exemplar) = exemplar {
            let mut inner = Message::default();
            push_labels(&mut inner, pairs(&exemplar.labels).map(|(name, value)| (name.into(), value)).collect());
            inner.double(2, exemplar.value);
            inner.int(3, (exemplar.timestamp * 1000.0) as i64);
            series.message(3, &inner);
        }
        self.request.message(1, &series);
        self.series += 1;
        if self.series == self.options.batch {
            self.end_request();
        }
    }

    fn all_labels<'b>(&'b self, name: &'b str, labels: &'b str, bound: Option<f64>) -> Labels<'b> {
        let mut all: Labels<'b> = vec![("__name__".into(), name.into())];
        all.extend(bound.map(|bound| ("le".into(), bound_text(bound).into())));
        all.extend(self.options.labels.iter().map(|(name, value)| (name.into(), value.into())));
        let is_ours = |wanted: &str| self.options.labels.iter().any(|(name, _)| name == wanted);
        let (mut hidden, own): (Vec<_>, Vec<_>) = pairs(labels).partition(|(name, _)| is_ours(name));
        all.extend(own.into_iter().map(|(name, value)| (name.into(), value)));
        // As Prometheus does when it scrapes: the shortest first, each with so many prefixes that it is alone.
        hidden.sort_by_key(|(name, _)| name.len());
        for (name, value) in hidden {
            let mut name = format!("exported_{name}");
            while all.iter().any(|(taken, _)| *taken == name) {
                name.insert_str(0, "exported_");
            }
            all.push((name.into(), value));
        }
        all
    }

    fn end_request(&mut self) {
        if self.series > 0 {
            // Only fails beyond 4 GiB, which `batch` keeps far away.
            self.bodies.extend(snap::raw::Encoder::new().compress_vec(self.request.bytes()));
        }
        self.request.clear();
        self.series = 0;
    }
}

type Labels<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// By name, as the protocol wants them; an empty label is one that is not there.
fn push_labels(message: &mut Message, mut labels: Labels<'_>) {
    labels.sort_unstable();
    let mut label = Message::default();
    for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        label.clear();
        label.text(1, name);
        label.text(2, value);
        message.message(1, &label);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{LabelSet, Registry, Source};
    use super::*;

    fn bodies(labels: &[(String, String)], batch: usize) -> Result<Vec<Vec<u8>>, MetricError> {
        let registry = Registry::default();
        let family = registry.counter("m_total", "", Some(&["job".to_owned()])).unwrap();
        for value in ["", "a", "b"] {
            family.series(LabelSet::Values(&[value])).unwrap();
        }
        let options = RemoteWriteOptions { labels, timestamp: 1, batch };
        let bodies = remote_write_requests(&registry.snapshot().unwrap(), &options)?;
        Ok(bodies.iter().map(|body| snap::raw::Decoder::new().decompress_vec(body).unwrap()).collect())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn series_are_cut_into_requests() {
        assert_eq!([1, 2, 3, 9].map(|batch| bodies(&[], batch).unwrap().len()), [3, 2, 1, 1]);
    }

    #[test]
    fn a_label_of_the_push_does_not_hide_one_of_the_series() {
        let body = bodies(&[pair("job", "night")], 9).unwrap().remove(0);
        let text = String::from_utf8_lossy(&body);
        assert_eq!(text.matches("exported_job").count(), 2, "{text}");
        assert_eq!(text.matches("night").count(), 3, "{text}");
        for refused in ["__name__", "le", "a-b"] {
            assert!(matches!(bodies(&[pair(refused, "x")], 9), Err(MetricError::LabelName { .. })), "{refused}");
        }
    }

    #[test]
    fn a_hidden_label_gets_prefixes_until_it_is_alone() {
        let ours = [pair("job", "night"), pair("exported_job", "ours"), pair("env", "test")];
        let options = RemoteWriteOptions { labels: &ours, timestamp: 1, batch: 9 };
        let writer = Writer { options: &options, request: Message::default(), series: 0, bodies: Vec::new() };
        let rendered = r#"exported_env="1",env="2",exported_job="3",job="4",exported_exported_job="5""#;
        let mut all = writer.all_labels("m", rendered, None);
        all.sort_unstable();
        let all: Vec<_> = all.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = [
            "__name__=m",
            "env=test",
            "exported_env=1",
            "exported_exported_env=2",
            "exported_exported_exported_exported_job=3",
            "exported_exported_exported_job=4",
            "exported_exported_job=5",
            "exported_job=ours",
            "job=night",
        ];
        assert_eq!(all, expected);
    }
}
