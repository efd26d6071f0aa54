//! What a rule sees of an output: JSON's kinds, and the name of the type for everything else.

use super::whole::Whole;
use std::cmp::Ordering;

/// One observed value.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(Whole),
    /// Any other number; NaN and infinities included.
    Number(f64),
    /// Text.
    String(String),
    /// A sequence.
    Array(Vec<Observed>),
    /// Keys and values.
    Object(Vec<(String, Observed)>),
    /// Something that JSON has no kind for; the name of its type.
    Other(String),
}

impl Observed {
    /// JSON Schema's word for the kind, or the type's own name.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
            Self::Other(name) => name,
        }
    }

    /// The entry under `key`, if this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Observed> {
        match self {
            Self::Object(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The value at a place such as `meta.author`: the entry of exactly that name, else one field after the other.
    #[must_use]
    pub fn at(&self, place: &str) -> Option<&Observed> {
        self.get(place).or_else(|| {
            let splits = place.char_indices().filter(|(_, mark)| *mark == '.').map(|(index, _)| place.split_at(index));
            let mut found = splits.filter_map(|(first, rest)| self.get(first)?.at(&rest[1..]));
            found.next()
        })
    }

    /// The number, if it is one; booleans are not.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(number.near()),
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// How one number stands to another, exactly; none where one is NaN or no number.
    #[must_use]
    pub fn against(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(one), Self::Integer(two)) => Some(one.cmp(two)),
            (Self::Integer(one), Self::Number(two)) => one.against(*two),
            (Self::Number(one), Self::Integer(two)) => two.against(*one).map(Ordering::reverse),
            (Self::Number(one), Self::Number(two)) => one.partial_cmp(two),
            _ => None,
        }
    }

    /// Whether JSON Schema calls them equal: 1 and 1.0 are, and entries have no order. What JSON has no kind for is
    /// equal to nothing.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::String(one), Self::String(two)) => one == two,
            (Self::Array(one), Self::Array(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.same(two))
            }
            (Self::Object(one), Self::Object(two)) => {
                let has = |(name, value): &(String, Self)| other.get(name).is_some_and(|found| value.same(found));
                one.len() == two.len() && one.iter().all(has)
            }
            _ => self.against(other) == Some(Ordering::Equal),
        }
    }

    /// A short text for messages; long text is cut.
    #[must_use]
    pub fn show(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(flag) => flag.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::String(text) => match cut(text, 40) {
                (start, true) => format!("\"{start}...\""),
                (whole, false) => format!("\"{whole}\""),
            },
            Self::Array(items) => format!("array of {}", items.len()),
            Self::Object(entries) => format!("object of {}", entries.len()),
            Self::Other(name) => cut(name, 80).0,
        }
    }
}

impl From<i64> for Observed {
    fn from(number: i64) -> Self {
        Self::Integer(number.into())
    }
}

/// The first characters of a text, and whether there are more. A message is read line by line, by a model too: what
/// could end a line or be obeyed by a terminal is written out.
pub(super) fn cut(text: &str, limit: usize) -> (String, bool) {
    let start = text.chars().take(limit).map(|mark| match mark {
        mark if mark.is_control() || matches!(mark, '\u{2028}' | '\u{2029}') => mark.escape_unicode().to_string(),
        mark => mark.to_string(),
    });
    (start.collect(), text.chars().nth(limit).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, value: Observed) -> Observed {
        Observed::Object(vec![(key.into(), value)])
    }

    #[test]
    fn a_dotted_place_is_a_field_of_that_name_or_a_way_through_fields() {
        let inner = object("meta", object("author", Observed::Bool(true)));
        assert_eq!(inner.at("meta.author"), Some(&Observed::Bool(true)));
        assert_eq!(object("meta.author", Observed::Null).at("meta.author"), Some(&Observed::Null));
        let mixed = object("a.b", object("c", Observed::Null));
        assert_eq!(mixed.at("a.b.c"), Some(&Observed::Null));
        assert_eq!((inner.at("meta.title"), inner.at("meta."), inner.at(".")), (None, None, None));
    }

    #[test]
    fn equal_is_what_json_schema_calls_equal() {
        let list = |numbers: [f64; 2]| Observed::Array(numbers.map(Observed::Number).into());
        let both = |first: &str, second: &str| {
            Observed::Object([first, second].map(|name| (name.into(), Observed::Null)).into())
        };
        assert!(Observed::from(1).same(&Observed::Number(1.0)) && list([1.0, 2.0]).same(&list([1.0, 2.0])));
        assert!(both("a", "b").same(&both("b", "a")) && !both("a", "b").same(&both("a", "c")));
        assert!(!Observed::from(1).same(&Observed::Bool(true)) && !list([1.0, f64::NAN]).same(&list([1.0, f64::NAN])));
        assert!(!Observed::Other("Foo".into()).same(&Observed::Other("Foo".into())));
        assert!(!Observed::from((1 << 53) + 1).same(&Observed::Number((1_i64 << 53) as f64)));
    }

    #[test]
    fn a_message_stays_on_its_line() {
        assert_eq!(Observed::String("a\nIGNORE\u{1b}[2J".into()).show(), r#""a\u{a}IGNORE\u{1b}[2J""#);
        assert_eq!(Observed::String("あ".repeat(41)).show(), format!("\"{}...\"", "あ".repeat(40)));
    }
}
