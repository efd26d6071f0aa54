//! Where in a state a value stands; written out only when something is wrong.

use std::fmt;

use pyo3::prelude::*;

use super::super::error::raise;

pub(super) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
    pub(super) depth: usize,
    pub(super) trial: Trial,
}

/// Which objects are made anew while they are stored, to see that their class gives back what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// Those that no other one holds: what they hold is made with them.
    Outermost,
    /// None: one that holds them is tried.
    Within,
    /// Each by itself, the innermost first, to find the one that is to blame.
    Each,
}

#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Root(&'a str),
    Key(&'a str),
    Index(usize),
    Element,
    /// The content of an object: it has no name of its own.
    Content,
    /// The same, of one whose class runs no code of its own: others in it are still the outermost.
    Kept,
    /// The content of a model: neither it nor the groups in it have names of their own.
    Groups,
}

impl<'a> Place<'a> {
    pub(super) fn root(name: &'a str) -> Self {
        Place { parent: None, step: Step::Root(name), depth: 0, trial: Trial::Outermost }
    }

    pub(super) fn into(&'a self, step: Step<'a>) -> Place<'a> {
        let within = self.trial != Trial::Each && matches!(step, Step::Content | Step::Groups);
        let trial = if within { Trial::Within } else { self.trial };
        Place { parent: Some(self), step, depth: self.depth + 1, trial }
    }

    /// The same place, with other objects to try.
    pub(super) fn trying(&self, trial: Trial) -> Place<'a> {
        Place { parent: self.parent, step: self.step, depth: self.depth, trial }
    }

    fn is_group(&self) -> bool {
        self.parent.is_some_and(|parent| matches!(parent.step, Step::Groups))
    }

    pub(super) fn refuse(&self, what: impl fmt::Display) -> PyErr {
        raise("SnapshotError", format!("{self}: {what}"))
    }

    fn is_nameless(&self) -> bool {
        match self.step {
            Step::Root(name) => name.is_empty(),
            Step::Content | Step::Kept | Step::Groups => self.parent.is_some_and(Place::is_nameless),
            Step::Key(_) if self.is_group() => self.parent.is_some_and(Place::is_nameless),
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
            Step::Key(_) if self.is_group() => Ok(()),
            Step::Key(key) if self.parent.is_some_and(|parent| !parent.is_nameless()) => write!(out, ".{key}"),
            Step::Key(key) => out.write_str(key),
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Element => out.write_str("{}"),
            Step::Content | Step::Kept | Step::Groups => Ok(()),
        }
    }
}

pub(super) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().qualname().map_or_else(|_| "an object".into(), |name| name.to_string())
}
