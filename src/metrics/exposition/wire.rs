//! The few things of protobuf's encoding that its messages here need.

/// A message under construction.
#[derive(Default)]
pub(in crate::metrics) struct Message(Vec<u8>);

impl Message {
    /// A message that builds in a buffer used before, so that a million small ones share a few allocations.
    pub(in crate::metrics) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Forgets the content and keeps the memory.
    pub(in crate::metrics) fn clear(&mut self) {
        self.0.clear();
    }

    /// A number of type uint32, uint64, int64 (not negative) or an enum.
    pub(in crate::metrics) fn uint(&mut self, field: u32, value: u64) {
        self.key(field, 0);
        varint(&mut self.0, value);
    }

    /// A number of type sint32 or sint64.
    pub(in crate::metrics) fn sint(&mut self, field: u32, value: i64) {
        self.uint(field, zigzag(value));
    }

    /// A number of type int64.
    pub(in crate::metrics) fn int(&mut self, field: u32, value: i64) {
        self.uint(field, value as u64);
    }

    pub(in crate::metrics) fn double(&mut self, field: u32, value: f64) {
        self.key(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(in crate::metrics) fn text(&mut self, field: u32, value: &str) {
        self.block(field, value.as_bytes());
    }

    pub(in crate::metrics) fn message(&mut self, field: u32, value: &Message) {
        self.block(field, &value.0);
    }

    /// A repeated sint64, packed.
    pub(in crate::metrics) fn packed_sints(&mut self, field: u32, values: &[i64]) {
        let mut packed = Vec::new();
        values.iter().for_each(|value| varint(&mut packed, zigzag(*value)));
        self.block(field, &packed);
    }

    fn block(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, 2);
        varint(&mut self.0, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        varint(&mut self.0, u64::from(field << 3 | wire_type));
    }
}

/// Seven bits a byte, the lowest first.
pub(in crate::metrics) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_encoding_says() {
        let mut message = Message::default();
        message.uint(1, 150);
        message.sint(2, -2);
        message.text(3, "鋼");
        message.packed_sints(10, &[0, -1, 300]);
        assert_eq!(message.bytes(), b"\x08\x96\x01\x10\x03\x1a\x03\xe9\x8b\xbc\x52\x04\x00\x01\xd8\x04");
        message.clear();
        message.int(1, -1);
        assert_eq!(message.bytes().len(), 11);
    }
}
