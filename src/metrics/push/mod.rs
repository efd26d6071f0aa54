//! What a short job sends before it ends, as nobody will come to scrape it.

mod remote_write;

pub use remote_write::{RemoteWriteOptions, remote_write_requests};
