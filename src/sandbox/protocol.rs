//! Frames between the parts of a sandbox: a length, then one message in MessagePack.
//!
//! Lengths are checked before anything is allocated, so a peer that lies costs nothing.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest frame, in bytes, its length field not counted.
pub const LONGEST_FRAME: usize = 16 << 20;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer closed the stream, between frames or within one.
    #[error("the stream ended")]
    Ended,
    /// The length field is over [`LONGEST_FRAME`].
    #[error("a frame of {0} bytes is over the limit of {LONGEST_FRAME}")]
    TooLong(usize),
    /// The payload is not the message that was expected.
    #[error("a frame is not well formed: {0}")]
    Malformed(String),
    /// The stream itself failed.
    #[error("the stream failed: {0}")]
    Io(io::Error),
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Ended } else { Self::Io(error) }
    }
}

/// One frame as bytes, length field included.
///
/// # Errors
/// [`FrameError::TooLong`] if the message is over the limit.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; 4];
    rmp_serde::encode::write_named(&mut frame, message).map_err(|e| FrameError::Malformed(e.to_string()))?;
    let length = frame.len() - 4;
    if length > LONGEST_FRAME {
        return Err(FrameError::TooLong(length));
    }
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(frame)
}

/// The message of one payload (without its length field).
///
/// # Errors
/// [`FrameError::Malformed`].
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, FrameError> {
    rmp_serde::from_slice(payload).map_err(|e| FrameError::Malformed(e.to_string()))
}

fn checked_length(field: [u8; 4]) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(field) as usize;
    if length > LONGEST_FRAME { Err(FrameError::TooLong(length)) } else { Ok(length) }
}

/// Read one message from a blocking stream.
///
/// # Errors
/// See [`FrameError`].
pub fn read<T: DeserializeOwned>(stream: &mut impl Read) -> Result<T, FrameError> {
    let mut field = [0; 4];
    stream.read_exact(&mut field)?;
    let mut payload = vec![0; checked_length(field)?];
    stream.read_exact(&mut payload)?;
    decode(&payload)
}

/// Write one message to a blocking stream.
///
/// # Errors
/// See [`FrameError`].
pub fn write<T: Serialize>(stream: &mut impl Write, message: &T) -> Result<(), FrameError> {
    Ok(stream.write_all(&encode(message)?)?)
}

/// Read one message from an asynchronous stream.
///
/// # Errors
/// See [`FrameError`].
pub async fn read_async<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> Result<T, FrameError> {
    let mut field = [0; 4];
    stream.read_exact(&mut field).await?;
    let mut payload = vec![0; checked_length(field)?];
    stream.read_exact(&mut payload).await?;
    decode(&payload)
}

/// Write one message to an asynchronous stream.
///
/// # Errors
/// See [`FrameError`].
pub async fn write_async<T: Serialize>(stream: &mut (impl AsyncWrite + Unpin), message: &T) -> Result<(), FrameError> {
    Ok(stream.write_all(&encode(message)?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_trip() {
        let message = ("text".to_string(), vec![1u64, 2, 3]);
        let frame = encode(&message).unwrap();
        assert_eq!(read::<(String, Vec<u64>)>(&mut frame.as_slice()).unwrap(), message);
    }

    #[test]
    fn a_lying_length_is_refused_before_allocation() {
        let frame = (LONGEST_FRAME as u32 + 1).to_le_bytes();
        assert!(matches!(read::<String>(&mut frame.as_slice()), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn a_frame_that_is_cut_short_ends_the_stream() {
        let frame = encode(&"hello").unwrap();
        assert!(matches!(read::<String>(&mut &frame[..frame.len() - 1]), Err(FrameError::Ended)));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_message_or_an_error(bytes in proptest::collection::vec(0u8.., 0..200)) {
            let _ = read::<(String, Vec<u64>)>(&mut bytes.as_slice());
        }
    }
}
