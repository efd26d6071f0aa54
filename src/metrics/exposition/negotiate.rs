//! What a scraper accepts, and the best of it that there is.

use super::Format;

/// The format for an `Accept` header: the one with the highest q-value, of equals the one named first, and text for
/// whoever accepts none of them, because a scrape that gets nothing helps nobody.
pub fn choose_format(accept: Option<&str>) -> Format {
    let mut best = (Format::Text, 0.0);
    for range in accept.into_iter().flat_map(|accept| accept.split(',')) {
        let range = Range::parse(range);
        if let Some(format) = range.format().filter(|_| range.quality > best.1) {
            best = (format, range.quality);
        }
    }
    best.0
}

/// Whether an `Accept-Encoding` header lets the answer be compressed with gzip.
pub fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    let ranges: Vec<Range<'_>> =
        accept_encoding.into_iter().flat_map(|accept| accept.split(',')).map(Range::parse).collect();
    let named = ranges.iter().find(|range| matches!(range.name.to_ascii_lowercase().as_str(), "gzip" | "x-gzip"));
    named.or_else(|| ranges.iter().find(|range| range.name == "*")).is_some_and(|range| range.quality > 0.0)
}

/// One of a header's comma-separated alternatives.
struct Range<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f64,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let parameters: Vec<_> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
            .collect();
        let quality = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("q"));
        let quality = quality.map_or(1.0, |(_, value)| value.parse::<f64>().unwrap_or(0.0));
        Self { name, parameters, quality: if (0.0..=1.0).contains(&quality) { quality } else { 0.0 } }
    }

    fn parameter(&self, wanted: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value)
    }

    fn format(&self) -> Option<Format> {
        match self.name.to_ascii_lowercase().as_str() {
            "text/plain" | "text/*" | "*/*" => Some(Format::Text),
            "application/openmetrics-text" if matches!(self.parameter("version"), None | Some("1.0.0")) => {
                Some(Format::OpenMetrics)
            }
            "application/vnd.google.protobuf"
                if self.parameter("proto") == Some("io.prometheus.client.MetricFamily")
                    && self.parameter("encoding") == Some("delimited") =>
            {
                Some(Format::Protobuf)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

    #[test]
    fn the_best_of_what_is_accepted_is_chosen() {
        let prometheus = format!(
            "{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,\
             application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        );
        let cases = [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html, application/json", Format::Text),
            (prometheus.as_str(), Format::Protobuf),
            (PROTOBUF, Format::Protobuf),
            ("application/vnd.google.protobuf", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=0.2", Format::OpenMetrics),
            ("application/openmetrics-text;version=0.0.1,text/plain;q=0.1", Format::Text),
            ("application/openmetrics-text;q=0.3,text/plain;q=0.4", Format::Text),
            ("text/plain;q=0.4,application/openmetrics-text;q=0.4", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=nonsense,text/plain;q=NaN", Format::Text),
            (";;;=,,q=1", Format::Text),
        ];
        for (accept, format) in cases {
            assert_eq!(choose_format(Some(accept)), format, "{accept}");
        }
        assert_eq!(choose_format(None), Format::Text);
    }

    #[test]
    fn gzip_is_used_where_it_is_accepted() {
        for yes in ["gzip", "br, GZIP;q=0.5", "*", "x-gzip", "identity;q=0.1,*;q=1"] {
            assert!(accepts_gzip(Some(yes)), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip;q=0,*", "br"] {
            assert!(!accepts_gzip(Some(no)), "{no}");
        }
        assert!(!accepts_gzip(None));
    }
}
