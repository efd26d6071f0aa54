//! What a run may use: starts, attempts, time, tokens, money. What was spent is never given back.

use super::{Action, Limit, Plan};
use crate::validation::OnFail;
use serde::{Deserialize, Serialize};

/// An amount of everything that is limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Milliseconds of wall time.
    pub wall: u64,
    /// Tokens of language models.
    pub tokens: u64,
    /// Cost in millionths of the currency's unit.
    pub cost: u64,
}

impl Amount {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            wall: self.wall.saturating_add(other.wall),
            tokens: self.tokens.saturating_add(other.tokens),
            cost: self.cost.saturating_add(other.cost),
        }
    }
}

/// A budget that does not suffice for one more start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Starts of the run.
    Starts,
    /// Starts of the stage.
    Attempts,
    /// The stage's wall time.
    Wall,
    /// Tokens of the stage or the run.
    Tokens,
    /// Cost of the stage or the run.
    Cost,
}

impl Budget {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starts => "starts",
            Self::Attempts => "attempts",
            Self::Wall => "wall",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
        }
    }
}

impl Limit {
    /// The first of wall time, tokens and cost that does not hold `spent` and `reserve` on top. Where nothing need be
    /// left, something must be: a budget that is used up starts nothing.
    fn lacks(&self, spent: Amount, reserve: Amount) -> Option<Budget> {
        let over = |limit: Option<u64>, spent: u64, reserve: u64| {
            limit.is_some_and(|limit| spent.saturating_add(reserve.max(1)) > limit)
        };
        let rows = [
            (over(self.wall, spent.wall, reserve.wall), Budget::Wall),
            (over(self.tokens, spent.tokens, reserve.tokens), Budget::Tokens),
            (over(self.cost, spent.cost, reserve.cost), Budget::Cost),
        ];
        rows.into_iter().find(|(over, _)| *over).map(|(_, budget)| budget)
    }

    fn left(&self, spent: Amount) -> Self {
        Self {
            wall: self.wall.map(|limit| limit.saturating_sub(spent.wall)),
            tokens: self.tokens.map(|limit| limit.saturating_sub(spent.tokens)),
            cost: self.cost.map(|limit| limit.saturating_sub(spent.cost)),
        }
    }
}

impl Plan {
    /// Books what an attempt of `stage` used, whatever became of it.
    pub fn used(&mut self, stage: usize, amount: Amount) {
        if let Some(spent) = self.state.spent.get_mut(stage) {
            *spent = spent.plus(amount);
        }
    }

    /// What the stage may still use: the remainder of its own limit, and of the run's tokens and cost.
    #[must_use]
    pub fn left(&self, stage: usize) -> Limit {
        let spent = self.state.spent.get(stage).copied().unwrap_or_default();
        let own = self.settings.of(stage).limit.left(spent);
        let run = self.settings.limit.left(self.spent_in_all());
        let least = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Limit { wall: own.wall, tokens: least(own.tokens, run.tokens), cost: least(own.cost, run.cost) }
    }

    /// What forbids one more start of `stage`.
    pub(super) fn lacking(&self, stage: usize) -> Option<Budget> {
        if self.state.starts >= self.settings.max_starts {
            return Some(Budget::Starts);
        }
        self.lacking_but_starts(stage)
    }

    /// What but the run's own count forbids one more start of `stage`: also of the first one, and when somebody wants
    /// the run to go on.
    pub(super) fn lacking_but_starts(&self, stage: usize) -> Option<Budget> {
        let traits = self.settings.of(stage);
        if traits.attempts.is_some_and(|most| self.state.attempts[stage] >= most) {
            return Some(Budget::Attempts);
        }
        let run = Limit { wall: None, ..self.settings.limit };
        let own = traits.limit.lacks(self.state.spent[stage], traits.reserve);
        own.or_else(|| run.lacks(self.spent_in_all(), traits.reserve))
    }

    /// Whether the stage's own budget allows one more start; the run's own is not its check's business.
    pub(super) fn affords(&self, stage: usize) -> bool {
        matches!(self.lacking(stage), None | Some(Budget::Starts))
    }

    /// Takes one start of a stage from the budgets; says stop when one is spent.
    pub(super) fn charge(&mut self, stage: usize) -> Option<Action> {
        if let Some(budget) = self.lacking(stage) {
            return Some(self.stop(OnFail::Fail, stage, None, Some(budget)));
        }
        self.state.starts += 1;
        None
    }

    fn spent_in_all(&self) -> Amount {
        self.state.spent.iter().copied().fold(Amount::default(), Amount::plus)
    }
}
