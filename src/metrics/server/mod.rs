//! A listener for scrapes on a thread of its own: it answers while the program is busy, whatever it does.

mod connection;
mod descriptors;
mod stream;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::error::MetricError;
use super::exporter::Exporter;
use connection::{Patience, Service};
use descriptors::Descriptors;
pub use tls::load as load_tls;

// Every server that is open in this process. Like the writers' locks this one is only held with the GIL.
static OPEN: Mutex<Vec<Arc<Server>>> = Mutex::new(Vec::new());

/// An open listener. It goes on until `close`, also when nobody holds it any more.
pub struct Server {
    address: SocketAddr,
    encrypted: bool,
    descriptors: Arc<Descriptors>,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// The address it listens on, with the port that the system chose if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it speaks TLS only.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether it still listens, as far as this process is concerned.
    pub fn is_open(&self) -> bool {
        lock(&self.running).is_some()
    }

    /// Takes no more connections; `None` if it was closed before. The port is free once `Closing::wait` returns.
    pub fn close(&self) -> Option<Closing> {
        lock(&OPEN).retain(|server| !std::ptr::eq(Arc::as_ptr(server), self));
        let Running { stop, thread } = lock(&self.running).take()?;
        // Nobody listening means that the thread has ended by itself, which is what is wanted.
        let _ = stop.send(());
        Some(Closing(thread))
    }
}

/// A server that was told to stop.
#[must_use = "the port is free only after `wait`"]
pub struct Closing(JoinHandle<()>);

impl Closing {
    /// Lets the connections under way end, for a second at most.
    pub fn wait(self) {
        // A panic there was printed there; the port is free either way.
        let _ = self.0.join();
    }
}

/// Opens a listener that lets `exporter` answer at /metrics, over TLS if `tls` is given. Port 0 picks a free one.
pub fn serve(
    exporter: Arc<Exporter>,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
) -> Result<Arc<Server>, MetricError> {
    serve_with(Service { exporter, tls, patience: Patience::default() }, address)
}

fn serve_with(service: Service, address: SocketAddr) -> Result<Arc<Server>, MetricError> {
    let bind = |source| MetricError::Bind { address, source };
    let listener = TcpListener::bind(address).map_err(bind)?;
    listener.set_nonblocking(true).map_err(bind)?;
    start(service, listener).map_err(|source| MetricError::Start { source })
}

fn start(service: Service, listener: TcpListener) -> io::Result<Arc<Server>> {
    let encrypted = service.tls.is_some();
    let address = listener.local_addr()?;
    let descriptors = Arc::new(Descriptors::new(listener.as_raw_fd()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let (stop, stopped) = oneshot::channel();
    let of_thread = Arc::clone(&descriptors);
    let thread = thread::Builder::new()
        .name("hagane-metrics".to_owned())
        .spawn(move || runtime.block_on(connection::accept(listener, service, of_thread, stopped)))?;
    let running = Mutex::new(Some(Running { stop, thread }));
    let server = Arc::new(Server { address, encrypted, descriptors, running });
    lock(&OPEN).push(Arc::clone(&server));
    Ok(server)
}

/// For a child after `fork()`: forgets the parent's servers, which have no thread here, and returns the descriptors
/// that the child must close. As long as it holds them, the parent's port stays taken and scrapes wait in its backlog.
pub fn abandon_inherited() -> Vec<RawFd> {
    let servers = std::mem::take(&mut *lock(&OPEN));
    for server in &servers {
        // Dropping these would detach a thread that is not here and wake an event loop that is the parent's.
        std::mem::forget(lock(&server.running).take());
    }
    servers.iter().flat_map(|server| server.descriptors.open()).collect()
}

/// The address of a host and a port. May ask a name server, so a caller lets go of what others wait for.
pub fn resolve(host: &str, port: i64) -> Result<SocketAddr, MetricError> {
    let refuse = |reason: String| MetricError::Address { host: host.to_owned(), port, reason };
    let number = u16::try_from(port).map_err(|_| refuse("a port is a number from 0 to 65535".to_owned()))?;
    let mut found = (host, number).to_socket_addrs().map_err(|error| refuse(error.to_string()))?;
    found.next().ok_or_else(|| refuse("the host has no address".to_owned()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is replaced whole, so a panic elsewhere leaves nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
