//! What the code writes: its two streams, and the report of the exception that ended it.

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{Notify, watch};

use crate::sandbox::output::Capped;
use crate::sandbox::{Limits, Uncaught};

/// The longest report of an uncaught exception, in bytes.
pub const LONGEST_REPORT: usize = 8 << 10;

/// Read a stream, keep its beginning, and sound the alarm when it is far too much.
///
/// Its end is where all who could write have closed it, or else where all of the code is dead: a child that the host
/// forked at the wrong moment may hold a copy, and so may a socket that waits to be collected.
pub async fn read(
    mut stream: Receiver,
    kept: usize,
    limits: &Limits,
    flood: &Notify,
    mut over: watch::Receiver<bool>,
) -> std::io::Result<Capped> {
    let mut capped = Capped::new(kept);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = tokio::select! {
            n = stream.read(&mut buffer) => n?,
            // Directly: what the kernel has is what counts, not what the reactor has heard of.
            _ = over.wait_for(|over| *over) => match rustix::io::read(&stream, &mut buffer) {
                Err(rustix::io::Errno::AGAIN) => 0,
                n => n.map_err(std::io::Error::from)?,
            },
        };
        if n == 0 {
            return Ok(capped);
        }
        capped.push(&buffer[..n]);
        if capped.seen() > limits.output_killed {
            flood.notify_one();
        }
    }
}

/// What the runner says about an uncaught exception: the name on the first line, then the text.
pub fn uncaught(report: Capped) -> Option<Uncaught> {
    let text = String::from_utf8_lossy(&report.into_kept()).into_owned();
    let (kind, message) = text.split_once('\n').unwrap_or((&text, ""));
    let is_name = |name: &str| {
        name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    is_name(kind).then(|| Uncaught { kind: kind.into(), message: message.into() })
}
