//! The bearer token.

/// A token that scrapes must carry. Only its hash is kept, and hashes are compared in constant time, so that neither
/// the answer's time nor a memory dump says what it is.
pub struct Token(blake3::Hash);

impl Token {
    /// Expects `token`; `None` if it is empty or has characters that a header cannot carry.
    pub fn new(token: &str) -> Option<Self> {
        let carried = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        carried.then(|| Self(blake3::hash(token.as_bytes())))
    }

    /// Whether an `Authorization` header carries it.
    pub(super) fn opens(&self, authorization: Option<&str>) -> bool {
        let Some((scheme, given)) = authorization.and_then(|header| header.trim().split_once(' ')) else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer") && blake3::hash(given.trim().as_bytes()) == self.0
    }
}
