//! The part of JSON Schema that outputs of stages need. A keyword outside it is refused when the schema is built: a
//! rule that is silently not checked is worse than none.

use super::observed::{Observed, cut};
use super::rules::Issue;
use serde_json::Value as Json;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A keyword that this checker does not know.
    #[error(
        "schema keyword {0:?} is not supported; supported are type, enum, required, properties, additionalProperties, \
         items, minimum, maximum, minLength, minItems. Use a Pydantic model for more"
    )]
    Keyword(String),
    /// A keyword with a value that it cannot have.
    #[error("schema keyword {keyword:?} wants {wants}")]
    Content {
        /// The keyword.
        keyword: String,
        /// What it wants.
        wants: &'static str,
    },
}

/// A compiled schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schema {
    kinds: Option<Vec<String>>,
    allowed: Option<Vec<Json>>,
    required: Vec<String>,
    properties: Vec<(String, Schema)>,
    closed: bool,
    items: Option<Box<Schema>>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<u64>,
    min_items: Option<u64>,
}

const KINDS: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
const REMARKS: [&str; 6] = ["title", "description", "$schema", "$id", "default", "examples"];

impl Schema {
    /// Compiles a schema document.
    pub fn compile(document: &Json) -> Result<Self, SchemaError> {
        let entries = document.as_object().ok_or(content("schema", "an object"))?;
        let mut schema = Self::default();
        for (keyword, value) in entries {
            schema.keyword(keyword, value)?;
        }
        Ok(schema)
    }

    fn keyword(&mut self, keyword: &str, value: &Json) -> Result<(), SchemaError> {
        match keyword {
            "type" => self.kinds = Some(kinds(value)?),
            "enum" => self.allowed = Some(value.as_array().ok_or(content(keyword, "a list"))?.clone()),
            "required" => self.required = strings(value).ok_or(content(keyword, "a list of names"))?,
            "properties" => self.properties = properties(value)?,
            "additionalProperties" => self.closed = !value.as_bool().ok_or(content(keyword, "true or false"))?,
            "items" => self.items = Some(Box::new(Self::compile(value)?)),
            "minimum" => self.minimum = Some(value.as_f64().ok_or(content(keyword, "a number"))?),
            "maximum" => self.maximum = Some(value.as_f64().ok_or(content(keyword, "a number"))?),
            "minLength" => self.min_length = Some(value.as_u64().ok_or(content(keyword, "a count"))?),
            "minItems" => self.min_items = Some(value.as_u64().ok_or(content(keyword, "a count"))?),
            remark if REMARKS.contains(&remark) => {}
            other => return Err(SchemaError::Keyword(other.to_owned())),
        }
        Ok(())
    }

    /// Adds to `issues` everything in `value` that does not fit.
    pub fn check(&self, path: &str, value: &Observed, issues: &mut Vec<Issue>) {
        if let Some(kinds) = &self.kinds
            && !kinds.iter().any(|kind| fits(kind, value))
        {
            issues.push(issue(path, "type", kinds.join(" or "), format!("{} ({})", value.show(), value.kind())));
            return;
        }
        self.check_scalar(path, value, issues);
        self.check_object(path, value, issues);
        self.check_array(path, value, issues);
    }

    fn check_scalar(&self, path: &str, value: &Observed, issues: &mut Vec<Issue>) {
        if let Some(allowed) = &self.allowed
            && !allowed.iter().any(|one| same(one, value))
        {
            let words = allowed.iter().map(Json::to_string).collect::<Vec<_>>().join(", ");
            issues.push(issue(path, "enum", format!("one of {words}"), value.show()));
        }
        // Written so that NaN, which compares with nothing, fails both.
        if let (Some(least), Some(number)) = (self.minimum, value.number())
            && (number.is_nan() || number < least)
        {
            issues.push(issue(path, "minimum", format!("at least {least}"), value.show()));
        }
        if let (Some(most), Some(number)) = (self.maximum, value.number())
            && (number.is_nan() || number > most)
        {
            issues.push(issue(path, "maximum", format!("at most {most}"), value.show()));
        }
        if let (Some(least), Observed::String(text)) = (self.min_length, value)
            && (text.chars().count() as u64) < least
        {
            issues.push(issue(path, "minLength", format!("at least {least} characters"), value.show()));
        }
    }

    fn check_object(&self, path: &str, value: &Observed, issues: &mut Vec<Issue>) {
        let Observed::Object(entries) = value else { return };
        for name in self.required.iter().filter(|name| value.get(name).is_none()) {
            issues.push(issue(&join(path, name), "required", "a value".into(), "missing".into()));
        }
        for (name, entry) in entries {
            match self.properties.iter().find(|(known, _)| known == name) {
                Some((_, schema)) => schema.check(&join(path, name), entry, issues),
                None if self.closed => {
                    issues.push(issue(&join(path, name), "additionalProperties", "no such field".into(), entry.show()));
                }
                None => {}
            }
        }
    }

    fn check_array(&self, path: &str, value: &Observed, issues: &mut Vec<Issue>) {
        let Observed::Array(items) = value else { return };
        if let Some(least) = self.min_items
            && (items.len() as u64) < least
        {
            issues.push(issue(path, "minItems", format!("at least {least} items"), value.show()));
        }
        if let Some(schema) = &self.items {
            for (index, item) in items.iter().enumerate() {
                schema.check(&format!("{path}[{index}]"), item, issues);
            }
        }
    }
}

/// 3.0 is an integer in JSON Schema, and every integer is a number.
fn fits(kind: &str, value: &Observed) -> bool {
    match (kind, value) {
        ("number", Observed::Integer(_)) => true,
        ("integer", Observed::Number(number)) => number.fract() == 0.0,
        _ => kind == value.kind(),
    }
}

fn same(json: &Json, value: &Observed) -> bool {
    match (json, value) {
        (Json::Null, Observed::Null) => true,
        (Json::Bool(one), Observed::Bool(other)) => one == other,
        (Json::Number(one), value) => one.as_f64().is_some() && one.as_f64() == value.number(),
        (Json::String(one), Observed::String(other)) => one == other,
        _ => false,
    }
}

fn kinds(value: &Json) -> Result<Vec<String>, SchemaError> {
    let words = value.as_str().map(|word| vec![word.to_owned()]).or_else(|| strings(value));
    let known = words.filter(|words| words.iter().all(|word| KINDS.contains(&word.as_str())));
    known.ok_or(content("type", "null, boolean, integer, number, string, array, object or a list of them"))
}

fn strings(value: &Json) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn properties(value: &Json) -> Result<Vec<(String, Schema)>, SchemaError> {
    let entries = value.as_object().ok_or(content("properties", "an object"))?;
    entries.iter().map(|(name, inner)| Ok((name.clone(), Schema::compile(inner)?))).collect()
}

fn content(keyword: &str, wants: &'static str) -> SchemaError {
    SchemaError::Content { keyword: keyword.to_owned(), wants }
}

fn issue(path: &str, rule: &'static str, expected: String, actual: String) -> Issue {
    Issue { path: path.to_owned(), rule, expected, actual }
}

fn join(path: &str, name: &str) -> String {
    let name = cut(name, 80).0;
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn issues(schema: Json, value: Observed) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        Schema::compile(&schema).unwrap().check("", &value, &mut found);
        found.into_iter().map(|issue| (issue.path, issue.rule)).collect()
    }

    #[test]
    fn issues_name_their_place() {
        let schema = json!({"type": "object", "required": ["rows"], "properties": {
            "rows": {"type": "array", "minItems": 2, "items": {"type": "object", "properties": {"mass": {"minimum": 0}}}}}});
        let row = Observed::Object(vec![("mass".into(), Observed::Integer(-1.0))]);
        let output = Observed::Object(vec![("rows".into(), Observed::Array(vec![row]))]);
        let expected = [("rows".to_owned(), "minItems"), ("rows[0].mass".to_owned(), "minimum")];
        assert_eq!(issues(schema.clone(), output), expected);
        assert_eq!(issues(schema.clone(), Observed::Object(vec![])), [("rows".to_owned(), "required")]);
        assert_eq!(issues(schema, Observed::Other("Foo".into())), [(String::new(), "type")]);
    }

    #[test]
    fn numbers_and_words_are_told_apart() {
        assert!(issues(json!({"type": "number"}), Observed::Integer(1.0)).is_empty());
        assert!(issues(json!({"type": "integer"}), Observed::Number(3.0)).is_empty());
        assert_eq!(issues(json!({"type": "integer"}), Observed::Bool(true)).len(), 1);
        assert_eq!(issues(json!({"maximum": 3}), Observed::Number(f64::NAN)).len(), 1);
        assert_eq!(issues(json!({"enum": ["a", 1]}), Observed::String("b".into())).len(), 1);
        assert!(issues(json!({"enum": ["a", 1]}), Observed::Number(1.0)).is_empty());
        assert_eq!(issues(json!({"minLength": 2}), Observed::String("あ".into())).len(), 1);
        let closed = json!({"additionalProperties": false});
        assert_eq!(issues(closed, Observed::Object(vec![("x".into(), Observed::Null)])).len(), 1);
    }

    #[test]
    fn what_is_not_checked_is_refused() {
        let unknown = Schema::compile(&json!({"pattern": "x"})).unwrap_err();
        assert_eq!(unknown, SchemaError::Keyword("pattern".into()));
        for wrong in [json!({"type": "text"}), json!({"items": 3}), json!({"minItems": -1}), json!([])] {
            assert!(matches!(Schema::compile(&wrong), Err(SchemaError::Content { .. })), "{wrong}");
        }
    }
}
