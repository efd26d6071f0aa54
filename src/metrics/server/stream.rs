//! A connection whose descriptor a forked child can learn, from the first byte to the last, handshake included.

use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::descriptors::{Descriptors, Slot};

const SEND_BUFFER: usize = 128 << 10;

/// Fields are dropped in their order: the note goes before the descriptor is closed, and its number is another's.
pub(super) struct Noted {
    _slot: Option<Slot>,
    stream: TcpStream,
    patience: Duration,
    // While the client takes nothing of what is there for it.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Noted {
    /// A connection that ends when its client takes nothing for as long as `patience`.
    pub(super) fn new(stream: TcpStream, descriptors: &Arc<Descriptors>, patience: Duration) -> Self {
        // The system would let it grow to several MiB, and a client on a slow line then seems to take nothing for long.
        // If it may not be set, such a client has less patience.
        let _ = set_socket_send_buffer_size(&stream, SEND_BUFFER);
        Self { _slot: Descriptors::note(descriptors, stream.as_raw_fd()), stream, patience, stalled: None }
    }
}

impl AsyncRead for Noted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if written.is_ready() {
            this.stalled = None;
            return written;
        }
        let patience = this.patience;
        let stalled = this.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
