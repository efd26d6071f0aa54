//! Accepting, answering, and giving up on those that do not get on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
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
use tokio::time::{Instant, sleep, sleep_until, timeout};
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
    /// Without taking anything of its answer.
    pub(super) stall: Duration,
    /// For taking its answer, once all places are taken.
    pub(super) answer: Duration,
    /// For the whole connection.
    pub(super) all: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { head: seconds(2), stall: seconds(3), answer: seconds(3), all: seconds(30) }
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
    let mut open = Open { tasks: JoinSet::new(), places: VecDeque::new(), patience: service.patience.answer };
    loop {
        let has_place = open.has_place();
        let next = open.next_place();
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = open.tasks.join_next(), if !open.tasks.is_empty() => {}
            // Asks again whether there is a place.
            () = sleep_until(next.unwrap_or_else(Instant::now)), if !has_place && next.is_some() => {}
            accepted = listener.accept(), if has_place => match accepted {
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

/// When a connection's request was there, if it was.
type Asked = Arc<OnceLock<Instant>>;

/// The connections that are open.
struct Open {
    tasks: JoinSet<()>,
    // The oldest first.
    places: VecDeque<(AbortHandle, Asked)>,
    /// How long one that has asked keeps its place while others wait for it.
    patience: Duration,
}

impl Open {
    /// Whether there is a place, or someone who can be sent away for one.
    fn has_place(&mut self) -> bool {
        self.places.retain(|(task, _)| !task.is_finished());
        self.tasks.len() < CONNECTIONS || (self.tasks.len() == CONNECTIONS && self.whom_to_send_away().is_some())
    }

    /// When there will be someone who can be sent away, if nobody leaves before.
    fn next_place(&self) -> Option<Instant> {
        let asked = self.places.iter().filter_map(|(_, asked)| asked.get());
        asked.min().map(|earliest| *earliest + self.patience)
    }

    /// The oldest that has asked nothing; if there is none, the oldest that takes too long over its answer.
    fn whom_to_send_away(&self) -> Option<usize> {
        let idle = self.places.iter().position(|(_, asked)| asked.get().is_none());
        let slow = |asked: &Asked| asked.get().is_some_and(|asked| asked.elapsed() >= self.patience);
        idle.or_else(|| self.places.iter().position(|(_, asked)| slow(asked)))
    }

    /// Sends somebody away if all places are taken, so that clients who do not ask or do not read, who need no token,
    /// cannot keep others from being answered. If meanwhile all have asked, there is one more than places. Returns
    /// whether the one had asked nothing.
    async fn make_place(&mut self) -> bool {
        self.places.retain(|(task, _)| !task.is_finished());
        if self.tasks.len() < CONNECTIONS {
            return false;
        }
        let Some((task, asked)) = self.whom_to_send_away().and_then(|at| self.places.remove(at)) else { return false };
        task.abort();
        // It gives its descriptor's slot back when it ends.
        self.tasks.join_next().await;
        asked.get().is_none()
    }

    fn add<F: Future<Output = ()> + Send + 'static>(&mut self, connection: impl FnOnce(Asked) -> F) {
        let asked = Asked::default();
        let task = self.tasks.spawn(connection(Arc::clone(&asked)));
        self.places.push_back((task, asked));
    }
}

async fn converse(stream: TcpStream, service: Service, descriptors: Arc<Descriptors>, asked: Asked) {
    let patience = service.patience;
    let stream = Noted::new(stream, &descriptors, patience.stall);
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

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, service: &Service, asked: &OnceLock<Instant>) {
    let answer = service_fn(|request| {
        asked.get_or_init(Instant::now);
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
