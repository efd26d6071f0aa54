//! The part of JSON Schema that outputs of stages need. A keyword outside it is refused when the schema is built: a
//! rule that is silently not checked is worse than none.

use std::cmp::Ordering;

use super::observed::{Observed, cut};
use super::rules::Issue;
use super::whole::Whole;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A keyword that this checker does not know.
    #[error(
        "schema keyword {0:?} is not supported; supported are type, enum, const, required, properties, \
         additionalProperties, items, minimum, maximum, minLength, minItems. Use a Pydantic model for more"
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
    /// Bounds that no number keeps.
    #[error("schema has minimum {minimum} above maximum {maximum}; no number can be both")]
    Bounds {
        /// The lower bound.
        minimum: String,
        /// The upper bound, which is below it.
        maximum: String,
    },
}

/// A compiled schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schema {
    kinds: Option<Vec<String>>,
    allowed: Option<Vec<Observed>>,
    constant: Option<Observed>,
    required: Vec<String>,
    properties: Vec<(String, Schema)>,
    closed: bool,
    items: Option<Box<Schema>>,
    minimum: Option<Observed>,
    maximum: Option<Observed>,
    min_length: Option<u64>,
    min_items: Option<u64>,
}

const KINDS: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
const REMARKS: [&str; 7] = ["title", "description", "$schema", "$id", "$comment", "default", "examples"];
/// How many of the allowed values a message names.
const NAMED: usize = 20;

impl Schema {
    /// Compiles a schema document.
    pub fn compile(document: &Observed) -> Result<Self, SchemaError> {
        let Observed::Object(entries) = document else { return Err(content("schema", "an object")) };
        let mut schema = Self::default();
        for (keyword, value) in entries {
            schema.keyword(keyword, value)?;
        }
        schema.possible()
    }

    fn keyword(&mut self, keyword: &str, value: &Observed) -> Result<(), SchemaError> {
        match keyword {
            "type" => self.kinds = Some(kinds(value)?),
            "enum" => self.allowed = Some(allowed(value)?),
            "const" => self.constant = Some(json(value, keyword)?.clone()),
            "required" => self.required = strings(value).ok_or(content(keyword, "a list of names"))?,
            "properties" => self.properties = properties(value)?,
            "additionalProperties" => self.closed = !flag(value).ok_or(content(keyword, "true or false"))?,
            "items" => self.items = Some(Box::new(Self::compile(value)?)),
            "minimum" => self.minimum = Some(bound(value).ok_or(content(keyword, "a finite number"))?),
            "maximum" => self.maximum = Some(bound(value).ok_or(content(keyword, "a finite number"))?),
            "minLength" => self.min_length = Some(count(value).ok_or(content(keyword, "a count"))?),
            "minItems" => self.min_items = Some(count(value).ok_or(content(keyword, "a count"))?),
            remark if REMARKS.contains(&remark) => {}
            other => return Err(SchemaError::Keyword(cut(other, 80).0)),
        }
        Ok(())
    }

    fn possible(self) -> Result<Self, SchemaError> {
        if let (Some(minimum), Some(maximum)) = (&self.minimum, &self.maximum)
            && minimum.against(maximum) == Some(Ordering::Greater)
        {
            return Err(SchemaError::Bounds { minimum: minimum.show(), maximum: maximum.show() });
        }
        Ok(self)
    }

    /// Adds to `issues` everything in `value` that does not fit.
    pub fn check(&self, path: &str, value: &Observed, issues: &mut Vec<Issue>) {
        if let Some(kinds) = &self.kinds
            && !kinds.iter().any(|kind| fits(kind, value))
        {
            issues.push(issue(path, "type", kinds.join(" or "), format!("{} ({})", value.show(), value.kind())));
            return;
        }
        self.check_choice(path, value, issues);
        self.check_number(path, value, issues);
        if let (Some(least), Observed::String(text)) = (self.min_length, value)
            && (text.chars().count() as u64) < least
        {
            issues.push(issue(path, "minLength", format!("at least {least} characters"), value.show()));
        }
        self.check_object(path, value, issues);
        self.check_array(path, value, issues);
    }

    fn check_choice(&self, path: &str, value: &Observed, issues: &mut Vec<Issue>) {
        if let Some(constant) = &self.constant
            && !constant.same(value)
        {
            issues.push(issue(path, "const", constant.show(), value.show()));
        }
        if let Some(allowed) = &self.allowed
            && !allowed.iter().any(|one| one.same(value))
        {
            let words = allowed.iter().take(NAMED).map(Observed::show).collect::<Vec<_>>().join(", ");
            let more = if allowed.len() > NAMED { ", ..." } else { "" };
            issues.push(issue(path, "enum", format!("one of {words}{more}"), value.show()));
        }
    }

    /// What cannot be compared, such as NaN, keeps no bound.
    fn check_number(&self, path: &str, value: &Observed, issues: &mut Vec<Issue>) {
        if value.number().is_none() {
            return;
        }
        if let Some(least) = &self.minimum
            && !matches!(value.against(least), Some(Ordering::Greater | Ordering::Equal))
        {
            issues.push(issue(path, "minimum", format!("at least {}", least.show()), value.show()));
        }
        if let Some(most) = &self.maximum
            && !matches!(value.against(most), Some(Ordering::Less | Ordering::Equal))
        {
            issues.push(issue(path, "maximum", format!("at most {}", most.show()), value.show()));
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

fn kinds(value: &Observed) -> Result<Vec<String>, SchemaError> {
    let words = match value {
        Observed::String(word) => Some(vec![word.clone()]),
        other => strings(other),
    };
    let known = words.filter(|words| !words.is_empty() && words.iter().all(|word| KINDS.contains(&word.as_str())));
    known.ok_or(content("type", "null, boolean, integer, number, string, array, object or a list of them"))
}

fn allowed(value: &Observed) -> Result<Vec<Observed>, SchemaError> {
    match value {
        Observed::Array(values) if !values.is_empty() => Ok(json(value, "enum").map(|_| values.clone())?),
        _ => Err(content("enum", "a list of at least one value")),
    }
}

/// `value`, if JSON can write all of it; nothing would ever be equal to it otherwise.
fn json<'a>(value: &'a Observed, keyword: &str) -> Result<&'a Observed, SchemaError> {
    let is_json = match value {
        Observed::Other(_) => false,
        Observed::Number(number) => number.is_finite(),
        Observed::Array(items) => {
            return items.iter().try_for_each(|item| json(item, keyword).map(drop)).map(|()| value);
        }
        Observed::Object(entries) => {
            return entries.iter().try_for_each(|(_, entry)| json(entry, keyword).map(drop)).map(|()| value);
        }
        _ => true,
    };
    if is_json { Ok(value) } else { Err(content(keyword, "values that JSON can write")) }
}

fn strings(value: &Observed) -> Option<Vec<String>> {
    let Observed::Array(items) = value else { return None };
    let text = |item: &Observed| if let Observed::String(text) = item { Some(text.clone()) } else { None };
    items.iter().map(text).collect()
}

fn flag(value: &Observed) -> Option<bool> {
    if let Observed::Bool(flag) = value { Some(*flag) } else { None }
}

fn bound(value: &Observed) -> Option<Observed> {
    let is_bound = match value {
        Observed::Integer(_) => true,
        Observed::Number(number) => number.is_finite(),
        _ => false,
    };
    is_bound.then(|| value.clone())
}

fn count(value: &Observed) -> Option<u64> {
    if let Observed::Integer(Whole::Small(number)) = value { u64::try_from(*number).ok() } else { None }
}

fn properties(value: &Observed) -> Result<Vec<(String, Schema)>, SchemaError> {
    let Observed::Object(entries) = value else { return Err(content("properties", "an object")) };
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
    use serde_json::{Value as Json, json};

    fn observed(json: &Json) -> Observed {
        match json {
            Json::Null => Observed::Null,
            Json::Bool(flag) => Observed::Bool(*flag),
            Json::Number(number) => {
                number.as_i64().map_or_else(|| Observed::Number(number.as_f64().unwrap()), Observed::from)
            }
            Json::String(text) => Observed::String(text.clone()),
            Json::Array(items) => Observed::Array(items.iter().map(observed).collect()),
            Json::Object(entries) => {
                Observed::Object(entries.iter().map(|(name, entry)| (name.clone(), observed(entry))).collect())
            }
        }
    }

    fn compile(schema: &Json) -> Result<Schema, SchemaError> {
        Schema::compile(&observed(schema))
    }

    fn issues(schema: Json, value: Observed) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        compile(&schema).unwrap().check("", &value, &mut found);
        found.into_iter().map(|issue| (issue.path, issue.rule)).collect()
    }

    #[test]
    fn issues_name_their_place() {
        let schema = json!({"type": "object", "required": ["rows"], "properties": {
            "rows": {"type": "array", "minItems": 2, "items": {"type": "object", "properties": {"mass": {"minimum": 0}}}}}});
        let row = Observed::Object(vec![("mass".into(), Observed::from(-1))]);
        let output = Observed::Object(vec![("rows".into(), Observed::Array(vec![row]))]);
        let expected = [("rows".to_owned(), "minItems"), ("rows[0].mass".to_owned(), "minimum")];
        assert_eq!(issues(schema.clone(), output), expected);
        assert_eq!(issues(schema.clone(), Observed::Object(vec![])), [("rows".to_owned(), "required")]);
        assert_eq!(issues(schema, Observed::Other("Foo".into())), [(String::new(), "type")]);
    }

    #[test]
    fn numbers_and_words_are_told_apart() {
        assert!(issues(json!({"type": "number"}), Observed::from(1)).is_empty());
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
    fn values_are_compared_as_json_compares_them() {
        let value = |json: Json| observed(&json);
        assert!(issues(json!({"enum": [{"a": [1, 2.5]}, null]}), value(json!({"a": [1.0, 2.5]}))).is_empty());
        assert_eq!(issues(json!({"enum": [{"a": [1]}]}), value(json!({"a": [1], "b": 2}))).len(), 1);
        assert!(issues(json!({"const": "x"}), value(json!("x"))).is_empty());
        assert_eq!(issues(json!({"const": null}), value(json!(false))), [(String::new(), "const")]);
    }

    #[test]
    fn bounds_are_exact_beyond_the_floats() {
        let large = (1_i64 << 53) + 1;
        for schema in [json!({"minimum": large}), json!({"const": large}), json!({"enum": [large]})] {
            assert!(issues(schema.clone(), Observed::from(large)).is_empty());
            assert_eq!(issues(schema.clone(), Observed::from(large - 1)).len(), 1, "{schema}");
            assert_eq!(issues(schema.clone(), Observed::Number((large - 1) as f64)).len(), 1, "{schema}");
        }
        assert_eq!(issues(json!({"maximum": large - 1}), Observed::from(large)).len(), 1);
    }

    #[test]
    fn what_is_not_checked_is_refused() {
        for keyword in ["pattern", "anyOf", "$ref", "format", "exclusiveMinimum", "maxLength", "Type", "not"] {
            assert_eq!(compile(&json!({keyword: 1})), Err(SchemaError::Keyword(keyword.into())));
        }
        let wrong = [
            json!({"type": "text"}),
            json!({"type": []}),
            json!({"items": 3}),
            json!({"minItems": -1}),
            json!([]),
            json!({"enum": []}),
            json!({"minLength": 1.5}),
            json!({"maximum": "3"}),
            json!({"minimum": true}),
            json!({"additionalProperties": {}}),
            json!({"required": [1]}),
            json!({"properties": {"a": true}}),
        ];
        for wrong in wrong {
            assert!(matches!(compile(&wrong), Err(SchemaError::Content { .. })), "{wrong}");
        }
        let strange = |value| Schema::compile(&Observed::Object(vec![("const".into(), value)]));
        assert!(strange(Observed::Array(vec![Observed::Number(f64::NAN)])).is_err());
        assert!(strange(Observed::Object(vec![("x".into(), Observed::Other("Foo".into()))])).is_err());
    }

    #[test]
    fn bounds_that_nothing_keeps_are_refused() {
        let crossed = compile(&json!({"minimum": 3, "maximum": 2.5})).unwrap_err();
        assert_eq!(crossed.to_string(), "schema has minimum 3 above maximum 2.5; no number can be both");
        assert!(compile(&json!({"minimum": 3, "maximum": 3})).is_ok());
    }
}
