//! What went wrong inside a transaction, before it is said where.

use super::StoreError;

/// `E` is the database's own error.
pub(super) enum Failure<E> {
    Database(E),
    Store(StoreError),
    Corrupt(String),
    /// A row, or all tables, of a newer format.
    Newer(i64),
    /// A run of this name is there.
    Twice(String),
}

impl<E> From<StoreError> for Failure<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<E> Failure<E> {
    pub(super) fn unknown(kind: &'static str, name: impl ToString) -> Self {
        Self::Store(StoreError::Unknown { kind, name: name.to_string() })
    }

    /// The error of the store at `place`, which writes tables of format `known`.
    pub(super) fn at(self, place: String, known: i64, explain: impl FnOnce(E, String) -> StoreError) -> StoreError {
        match self {
            Self::Database(error) => explain(error, place),
            Self::Store(error) => error,
            Self::Corrupt(reason) => StoreError::Corrupt { place, reason },
            Self::Newer(found) => StoreError::Newer { place, found, known },
            Self::Twice(run) => StoreError::Unusable {
                place,
                reason: format!("run {run:?} exists already"),
                remedy: "give every run an id of its own",
            },
        }
    }
}

/// The error of a store that was closed.
pub(super) fn closed(place: String) -> StoreError {
    StoreError::Unusable { place, reason: "it was closed".into(), remedy: "open a new store for further work" }
}
