//! One answer to one scrape, whoever carries it: the listener or a web framework.

mod access;
mod meters;

use std::sync::Arc;
use std::time::Instant;

use super::exposition::{FamilySnapshot, Source, accepts_gzip, choose_format, gzip};
pub use access::Token;
use meters::Meters;

/// What a scrape said of itself. Header values as they came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scrape<'a> {
    /// `GET`, `HEAD` or something else.
    pub method: &'a str,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `Accept`.
    pub accept: Option<&'a str>,
    /// `Accept-Encoding`.
    pub accept_encoding: Option<&'a str>,
}

/// What to send back. A `HEAD` gets the body too: whoever sends it leaves it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Header names (lower case) and values.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body, compressed if the headers say so.
    pub body: Vec<u8>,
}

/// How an exporter answers.
#[derive(Default)]
pub struct Options {
    /// What an `Authorization` header must carry; none lets everybody in.
    pub token: Option<Token>,
    /// Whether OpenMetrics has `_created` samples.
    pub created: bool,
    /// Whether the answers' own metrics are shown too.
    pub own_metrics: bool,
}

/// Sources and how they are shown.
pub struct Exporter {
    sources: Vec<Arc<dyn Source>>,
    options: Options,
    meters: Meters,
}

impl Exporter {
    /// Shows what `sources` have, in their order.
    pub fn new(sources: Vec<Arc<dyn Source>>, options: Options) -> Self {
        Self { sources, options, meters: Meters::default() }
    }

    /// Answers one scrape; 503 and a line of why if what there is to show cannot be had. Takes no lock of a writer.
    pub fn answer(&self, scrape: &Scrape<'_>) -> Answer {
        if !matches!(scrape.method, "GET" | "HEAD") {
            let mut answer = self.refuse(405, "Only GET and HEAD are answered here.\n");
            answer.headers.push(("allow", "GET, HEAD"));
            return answer;
        }
        if self.options.token.as_ref().is_some_and(|token| !token.opens(scrape.authorization)) {
            let mut answer = self.refuse(401, "The metrics need a bearer token.\n");
            answer.headers.push(("www-authenticate", "Bearer"));
            return answer;
        }
        self.show(scrape)
    }

    /// Notes that a client which sent no request was sent away for the sake of another.
    pub fn sent_away(&self) {
        self.meters.sent_away();
    }

    /// The answer to a request for anything but the metrics.
    pub fn not_found(&self) -> Answer {
        self.refuse(404, "Not here. The metrics are at /metrics.\n")
    }

    fn show(&self, scrape: &Scrape<'_>) -> Answer {
        let start = Instant::now();
        let format = choose_format(scrape.accept);
        let seen: Result<Vec<_>, _> = self.sources.iter().map(|source| source.snapshot()).collect();
        let mut families: Vec<FamilySnapshot<'_>> = match seen {
            Ok(seen) => seen.into_iter().flatten().collect(),
            // No answer is better than one that is short of what was counted, which looks like a new beginning.
            Err(error) => return self.refuse(503, &format!("{error}\n")),
        };
        self.meters.saw(&families);
        if self.options.own_metrics {
            families.extend(self.meters.snapshot());
        }
        let mut body = format.encode(&families, self.options.created);
        let mut headers =
            vec![("content-type", format.content_type()), ("vary", "Accept, Accept-Encoding, Authorization")];
        let small = accepts_gzip(scrape.accept_encoding).then(|| gzip(&body));
        if let Some(Ok(small)) = small {
            body = small;
            headers.push(("content-encoding", "gzip"));
        }
        self.meters.answered(format, start.elapsed(), body.len());
        Answer { status: 200, headers, body }
    }

    fn refuse(&self, status: u16, why: &str) -> Answer {
        self.meters.refused(status);
        Answer { status, headers: vec![("content-type", "text/plain; charset=utf-8")], body: why.as_bytes().to_vec() }
    }
}

#[cfg(test)]
mod tests;
