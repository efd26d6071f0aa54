//! Python's view of `validation`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::convert::{observe, schema as read_schema};
use crate::validation::{Observed, Rules, Schema, Score, ScoreRule, judge};

/// Path, rule, expected, actual.
type IssueRow = (String, &'static str, String, String);

/// The rules of one stage.
#[pyclass(frozen, module = "hagane._core")]
struct StageRules {
    rules: Rules,
}

#[pymethods]
impl StageRules {
    #[new]
    #[pyo3(signature = (*, required, schema=None, score_field=None, minimum=None))]
    fn new(
        required: Vec<String>,
        schema: Option<&Bound<'_, PyAny>>,
        score_field: Option<String>,
        minimum: Option<f64>,
    ) -> PyResult<Self> {
        let compile = |document: &Bound<'_, PyAny>| {
            Schema::compile(&read_schema(document)?).map_err(|error| PyValueError::new_err(error.to_string()))
        };
        let schema = schema.map(compile).transpose()?;
        let score = score_field.zip(minimum).map(|(field, minimum)| ScoreRule { field, minimum });
        Ok(Self { rules: Rules { required, schema, score } })
    }

    /// Everything that is wrong with `output`, and its score.
    fn check(&self, output: &Bound<'_, PyAny>) -> (Vec<IssueRow>, Option<f64>) {
        let report = self.rules.check(&observe(output));
        let rows = report.issues.into_iter().map(|issue| (issue.path, issue.rule, issue.expected, issue.actual));
        (rows.collect(), report.score)
    }
}

/// `passed`, `failed` or `error` for a score against a threshold, and the score if it is a number.
#[pyfunction]
fn judge_score(score: &Bound<'_, PyAny>, threshold: f64) -> (&'static str, Option<f64>) {
    let score = match observe(score) {
        Observed::Null => Score::Missing,
        seen => seen.number().map_or(Score::NotANumber, Score::Found),
    };
    (judge(score, threshold).as_str(), score.number())
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<StageRules>()?;
    module.add_function(wrap_pyfunction!(judge_score, module)?)
}
