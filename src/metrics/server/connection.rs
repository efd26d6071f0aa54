//! Accepting, answering, and giving up on those that do not get on.

use std::convert::Infallible;
use std::sync::Arc;
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
use tokio::task::JoinSet;
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
        Self { head: Duration::from_secs(5), all: Duration::from_secs(30) }
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
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = open.join_next(), if !open.is_empty() => {}
            accepted = listener.accept(), if open.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    open.spawn(converse(stream, service.clone(), Arc::clone(&descriptors)));
                }
                // Out of descriptors, mostly: it passes, and asking again at once would only burn time.
                Err(_) => sleep(RETRY_PAUSE).await,
            },
        }
    }
    descriptors.forget_listener();
    drop(listener);
    let ended = async { while open.join_next().await.is_some() {} };
    let _ = timeout(CLOSE_TIMEOUT, ended).await;
}

async fn converse(stream: TcpStream, service: Service, descriptors: Arc<Descriptors>) {
    let patience = service.patience;
    let stream = Noted::new(stream, &descriptors);
    let talk = async {
        match &service.tls {
            None => speak(stream, &service).await,
            Some(tls) => {
                // No handshake, or one that fails: there is nobody to tell.
                if let Ok(Ok(stream)) = timeout(patience.head, tls.accept(stream)).await {
                    speak(stream, &service).await;
                }
            }
        }
    };
    let _ = timeout(patience.all, talk).await;
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, service: &Service) {
    let answer = service_fn(|request| {
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
