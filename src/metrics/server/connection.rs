//! Accepting, answering, and giving up on those that do not get on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::descriptors::{CONNECTIONS, Descriptors};
use super::stream::Noted;
use crate::metrics::exporter::{Answer, Exporter, Scrape};

const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How long a client may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// For sending its request's head.
    pub(super) head: Duration,
    /// For the whole connection.
    pub(super) all: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(2), all: Duration::from_secs(30) }
    }
}

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) exporter: Arc<Exporter>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) patience: Patience,
}

/// Answers scrapes until `stopped` fires or its sender is gone.
pub(super) async fn accept(
    listener: TcpListener,
    service: Service,
    descriptors: Arc<Descriptors>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut open = Open::default();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = open.tasks.join_next(), if !open.tasks.is_empty() => {}
            accepted = listener.accept(), if open.has_place() => match accepted {
                Ok((stream, _)) => {
                    if open.make_place().await {
                        service.exporter.sent_away();
                    }
                    open.add(|asked| converse(stream, service.clone(), Arc::clone(&descriptors), asked));
                }
                // Out of descriptors, mostly: it passes, and asking again at once would only burn time.
                Err(_) => sleep(RETRY_PAUSE).await,
            },
        }
    }
    descriptors.forget_listener();
    drop(listener);
    let ended = async { while open.tasks.join_next().await.is_some() {} };
    let _ = timeout(CLOSE_TIMEOUT, ended).await;
}

/// The connections that are open.
#[derive(Default)]
struct Open {
    tasks: JoinSet<()>,
    // The oldest first. Whoever has asked is let finish; the others may have to go.
    waiting: VecDeque<(AbortHandle, Arc<AtomicBool>)>,
}

impl Open {
    /// Whether there is a place, or someone who can be sent away for one.
    fn has_place(&mut self) -> bool {
        self.forget_those_who_asked();
        self.tasks.len() < CONNECTIONS || (self.tasks.len() == CONNECTIONS && !self.waiting.is_empty())
    }

    fn forget_those_who_asked(&mut self) {
        self.waiting.retain(|(task, asked)| !task.is_finished() && !asked.load(Ordering::Relaxed));
    }

    /// Sends the oldest away that has asked nothing, if all places are taken, so that idle clients, who need no token,
    /// cannot keep those who ask from being answered. If meanwhile all have asked, there is one more than places.
    async fn make_place(&mut self) -> bool {
        self.forget_those_who_asked();
        if self.tasks.len() < CONNECTIONS {
            return false;
        }
        let Some((oldest, _)) = self.waiting.pop_front() else { return false };
        oldest.abort();
        // It gives its descriptor's slot back when it ends.
        self.tasks.join_next().await;
        true
    }

    fn add<F: Future<Output = ()> + Send + 'static>(&mut self, connection: impl FnOnce(Arc<AtomicBool>) -> F) {
        let asked = Arc::new(AtomicBool::new(false));
        let task = self.tasks.spawn(connection(Arc::clone(&asked)));
        self.waiting.push_back((task, asked));
    }
}

async fn converse(stream: TcpStream, service: Service, descriptors: Arc<Descriptors>, asked: Arc<AtomicBool>) {
    let patience = service.patience;
    let stream = Noted::new(stream, &descriptors);
    let talk = async {
        match &service.tls {
            None => speak(stream, &service, &asked).await,
            Some(tls) => {
                // No handshake, or one that fails: there is nobody to tell.
                if let Ok(Ok(stream)) = timeout(patience.head, tls.accept(stream)).await {
                    speak(stream, &service, &asked).await;
                }
            }
        }
    };
    let _ = timeout(patience.all, talk).await;
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, service: &Service, asked: &AtomicBool) {
    let answer = service_fn(|request| {
        asked.store(true, Ordering::Relaxed);
        let response = answer(&request, &service.exporter);
        async { Ok::<_, Infallible>(response) }
    });
    // One request per connection: nobody holds a place among the few by doing nothing.
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(service.patience.head)
        .serve_connection(TokioIo::new(stream), answer);
    // The client is gone or too slow: there is nobody to tell.
    let _ = connection.await;
}

fn answer(request: &Request<Incoming>, exporter: &Exporter) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return response(exporter.not_found());
    }
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    // A list may be spread over several headers of one name.
    let list = |name: HeaderName| {
        let all: Vec<&str> = request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        all.join(",")
    };
    response(exporter.answer(&Scrape {
        method: request.method().as_str(),
        authorization: header(AUTHORIZATION),
        accept: Some(&list(ACCEPT)),
        accept_encoding: Some(&list(ACCEPT_ENCODING)),
    }))
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
