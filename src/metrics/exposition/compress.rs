//! gzip, as fast as it goes: a scrape crosses one wire once.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// `body`, compressed.
pub fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
