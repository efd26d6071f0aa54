//! Output of untrusted code: kept up to a cap, counted beyond it.

/// The first bytes of a stream, and how many there were in all.
#[derive(Debug)]
pub struct Capped {
    kept: Vec<u8>,
    cap: usize,
    seen: u64,
}

impl Capped {
    /// An empty stream of which `cap` bytes will be kept.
    pub fn new(cap: usize) -> Self {
        Self { kept: Vec::new(), cap, seen: 0 }
    }

    /// Take in a chunk; bytes beyond the cap are counted and dropped.
    pub fn push(&mut self, chunk: &[u8]) {
        let room = self.cap - self.kept.len();
        self.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.seen += chunk.len() as u64;
    }

    /// How many bytes came, kept or not.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether bytes were dropped.
    pub fn truncated(&self) -> bool {
        self.seen > self.kept.len() as u64
    }

    /// The bytes kept.
    pub fn into_kept(self) -> Vec<u8> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn keeps_a_prefix_and_counts_all(chunks in proptest::collection::vec(proptest::collection::vec(0u8.., 0..40), 0..20), cap in 0usize..200) {
            let mut capped = Capped::new(cap);
            chunks.iter().for_each(|chunk| capped.push(chunk));
            let all = chunks.concat();
            proptest::prop_assert_eq!(capped.seen(), all.len() as u64);
            proptest::prop_assert_eq!(capped.truncated(), all.len() > cap);
            proptest::prop_assert_eq!(capped.into_kept(), all[..all.len().min(cap)].to_vec());
        }
    }
}
