//! Accepting, answering, and giving up on those that do not get on.

use std::convert::Infallible;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::descriptors::{CONNECTIONS, Descriptors};
use crate::metrics::exposition::{Format, Source};
use crate::metrics::registry::Registry;

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

/// Answers scrapes until `stopped` fires or its sender is gone.
pub(super) async fn accept(
    listener: TcpListener,
    registry: Arc<Registry>,
    descriptors: Arc<Descriptors>,
    patience: Patience,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = open.join_next(), if !open.is_empty() => {}
            accepted = listener.accept(), if open.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    open.spawn(converse(stream, Arc::clone(&registry), Arc::clone(&descriptors), patience));
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

async fn converse(stream: TcpStream, registry: Arc<Registry>, descriptors: Arc<Descriptors>, patience: Patience) {
    let descriptor = stream.as_raw_fd();
    let answer = service_fn(move |request| {
        let response = answer(&request, &registry);
        async { Ok::<_, Infallible>(response) }
    });
    // One request per connection: nobody holds a place among the few by doing nothing.
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    // Declared after the connection, so dropped before it closes its descriptor.
    let _slot = descriptors.note(descriptor);
    // The client is gone or too slow: there is nobody to tell.
    let _ = timeout(patience.all, connection.as_mut()).await;
}

fn answer(request: &Request<Incoming>, registry: &Registry) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "Not here. The metrics are at /metrics.\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are answered here.\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    respond(StatusCode::OK, Format::Text.content_type(), Format::Text.encode(&registry.snapshot()).into())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
