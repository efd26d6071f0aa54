//! The rules of one stage and what they find in an output.

use super::observed::Observed;
use super::schema::Schema;
use super::score::{Score, judge};
use super::verdict::Outcome;

/// One thing that is wrong with an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Where, such as `findings[2].text`; empty for the output itself.
    pub path: String,
    /// Which rule: `required`, `type`, `enum`, `minimum`, ... or `score`.
    pub rule: &'static str,
    /// What the rule wants.
    pub expected: String,
    /// What is there.
    pub actual: String,
}

/// The least score that a stage's output must reach.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRule {
    /// The field that holds the score.
    pub field: String,
    /// The least acceptable number.
    pub minimum: f64,
}

/// The rules of one stage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// Fields that must be there and not null, such as `title` or `meta.author`.
    pub required: Vec<String>,
    /// What the whole output must look like.
    pub schema: Option<Schema>,
    /// The least score; applies where the output has the field or the field is required.
    pub score: Option<ScoreRule>,
}

/// What the rules found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Everything that is wrong; empty when the output passed.
    pub issues: Vec<Issue>,
    /// The score, where there is one.
    pub score: Option<f64>,
}

impl Rules {
    /// Checks `output` against every rule; all issues are reported, not only the first.
    #[must_use]
    pub fn check(&self, output: &Observed) -> Report {
        let mut issues = Vec::new();
        self.check_required(output, &mut issues);
        if let Some(schema) = &self.schema {
            schema.check("", output, &mut issues);
        }
        let score = self.check_score(output, &mut issues);
        Report { issues, score }
    }

    fn check_required(&self, output: &Observed, issues: &mut Vec<Issue>) {
        for field in &self.required {
            let actual = match output.at(field) {
                None => "missing",
                Some(Observed::Null) => "null",
                Some(_) => continue,
            };
            issues.push(Issue {
                path: field.clone(),
                rule: "required",
                expected: "a value".into(),
                actual: actual.into(),
            });
        }
    }

    fn check_score(&self, output: &Observed, issues: &mut Vec<Issue>) -> Option<f64> {
        let rule = self.score.as_ref()?;
        let applies = output.at(&rule.field).is_some() || self.required.contains(&rule.field);
        let score = Score::of(output, &rule.field);
        if applies && judge(score, rule.minimum) != Outcome::Passed {
            issues.push(Issue {
                path: rule.field.clone(),
                rule: "score",
                expected: format!("at least {}", rule.minimum),
                actual: output.at(&rule.field).map_or_else(|| "missing".into(), Observed::show),
            });
        }
        score.number()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            required: vec!["score".into(), "findings".into()],
            schema: None,
            score: Some(ScoreRule { field: "score".into(), minimum: 70.0 }),
        }
    }

    fn object(entries: &[(&str, Observed)]) -> Observed {
        Observed::Object(entries.iter().map(|(key, value)| ((*key).into(), value.clone())).collect())
    }

    #[test]
    fn a_good_output_has_no_issues() {
        let output = object(&[("score", Observed::from(80)), ("findings", Observed::Array(vec![]))]);
        assert_eq!(rules().check(&output), Report { issues: vec![], score: Some(80.0) });
    }

    #[test]
    fn missing_and_null_fields_are_issues() {
        let report = rules().check(&object(&[("findings", Observed::Null)]));
        let found: Vec<_> = report.issues.iter().map(|issue| (&*issue.path, issue.rule, &*issue.actual)).collect();
        let expected =
            [("score", "required", "missing"), ("findings", "required", "null"), ("score", "score", "missing")];
        assert_eq!(found, expected);
    }

    #[test]
    fn nan_fails_closed() {
        let output = object(&[("score", Observed::Number(f64::NAN)), ("findings", Observed::Array(vec![]))]);
        assert_eq!(rules().check(&output).issues[0].actual, "NaN");
    }

    #[test]
    fn a_stage_without_the_score_is_not_measured_by_it() {
        let only_score = Rules { required: vec![], ..rules() };
        assert_eq!(only_score.check(&object(&[])).issues, []);
        assert_eq!(only_score.check(&object(&[("score", Observed::from(1))])).issues.len(), 1);
    }
}
