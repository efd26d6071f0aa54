//! A piece of state as content-addressed parts: equal content has one address and is stored once.
//!
//! A value is encoded once, on the caller's thread; that copy is the snapshot. Only when a store takes it is it cut
//! into parts (`cut`), hashed and compressed (`part`). Lists and dictionaries that are long are cut where their own
//! content says so, so that a state which grew by an entry shares all parts but a few with the one before it.

mod cut;
mod part;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::codec::{self, Build, MAX_VALUES, Writer};
use super::value::Value;
use cut::Cut;
pub use part::{Child, Packer, Part, children, is_part};

/// The layout written here; a higher number on disk was written by a newer hagane.
pub const FORMAT: u8 = 2;
/// The most that one blob may hold unpacked, in bytes. A forged blob cannot ask for more memory than this.
pub const MAX_BLOB: usize = 64 << 20;

/// The address of a part: BLAKE3 of its content.
pub type Address = [u8; 32];

/// Why a snapshot cannot be taken or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The value is too large for one blob.
    #[error("{0} bytes are more than a snapshot takes under one key ({MAX_BLOB}); store a path or a reference instead")]
    TooLarge(usize),
    /// The value has too many parts for one blob.
    #[error(
        "{0} values are more than a snapshot takes under one key ({MAX_VALUES}); store an array or a reference instead"
    )]
    TooMany(usize),
    /// Written by a newer version.
    #[error("format {0} is newer than this hagane reads ({FORMAT}); upgrade hagane to read it")]
    Newer(u8),
    /// The bytes are not what was stored.
    #[error("stored state is damaged: {0}")]
    Damaged(String),
}

/// One encoded value. It owns its bytes: nothing that the caller changes later reaches it. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Blob {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    content: Content,
    cut: OnceLock<Cut>,
    root: OnceLock<Address>,
}

#[derive(Debug)]
enum Content {
    /// As the codec wrote it.
    Encoded(Vec<u8>),
    /// As a store gave it; nothing is believed until it is read.
    Stored(HashMap<Address, Vec<u8>>),
}

impl Blob {
    /// Encodes `value`.
    pub fn encode(value: &Value) -> Result<Self, SnapshotError> {
        let mut writer = Writer::new();
        codec::write(&mut writer, value);
        Self::from_writer(writer)
    }

    /// Takes what a caller encoded by itself: exactly one value.
    pub fn from_writer(writer: Writer) -> Result<Self, SnapshotError> {
        if writer.len() > MAX_BLOB {
            return Err(SnapshotError::TooLarge(writer.len()));
        }
        if writer.values() > MAX_VALUES {
            return Err(SnapshotError::TooMany(writer.values()));
        }
        Ok(Self::new(Content::Encoded(writer.into_bytes()), OnceLock::new()))
    }

    /// Takes parts from a store as the blob of `root`; nothing is believed until `read` has checked it.
    #[must_use]
    pub fn from_parts(root: Address, parts: HashMap<Address, Vec<u8>>) -> Self {
        Self::new(Content::Stored(parts), OnceLock::from(root))
    }

    /// Takes parts that this process made and kept; none if one is missing.
    pub fn from_memory<'a>(root: Address, find: impl Fn(&Address) -> Option<&'a Part>) -> Option<Self> {
        let mut plain = Vec::new();
        part::gather(&root, &find, &mut plain)?;
        Some(Self::new(Content::Encoded(plain), OnceLock::from(root)))
    }

    /// Takes a blob from a store that is all in one part, as `whole` gave it.
    #[must_use]
    pub fn from_stored(root: Address, stored: Vec<u8>) -> Self {
        Self::from_parts(root, HashMap::from([(root, stored)]))
    }

    fn new(content: Content, root: OnceLock<Address>) -> Self {
        Self { inner: Arc::new(Inner { content, cut: OnceLock::new(), root }) }
    }

    /// The content's address.
    #[must_use]
    pub fn address(&self) -> Address {
        let cut = || self.parts().ok().and_then(|parts| parts.last()).map_or([0; 32], |root| *root.address());
        *self.inner.root.get_or_init(cut)
    }

    /// What goes into a store: children before those who name them, the root last.
    ///
    /// A blob that came from a store is checked and cut anew.
    pub fn parts(&self) -> Result<&[Arc<Part>], SnapshotError> {
        Ok(&self.cut_after(None)?.parts)
    }

    /// Cuts the blob, if it is not cut yet, with the help of one that is and that is probably much like it.
    pub(super) fn cut_after(&self, before: Option<&Self>) -> Result<&Cut, SnapshotError> {
        let plain = self.plain()?;
        let before = before.and_then(|before| match &before.inner.content {
            Content::Encoded(bytes) => before.inner.cut.get().map(|cut| (bytes.as_slice(), cut)),
            Content::Stored(_) => None,
        });
        Ok(self.inner.cut.get_or_init(|| cut::cut(&plain, before)))
    }

    /// The blob as one part whatever its length, for places that keep it by itself.
    pub fn whole(&self) -> Result<Part, SnapshotError> {
        Ok(Part::new(Vec::new(), self.plain()?.into_owned()))
    }

    /// Bytes that the parts take in a store that has none of them.
    pub fn size(&self) -> Result<usize, SnapshotError> {
        match &self.inner.content {
            Content::Stored(parts) => Ok(parts.values().map(Vec::len).sum()),
            Content::Encoded(_) => {
                let mut packer = Packer::new();
                Ok(self.parts()?.iter().map(|part| packer.pack(part).len()).sum())
            }
        }
    }

    /// A fresh copy of the value, after format, sizes and addresses were checked.
    pub fn value(&self) -> Result<Value, SnapshotError> {
        codec::read(&self.plain()?).map_err(damaged)
    }

    /// The same, made into whatever `build` makes.
    pub fn read<B: Build>(&self, build: &mut B) -> Result<B::Out, B::Error>
    where
        B::Error: From<SnapshotError>,
    {
        codec::read_with(&self.plain()?, build)
    }

    /// Bytes to unpack and check before it can be read: none for what this process encoded.
    #[must_use]
    pub fn packed(&self) -> usize {
        match &self.inner.content {
            Content::Encoded(_) => 0,
            Content::Stored(parts) => parts.values().map(Vec::len).sum(),
        }
    }

    /// Bytes of the encoded value.
    pub fn length(&self) -> Result<usize, SnapshotError> {
        match &self.inner.content {
            Content::Encoded(bytes) => Ok(bytes.len()),
            Content::Stored(_) => Ok(self.plain()?.len()),
        }
    }

    /// The encoded value, put together and checked if a store gave it.
    pub fn plain(&self) -> Result<std::borrow::Cow<'_, [u8]>, SnapshotError> {
        match &self.inner.content {
            Content::Encoded(bytes) => Ok(bytes.into()),
            Content::Stored(parts) => part::join(&self.address(), |address| parts.get(address)).map(Into::into),
        }
    }
}

/// Equal content.
impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for Blob {}

fn damaged(reason: impl ToString) -> SnapshotError {
    SnapshotError::Damaged(reason.to_string())
}
