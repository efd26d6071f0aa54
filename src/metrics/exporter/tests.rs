use std::io::Read;

use flate2::read::GzDecoder;

use super::*;
use crate::metrics::{LabelSet, MetricError, Registry};

fn registry() -> Arc<Registry> {
    let registry = Registry::new(1);
    let family = registry.counter("m_total", "", Some(&["a".to_owned()])).unwrap();
    for value in ["1", "2", "3"] {
        family.series(LabelSet::Values(&[value])).unwrap();
    }
    Arc::new(registry)
}

fn exporter(options: Options) -> Exporter {
    Exporter::new(vec![registry()], options)
}

fn get(accept: &'static str) -> Scrape<'static> {
    Scrape { method: "GET", accept: Some(accept), ..Scrape::default() }
}

fn header(answer: &Answer, name: &str) -> Option<&'static str> {
    answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

#[test]
fn the_answer_is_in_the_format_asked_for() {
    let exporter = exporter(Options::default());
    for (accept, start) in [("*/*", "text/plain; version=0.0.4"), ("application/openmetrics-text", "application/openm")]
    {
        let answer = exporter.answer(&get(accept));
        assert_eq!(answer.status, 200);
        assert!(header(&answer, "content-type").unwrap().starts_with(start), "{answer:?}");
    }
}

#[test]
fn a_compressed_answer_says_so_and_holds_the_same() {
    let exporter = exporter(Options::default());
    let plain = exporter.answer(&get("*/*")).body;
    let answer = exporter.answer(&Scrape { accept_encoding: Some("gzip"), ..get("*/*") });
    assert_eq!(header(&answer, "content-encoding"), Some("gzip"));
    let mut back = Vec::new();
    GzDecoder::new(answer.body.as_slice()).read_to_end(&mut back).unwrap();
    assert_eq!(back, plain);
}

#[test]
fn only_the_token_opens_what_is_behind_it() {
    let exporter = exporter(Options { token: Token::new("s3cret"), ..Options::default() });
    let ask = |authorization| exporter.answer(&Scrape { authorization, ..get("*/*") });
    for wrong in [None, Some(""), Some("s3cret"), Some("Bearer"), Some("Bearer s3cre"), Some("Basic s3cret")] {
        let answer = ask(wrong);
        assert_eq!((answer.status, header(&answer, "www-authenticate")), (401, Some("Bearer")), "{wrong:?}");
        assert!(!String::from_utf8(answer.body).unwrap().contains("m_total"));
    }
    assert_eq!((ask(Some("Bearer s3cret")).status, ask(Some("bearer  s3cret ")).status), (200, 200));
    for bad in ["", "two words", "鋼", "a\n"] {
        assert!(Token::new(bad).is_none(), "{bad:?}");
    }
}

#[test]
fn an_exporter_counts_its_own_answers_from_zero() {
    let exporter = exporter(Options { own_metrics: true, ..Options::default() });
    let text = || String::from_utf8(exporter.answer(&get("*/*")).body).unwrap();
    let first = text();
    assert!(first.contains("hagane_exporter_scrapes_total{format=\"text\",status=\"200\"} 0\n"), "{first}");
    assert!(first.contains("hagane_exporter_dropped_total 2\n"), "{first}");
    assert!(first.contains("hagane_exporter_series 3\n"), "{first}");
    exporter.answer(&Scrape { method: "POST", ..get("*/*") });
    exporter.not_found();
    exporter.sent_away();
    let second = text();
    for line in [
        "hagane_exporter_scrapes_total{format=\"text\",status=\"200\"} 1\n".to_owned(),
        "hagane_exporter_scrapes_total{format=\"none\",status=\"404\"} 1\n".to_owned(),
        "hagane_exporter_scrapes_total{format=\"none\",status=\"405\"} 1\n".to_owned(),
        "hagane_exporter_idle_connections_closed_total 1\n".to_owned(),
        "hagane_exporter_scrape_duration_seconds_count{format=\"text\"} 1\n".to_owned(),
        format!("hagane_exporter_scrape_size_bytes{{format=\"text\"}} {}\n", first.len()),
    ] {
        assert!(second.contains(&line), "{line} in {second}");
    }
}

/// Cannot be read until it is mended.
#[derive(Default)]
struct Broken(std::sync::atomic::AtomicBool);

impl Source for Broken {
    fn snapshot(&self) -> Result<Vec<FamilySnapshot<'_>>, MetricError> {
        if self.0.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let source = std::io::ErrorKind::PermissionDenied.into();
        Err(MetricError::Unreadable { path: "/there".into(), source, remedy: "mend it" })
    }
}

#[test]
fn what_cannot_be_had_whole_is_not_shown_at_all_and_counted() {
    let broken = Arc::new(Broken::default());
    let sources: Vec<Arc<dyn Source>> = vec![registry(), Arc::clone(&broken) as Arc<dyn Source>];
    let exporter = Exporter::new(sources, Options { own_metrics: true, ..Options::default() });
    let answer = exporter.answer(&get("*/*"));
    let said = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(said, "cannot read the metrics of the other processes in /there: permission denied; mend it\n");
    broken.0.store(true, std::sync::atomic::Ordering::Relaxed);
    let shown = String::from_utf8(exporter.answer(&get("*/*")).body).unwrap();
    assert!(shown.contains("hagane_exporter_scrapes_total{format=\"none\",status=\"503\"} 1\n"), "{shown}");
}
