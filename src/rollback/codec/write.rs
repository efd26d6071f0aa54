//! The bytes of each kind. A caller announces a container's length and then writes that many items.

/// MessagePack under construction.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    values: usize,
}

impl Writer {
    /// Nothing written yet.
    #[must_use]
    pub fn new() -> Self {
        Self { out: Vec::with_capacity(256), values: 0 }
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// What was written after the first `start` bytes.
    #[must_use]
    pub fn since(&self, start: usize) -> &[u8] {
        &self.out[start..]
    }

    /// How many bytes were written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// At least as many as a reader will count.
    #[must_use]
    pub fn values(&self) -> usize {
        self.values
    }

    /// Nothing.
    pub fn none(&mut self) {
        self.values += 1;
        self.out.push(0xc0);
    }

    /// True or false.
    pub fn boolean(&mut self, flag: bool) {
        self.values += 1;
        self.out.push(if flag { 0xc3 } else { 0xc2 });
    }

    /// A whole number of 64 bits.
    pub fn int(&mut self, number: i64) {
        self.values += 1;
        if (-32..128).contains(&number) {
            self.out.push(number.to_le_bytes()[0]);
        } else if let Ok(short) = i32::try_from(number) {
            self.out.push(0xd2);
            self.out.extend(short.to_be_bytes());
        } else {
            self.out.push(0xd3);
            self.out.extend(number.to_be_bytes());
        }
    }

    /// A floating point number, bit for bit.
    pub fn float(&mut self, number: f64) {
        self.values += 1;
        self.out.push(0xcb);
        self.out.extend(number.to_bits().to_be_bytes());
    }

    /// Text.
    pub fn text(&mut self, text: &str) {
        self.values += 1;
        self.header(Family::STRING, text.len());
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Raw bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.values += 1;
        self.header(Family::BINARY, bytes.len());
        self.out.extend_from_slice(bytes);
    }

    /// The head of a list; `length` items follow.
    pub fn list(&mut self, length: usize) {
        self.values += 1;
        self.header(Family::ARRAY, length);
    }

    /// The head of a dictionary; `length` times a text and a value follow.
    pub fn map(&mut self, length: usize) {
        self.values += 1;
        self.header(Family::MAP, length);
    }

    /// Says that the next value is the content of kind `tag`.
    pub fn tag(&mut self, tag: u8) {
        self.values += 1;
        self.out.extend([0x81, tag]);
    }

    /// A set. Sets have no order; its items, each encoded by itself, are sorted, so that equal sets have equal bytes and
    /// one address.
    pub fn sorted(&mut self, mut items: Vec<Self>) {
        items.sort_unstable_by(|one, other| one.out.cmp(&other.out));
        self.list(items.len());
        for item in items {
            self.values += item.values;
            self.out.extend_from_slice(&item.out);
        }
    }

    /// Lengths above 32 bits cannot occur: `snapshot` refuses a blob long before.
    #[allow(clippy::cast_possible_truncation)]
    fn header(&mut self, family: Family, length: usize) {
        match family.inline {
            Some((first, most)) if length <= most => self.out.push(first | length as u8),
            _ if length <= usize::from(u16::MAX) => {
                self.out.push(family.wide);
                self.out.extend((length as u16).to_be_bytes());
            }
            _ => {
                self.out.push(family.widest);
                self.out.extend((length as u32).to_be_bytes());
            }
        }
    }
}

/// The first bytes of a family of sized things: up to `inline.1` entries in one byte, else 16 or 32 bits of length.
struct Family {
    inline: Option<(u8, usize)>,
    wide: u8,
    widest: u8,
}

impl Family {
    const STRING: Self = Self { inline: Some((0xa0, 31)), wide: 0xda, widest: 0xdb };
    const BINARY: Self = Self { inline: None, wide: 0xc5, widest: 0xc6 };
    const ARRAY: Self = Self { inline: Some((0x90, 15)), wide: 0xdc, widest: 0xdd };
    const MAP: Self = Self { inline: Some((0x80, 15)), wide: 0xde, widest: 0xdf };
}
