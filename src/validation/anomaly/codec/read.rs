//! Bytes to a detector, trusting none of them.

use std::collections::{BTreeMap, VecDeque};

use super::super::detector::{Detector, MAX_MEASURED, MAX_PATHS};
use super::super::field::{Field, TEXT_RING, TextMemory};
use super::super::series::{RING, Series};
use super::DecodeError;

/// Reads exactly one detector that takes all of `body`.
pub(super) fn detector(body: &[u8]) -> Result<Detector, DecodeError> {
    let mut reader = Reader { rest: body };
    let (outputs, novel) = (reader.count()?, reader.count()?);
    let paths = reader.length(MAX_PATHS)?;
    let mut fields = BTreeMap::new();
    for _ in 0..paths {
        let path = reader.path()?;
        if fields.last_key_value().is_some_and(|(before, _)| *before >= path) {
            return Err(DecodeError::Damaged("its paths are not in order"));
        }
        let field = reader.field()?;
        fields.insert(path, field);
    }
    if !reader.rest.is_empty() {
        return Err(DecodeError::Damaged("bytes follow its end"));
    }
    if fields.values().filter(|field| field.is_measured()).count() > MAX_MEASURED {
        return Err(DecodeError::Damaged("more is measured than there may be"));
    }
    Ok(Detector { outputs, novel, fields })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Damaged("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Damaged("it ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A count of outputs; more than a ring of them there never are.
    fn count(&mut self) -> Result<u32, DecodeError> {
        let count = u32::from_le_bytes(self.array()?);
        if count as usize > RING { Err(DecodeError::Damaged("a count is too large")) } else { Ok(count) }
    }

    fn length(&mut self, most: usize) -> Result<usize, DecodeError> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        if length > most { Err(DecodeError::Damaged("a length is too large")) } else { Ok(length) }
    }

    fn path(&mut self) -> Result<String, DecodeError> {
        let length = self.length(usize::from(u16::MAX))?;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::Damaged("a path is not UTF-8"))?;
        Ok(text.to_owned())
    }

    fn field(&mut self) -> Result<Field, DecodeError> {
        let mut field = Field { present: self.count()?, ..Field::default() };
        for count in &mut field.kinds {
            *count = self.count()?;
        }
        field.complete = self.count()?;
        field.numbers = self.series(RING)?;
        field.text = match self.array()? {
            [0] => None,
            [1] => Some(Box::new(self.text()?)),
            _ => return Err(DecodeError::Damaged("a mark is neither 0 nor 1")),
        };
        Ok(field)
    }

    fn text(&mut self) -> Result<TextMemory, DecodeError> {
        Ok(TextMemory {
            length: self.series(TEXT_RING)?,
            repetition: self.series(TEXT_RING)?,
            compression: self.series(TEXT_RING)?,
            scripts: self.ring(Self::array)?,
            signs: self.ring(Self::signs)?,
        })
    }

    fn signs(&mut self) -> Result<[bool; 2], DecodeError> {
        match self.array()? {
            [bits @ 0..=3] => Ok([bits & 1 != 0, bits & 2 != 0]),
            _ => Err(DecodeError::Damaged("a mark has more than two bits")),
        }
    }

    fn ring<T>(&mut self, read: impl Fn(&mut Self) -> Result<T, DecodeError>) -> Result<VecDeque<T>, DecodeError> {
        let length = self.length(TEXT_RING)?;
        (0..length).map(|_| read(self)).collect()
    }

    fn series(&mut self, capacity: usize) -> Result<Series, DecodeError> {
        let length = self.length(capacity)?;
        let mut numbers = Vec::new();
        for bytes in self.take(length * 8)?.as_chunks::<8>().0 {
            numbers.push(f64::from_le_bytes(*bytes));
        }
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(DecodeError::Damaged("a number is not finite"));
        }
        Ok(Series::of(numbers))
    }
}
