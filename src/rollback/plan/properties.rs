//! What holds for every pipeline and every course of events.

use super::*;
use proptest::prelude::*;

fn ladders() -> impl Strategy<Value = Vec<OnFail>> {
    let last =
        prop::sample::select(vec![OnFail::Skip, OnFail::Fallback, OnFail::Escalate, OnFail::Reject, OnFail::Abort]);
    let first = prop::collection::vec(prop::sample::select(vec![OnFail::Retry, OnFail::Rollback]), 0..3);
    (first, last).prop_map(|(mut ladder, last)| {
        ladder.push(last);
        ladder
    })
}

fn traits() -> impl Strategy<Value = Traits> {
    let attempts = prop::option::of(1_u32..4);
    let tokens = prop::option::of(1_u64..60);
    (any::<bool>(), any::<bool>(), any::<bool>(), attempts, tokens, 0_u64..10).prop_map(
        |(compensates, ask_before, ask_after, attempts, tokens, reserve)| Traits {
            compensates,
            ask_before,
            ask_after,
            attempts,
            limit: Limit { tokens, ..Limit::default() },
            reserve: Amount { tokens: reserve, ..Amount::default() },
        },
    )
}

prop_compose! {
    fn pipelines()(stages in 1_usize..5)(
        checks in prop::collection::vec(
            (ladders(), prop::option::of(0..stages), 0_u32..4, 0_u32..4).prop_map(|(ladder, rollback_to, retries, rollbacks)| {
                Check { name: "gate".into(), ladder, rollback_to, retries, rollbacks }
            }), 1..4),
        traits in prop::collection::vec(traits(), stages..=stages),
        stages in Just(stages), final_checks in any::<bool>(), max_starts in 1_u32..60,
        tokens in prop::option::of(1_u64..200),
    ) -> Settings {
        let limit = Limit { tokens, ..Limit::default() };
        let stages = (0..stages).map(|number| number.to_string()).collect();
        Settings { stages, traits, checks, final_checks, max_starts, limit }
    }
}

/// What happens at a turn: which checks fail, whether the output lacks a part, what a human says, whether the process
/// dies and another one goes on.
#[derive(Debug, Clone)]
struct Turn {
    bad: Vec<bool>,
    damaged: bool,
    said: Decision,
    same: bool,
    tokens: u64,
    crash: bool,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let said = prop::sample::select(vec![
        Decision::Approve,
        Decision::Update,
        Decision::Retry,
        Decision::Reject,
        Decision::Cancel,
    ]);
    let bad = prop::collection::vec(any::<bool>(), 1..4);
    let turn = (bad, any::<bool>(), said, any::<bool>(), 0_u64..20, prop::bool::weighted(0.2))
        .prop_map(|(bad, damaged, said, same, tokens, crash)| Turn { bad, damaged, said, same, tokens, crash });
    prop::collection::vec(turn, 1..20)
}

/// What the driver of a plan would hold, kept beside it to see that nothing is lost, done twice or forgotten.
struct Driver {
    plan: Plan,
    held: Vec<bool>,
    effects: Vec<bool>,
    undone: Vec<usize>,
    starts: u32,
    granted: u32,
}

impl Driver {
    fn new(settings: Settings) -> Self {
        let stages = settings.stages.len();
        let plan = Plan::new(settings).unwrap();
        Self { plan, held: vec![false; stages], effects: vec![false; stages], undone: vec![], starts: 0, granted: 0 }
    }

    /// The process dies and another one restores what was stored.
    fn crash(&mut self) -> Result<Action, TestCaseError> {
        let stored = self.plan.state().to_bytes().unwrap();
        let state = State::from_bytes(&stored).unwrap();
        prop_assert_eq!(&state, self.plan.state());
        self.plan = Plan::restore(self.plan.settings().clone(), state).unwrap();
        // Begun again on request: one start that the budget does not pay.
        self.granted += 1;
        Ok(self.plan.begin())
    }

    fn start(&mut self, stage: usize, turn: &Turn) -> Result<(), TestCaseError> {
        self.starts += 1;
        let bound = self.plan.settings().max_starts + self.granted;
        prop_assert!(self.starts <= bound, "{} starts with a budget of {bound}", self.starts);
        self.held[stage..].fill(false);
        prop_assert!(self.held[..stage].iter().all(|kept| *kept), "an earlier output is gone: {:?}", self.held);
        self.plan.used(stage, Amount { tokens: turn.tokens, ..Amount::default() });
        if turn.damaged {
            self.plan.damaged().unwrap();
        }
        self.undone.clear();
        Ok(())
    }

    fn accept(&mut self, stage: usize, done: bool) -> Action {
        self.held[stage] = true;
        self.effects[stage] |= done && self.plan.settings().of(stage).compensates;
        self.plan.accepted().unwrap()
    }

    fn compensate(&mut self, stage: usize) -> Result<Action, TestCaseError> {
        prop_assert!(self.effects[stage], "stage {stage} did nothing, or is undone already");
        prop_assert!(self.undone.last().is_none_or(|last| stage < *last), "{stage} after {:?}", self.undone);
        self.effects[stage] = false;
        self.undone.push(stage);
        Ok(self.plan.compensated().unwrap())
    }

    /// Reports one round of verdicts and sees that nothing milder than the most severe failure follows.
    fn judge(&mut self, turn: &Turn) -> Result<Action, TestCaseError> {
        let plan = &mut self.plan;
        let failures: Vec<usize> =
            (0..plan.settings().checks.len()).filter(|check| turn.bad[check % turn.bad.len()]).collect();
        let stage = plan.standing("").unwrap();
        let print = turn.same.then_some("same");
        let tried = plan.state.clone().remember(stage, print);
        let worst = failures.iter().map(|check| plan.step(*check, stage, tried)).max();
        let before = plan.clone();
        let action = plan.judged(&failures, print).unwrap();
        if failures.is_empty() {
            Self::in_one_step(before, plan.clone(), action)?;
        }
        let taken = match action {
            Action::Retry { .. } => Some(OnFail::Retry),
            Action::Rollback { .. } => Some(OnFail::Rollback),
            Action::Skip { .. } => Some(OnFail::Skip),
            Action::Fallback { .. } => Some(OnFail::Fallback),
            Action::Ask { ask: Ask::Output(_) | Ask::Results(_), .. } => Some(OnFail::Escalate),
            Action::Stop { how, check: Some(_), .. } => Some(how),
            Action::Stop { check: None, .. } => return Ok(action),
            _ => None,
        };
        prop_assert_eq!(taken, worst);
        Ok(action)
    }

    /// `passed` is `judged` and, where the output is taken over, `accepted`.
    fn in_one_step(mut before: Plan, mut judged: Plan, action: Action) -> Result<(), TestCaseError> {
        let expected = match action {
            Action::Accept { .. } => (true, judged.accepted().unwrap()),
            _ => (false, action),
        };
        prop_assert_eq!(before.passed().unwrap(), expected);
        prop_assert_eq!(before.state(), judged.state());
        Ok(())
    }

    fn ended(&self, action: Action) -> Result<(), TestCaseError> {
        if let Action::Complete { partial } = action {
            prop_assert!(self.held.iter().all(|kept| *kept));
            let whole = self.plan.state().done.iter().all(|done| *done == Done::Accepted);
            let damaged = self.plan.state().damaged.iter().any(|damaged| *damaged);
            prop_assert!(partial || (whole && !damaged), "success although something is missing");
        }
        if action == Action::Cancelled {
            prop_assert!(self.effects.iter().all(|effect| !effect), "cancelled, but not undone: {:?}", self.effects);
        }
        Ok(())
    }
}

fn play(settings: Settings, turns: &[Turn]) -> Result<(), TestCaseError> {
    let mut driver = Driver::new(settings);
    let mut action = driver.plan.begin();
    let mut turns = turns.iter().cycle();
    // Humans and crashes may come as often as they like; only what the plan does by itself is bounded.
    for _ in 0..2_000 {
        let Some(turn) = turns.next() else { break };
        action = match action {
            _ if turn.crash && driver.granted < 20 => driver.crash()?,
            Action::Run { stage, .. } | Action::Retry { stage, .. } => {
                driver.start(stage, turn)?;
                driver.judge(turn)?
            }
            Action::Judge { .. } | Action::CheckFinal => driver.judge(turn)?,
            Action::Rollback { to, .. } => {
                let next = driver.plan.going_back().unwrap();
                if !matches!(next, Action::Compensate { .. }) {
                    let left = driver.effects[to..].iter().any(|effect| *effect);
                    prop_assert!(!left, "back at {to} with effects {:?}", driver.effects);
                }
                next
            }
            Action::Compensate { stage } => driver.compensate(stage)?,
            Action::Accept { stage } | Action::Fallback { stage, .. } => driver.accept(stage, true),
            Action::Skip { stage, .. } => driver.accept(stage, false),
            Action::Ask { .. } if driver.granted >= 20 => {
                let next = driver.plan.decided(Decision::Cancel).unwrap();
                driver.undone.clear();
                next
            }
            Action::Ask { .. } => {
                driver.granted += 1;
                driver.undone.clear();
                driver.plan.decided(turn.said).unwrap()
            }
            Action::Complete { .. } | Action::Stop { .. } | Action::Cancelled => return driver.ended(action),
        };
    }
    Err(TestCaseError::fail("the run does not end"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_run_ends_within_its_budget_loses_no_accepted_output_and_undoes_once_in_reverse(
        settings in pipelines(), turns in turns(),
    ) {
        play(settings, &turns)?;
    }

    #[test]
    fn a_limit_of_tokens_starts_nothing_that_it_does_not_hold(settings in pipelines(), turns in turns()) {
        let limit = settings.limit.tokens;
        let mut plan = Plan::new(settings).unwrap();
        let mut action = plan.begin();
        let mut spent = 0;
        for turn in turns.iter().cycle().take(400) {
            action = match action {
                Action::Run { stage, .. } | Action::Retry { stage, .. } => {
                    let reserve = plan.settings().of(stage).reserve.tokens;
                    prop_assert!(limit.is_none_or(|limit| spent + reserve.max(1) <= limit), "{spent}");
                    plan.used(stage, Amount { tokens: turn.tokens, ..Amount::default() });
                    spent += turn.tokens;
                    plan.judged(&if turn.bad[0] { vec![0] } else { vec![] }, None).unwrap()
                }
                Action::CheckFinal => plan.judged(&if turn.bad[0] { vec![0] } else { vec![] }, None).unwrap(),
                Action::Rollback { .. } => plan.going_back().unwrap(),
                Action::Compensate { .. } => plan.compensated().unwrap(),
                Action::Accept { .. } | Action::Fallback { .. } | Action::Skip { .. } => plan.accepted().unwrap(),
                Action::Ask { ask: Ask::Before | Ask::After, .. } => plan.decided(Decision::Approve).unwrap(),
                _ => break,
            };
        }
    }

    #[test]
    fn going_back_twice_is_going_back_once(settings in pipelines(), turns in turns(), to in 0_usize..5) {
        let mut driver = Driver::new(settings);
        let mut action = driver.plan.begin();
        for turn in turns.iter().cycle().take(turns.len().min(12)) {
            action = match action {
                Action::Run { .. } | Action::Retry { .. } => driver.judge(turn)?,
                Action::Accept { stage } => driver.accept(stage, true),
                _ => break,
            };
        }
        let mut once = driver.plan;
        let name = once.settings().stages[to % once.settings().stages.len()].clone();
        let mut twice = once.clone();
        let first = once.rollback_to(&name);
        prop_assert_eq!(&twice.rollback_to(&name), &first);
        prop_assert_eq!(&twice.rollback_to(&name), &first);
        prop_assert_eq!(once.state(), twice.state());
        prop_assert_eq!(once.begin(), twice.begin());
    }

    #[test]
    fn arbitrary_bytes_are_no_progress_and_no_panic(bytes in any::<Vec<u8>>()) {
        prop_assert!(State::from_bytes(&bytes).is_err());
    }
}
