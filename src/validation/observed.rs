//! What a rule sees of an output: JSON's kinds, and the name of the type for everything else.

/// One observed value.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number, as a float for comparing and as text for messages.
    Integer(f64),
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

    /// The number, if it is one; booleans are not.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) | Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A short text for messages; long text is cut.
    #[must_use]
    pub fn show(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(flag) => flag.to_string(),
            Self::Integer(number) | Self::Number(number) => number.to_string(),
            Self::String(text) if text.chars().count() > 40 => {
                format!("\"{}...\"", text.chars().take(40).collect::<String>())
            }
            Self::String(text) => format!("\"{text}\""),
            Self::Array(items) => format!("array of {}", items.len()),
            Self::Object(entries) => format!("object of {}", entries.len()),
            Self::Other(name) => name.clone(),
        }
    }
}
