//! What a detector says about an output, and how it is set.

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look; the output goes on.
    Warning,
    /// Enough to have the output made again.
    Action,
}

/// One thing that is unusual about an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, such as `summary.text` or `rows[].mass`; empty for the output itself.
    pub path: String,
    /// Which check, such as `unusual_value`.
    pub rule: &'static str,
    /// How sure it is.
    pub severity: Severity,
    /// What accepted outputs have.
    pub expected: String,
    /// What is there.
    pub actual: String,
}

/// What a user may choose.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The share of honest outputs that a family of checks may find unusual.
    pub alpha: f64,
    /// Whether findings may act; otherwise all of them are warnings.
    pub may_act: bool,
    /// Paths that are not looked at, with everything below them.
    pub ignored: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { alpha: 0.01, may_act: true, ignored: Vec::new() }
    }
}

impl Settings {
    /// Whether `path` is one of the ignored ones or lies below one.
    pub(super) fn ignores(&self, path: &str) -> bool {
        self.ignored.iter().any(|ignored| {
            path.strip_prefix(ignored.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignoring_a_path_ignores_what_is_below_it_only() {
        let settings = Settings { ignored: vec!["a.b".into()], ..Settings::default() };
        let ignored = |path: &str| settings.ignores(path);
        assert!(ignored("a.b") && ignored("a.b.c") && ignored("a.b[].c"));
        assert!(!ignored("a") && !ignored("a.bc") && !ignored("x.a.b"));
    }
}
