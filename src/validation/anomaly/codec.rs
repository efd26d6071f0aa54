//! A detector as bytes: a mark, the format's version, a checksum, then counts and numbers, least byte first.
//!
//! Nothing read is believed: lengths are held against the bytes that are there and against what a detector may hold.

mod read;

use super::detector::Detector;
use super::field::{Field, TextMemory};
use super::series::Series;

/// What the bytes begin with.
const MARK: &[u8; 4] = b"hgab";
/// The newest format, which is also the one written.
const VERSION: u16 = 1;
/// How many bytes of BLAKE3 stand for the rest.
const CHECKSUM: usize = 8;
/// Mark, version, checksum.
const HEAD: usize = MARK.len() + 2 + CHECKSUM;

/// Why bytes are not a baseline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Another kind of data, or nothing.
    #[error("these {0} bytes are no baseline of anomaly detection; pass what dump() gave")]
    Foreign(usize),
    /// Written by a later version.
    #[error("the baseline has format {found}, this hagane reads up to {VERSION}; upgrade hagane to use it")]
    Newer {
        /// Its format.
        found: u16,
    },
    /// The content does not fit its checksum or its own lengths.
    #[error("the baseline is damaged: {0}; start a new one")]
    Damaged(&'static str),
}

impl Detector {
    /// The baseline as bytes; equal baselines give equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend(self.outputs.to_le_bytes());
        body.extend(self.novel.to_le_bytes());
        put_length(&mut body, self.fields.len());
        for (path, field) in &self.fields {
            put_length(&mut body, path.len());
            body.extend(path.as_bytes());
            put_field(&mut body, field);
        }
        seal(&body)
    }

    /// The baseline that `bytes` hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let rest = bytes.strip_prefix(MARK).ok_or(DecodeError::Foreign(bytes.len()))?;
        let (version, rest) = rest.split_first_chunk().ok_or(DecodeError::Damaged("it ends too early"))?;
        match u16::from_le_bytes(*version) {
            VERSION => {}
            0 => return Err(DecodeError::Damaged("there is no format 0")),
            found => return Err(DecodeError::Newer { found }),
        }
        let (checksum, body) = rest.split_at_checked(CHECKSUM).ok_or(DecodeError::Damaged("it ends too early"))?;
        if checksum != digest(body) {
            return Err(DecodeError::Damaged("its checksum does not fit"));
        }
        read::detector(body)
    }
}

fn digest(body: &[u8]) -> [u8; CHECKSUM] {
    let mut start = [0; CHECKSUM];
    start.copy_from_slice(&blake3::hash(body).as_bytes()[..CHECKSUM]);
    start
}

fn seal(body: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(HEAD + body.len());
    sealed.extend(MARK);
    sealed.extend(VERSION.to_le_bytes());
    sealed.extend(digest(body));
    sealed.extend(body);
    sealed
}

/// Everything that is counted has at most some thousands of parts.
fn put_length(body: &mut Vec<u8>, length: usize) {
    body.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
}

fn put_field(body: &mut Vec<u8>, field: &Field) {
    body.extend(field.present.to_le_bytes());
    field.kinds.iter().for_each(|count| body.extend(count.to_le_bytes()));
    body.extend(field.complete.to_le_bytes());
    put_series(body, &field.numbers);
    body.push(u8::from(field.text.is_some()));
    if let Some(text) = &field.text {
        put_text(body, text);
    }
}

fn put_text(body: &mut Vec<u8>, text: &TextMemory) {
    put_series(body, &text.length);
    put_series(body, &text.repetition);
    put_series(body, &text.compression);
    put_length(body, text.scripts.len());
    text.scripts.iter().for_each(|shares| body.extend(shares));
    put_length(body, text.signs.len());
    text.signs.iter().for_each(|signs| body.push(u8::from(signs[0]) | u8::from(signs[1]) << 1));
}

/// In order of arrival, from which everything else follows.
fn put_series(body: &mut Vec<u8>, series: &Series) {
    put_length(body, series.len());
    series.arrivals().for_each(|number| body.extend(number.to_le_bytes()));
}

#[cfg(test)]
mod tests;
