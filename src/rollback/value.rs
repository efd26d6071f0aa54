//! What a snapshot may hold: plain data, each kind told apart from its neighbours so that it comes back as it went in.

/// One value of a pipeline's state.
///
/// Everything that MessagePack has no word for is a kind of its own here; `codec` gives each a tag.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    None,
    /// True or false.
    Bool(bool),
    /// A whole number of at most 64 bits.
    Int(i64),
    /// A whole number of any size: two's complement, little end first.
    BigInt(Vec<u8>),
    /// A floating point number, NaN and infinities included, bit for bit.
    Float(f64),
    /// A complex number.
    Complex(f64, f64),
    /// Text.
    Str(String),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// An ordered sequence that can be changed.
    List(Vec<Value>),
    /// An ordered sequence that cannot.
    Tuple(Vec<Value>),
    /// Keys and values in insertion order; keys are text.
    Dict(Vec<(String, Value)>),
    /// Distinct values.
    Set(Vec<Value>),
    /// Distinct values that cannot be changed.
    FrozenSet(Vec<Value>),
    /// A moment: ISO 8601 text without offset, the fold flag, and the zone.
    DateTime(String, bool, Zone),
    /// A day, ISO 8601.
    Date(String),
    /// A time of day: ISO 8601 text without offset, the fold flag, and the zone.
    Time(String, bool, Zone),
    /// A duration in days, seconds and microseconds, as Python normalises it.
    Duration(i64, i64, i64),
    /// A decimal number as text, so that digits and signs stay.
    Decimal(String),
    /// A UUID.
    Uuid(Vec<u8>),
    /// A file path.
    Path(String),
    /// Raw bytes that can be changed.
    ByteArray(Vec<u8>),
    /// A double-ended queue: its greatest length, if it has one, and its items.
    Deque(Option<i64>, Vec<Value>),
    /// Keys and values whose order is part of their meaning.
    OrderedDict(Vec<(String, Value)>),
    /// An instance of a class that the program registered: the name it was registered under, and its content.
    Object(String, Box<Value>),
}

/// Where a clock stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zone {
    /// No zone said.
    Naive,
    /// A fixed distance from UTC in microseconds, with its name if it was given one.
    Fixed(i64, Option<String>),
    /// A zone of the IANA database.
    Named(String),
}
