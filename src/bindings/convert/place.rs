//! Where in a state a value stands; written out only when something is wrong.

use std::fmt;

use pyo3::prelude::*;

use super::super::error::raise;

pub(super) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
    pub(super) depth: usize,
}

#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Root(&'a str),
    Key(&'a str),
    Index(usize),
    Element,
    /// The content of an object: it has no name of its own.
    Content,
}

impl<'a> Place<'a> {
    pub(super) fn root(name: &'a str) -> Self {
        Place { parent: None, step: Step::Root(name), depth: 0 }
    }

    pub(super) fn into(&'a self, step: Step<'a>) -> Place<'a> {
        Place { parent: Some(self), step, depth: self.depth + 1 }
    }

    pub(super) fn refuse(&self, what: impl fmt::Display) -> PyErr {
        raise("SnapshotError", format!("{self}: {what}"))
    }

    fn is_nameless(&self) -> bool {
        match self.step {
            Step::Root(name) => name.is_empty(),
            Step::Content => self.parent.is_some_and(Place::is_nameless),
            Step::Key(_) | Step::Index(_) | Step::Element => false,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(out)?;
        }
        match self.step {
            Step::Root(name) => out.write_str(name),
            Step::Key(key) if self.parent.is_some_and(|parent| !parent.is_nameless()) => write!(out, ".{key}"),
            Step::Key(key) => out.write_str(key),
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Element => out.write_str("{}"),
            Step::Content => Ok(()),
        }
    }
}

pub(super) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().qualname().map_or_else(|_| "an object".into(), |name| name.to_string())
}
