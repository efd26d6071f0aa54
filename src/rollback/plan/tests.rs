use super::*;
use proptest::prelude::*;

fn check(ladder: &[OnFail]) -> Check {
    Check { name: "gate".into(), ladder: ladder.to_vec(), rollback_to: None, retries: 2, rollbacks: 2 }
}

fn settings(stages: usize, checks: Vec<Check>) -> Settings {
    let stages = (0..stages).map(|number| format!("s{number}")).collect();
    Settings { stages, checks, final_checks: false, max_starts: 100 }
}

fn plan(stages: usize, checks: Vec<Check>) -> Plan {
    Plan::new(settings(stages, checks)).unwrap()
}

#[test]
fn stages_run_in_order_to_completion() {
    let mut plan = plan(2, vec![]);
    assert_eq!(plan.begin(), Action::Run { stage: 0, attempt: 1 });
    assert_eq!(plan.judged(&[], None).unwrap(), Action::Accept { stage: 0 });
    assert_eq!(plan.accepted().unwrap(), Action::Run { stage: 1, attempt: 1 });
    assert_eq!(plan.judged(&[], None).unwrap(), Action::Accept { stage: 1 });
    assert_eq!(plan.accepted().unwrap(), Action::Complete { partial: false });
}

#[test]
fn retries_are_spent_and_then_the_next_rung_is_taken() {
    let mut plan = plan(1, vec![check(&[OnFail::Retry, OnFail::Escalate])]);
    plan.begin();
    assert_eq!(plan.judged(&[0], None).unwrap(), Action::Retry { stage: 0, attempt: 2, check: 0 });
    assert_eq!(plan.judged(&[0], None).unwrap(), Action::Retry { stage: 0, attempt: 3, check: 0 });
    let stop = Action::Stop { how: OnFail::Escalate, stage: 0, check: Some(0) };
    assert_eq!(plan.judged(&[0], None).unwrap(), stop);
}

#[test]
fn the_same_failure_twice_stops_early() {
    let mut plan = plan(1, vec![check(&[OnFail::Retry, OnFail::Reject])]);
    plan.begin();
    assert!(matches!(plan.judged(&[0], Some("same")).unwrap(), Action::Retry { .. }));
    assert!(matches!(plan.judged(&[0], Some("same")).unwrap(), Action::Stop { how: OnFail::Reject, .. }));
}

#[test]
fn a_rollback_is_worth_one_try_against_a_failure_that_retries_did_not_change() {
    let ladder = [OnFail::Retry, OnFail::Rollback, OnFail::Reject];
    let mut plan = plan(2, vec![check(&ladder)]);
    plan.begin();
    let mut forward = |failures: &[usize]| plan.judged(failures, Some("same")).unwrap();
    assert!(matches!(forward(&[0]), Action::Retry { .. }));
    assert!(matches!(forward(&[0]), Action::Rollback { to: 0, .. }));
    assert!(matches!(forward(&[0]), Action::Stop { how: OnFail::Reject, .. }));
}

#[test]
fn a_rollback_drops_later_outputs_and_gives_no_attempt_back() {
    let mut plan = plan(3, vec![check(&[OnFail::Rollback, OnFail::Escalate])]);
    plan.begin();
    for _ in 0..2 {
        plan.judged(&[], None).unwrap();
        plan.accepted().unwrap();
    }
    let back = plan.judged(&[0], None).unwrap();
    assert_eq!(back, Action::Rollback { from: 2, to: 1, attempt: 2, check: 0 });
    assert_eq!(plan.state().done, [Done::Accepted, Done::Open, Done::Open]);
    assert_eq!(plan.state().attempts, [1, 2, 1]);
}

#[test]
fn several_rollbacks_go_to_the_earliest_target() {
    let to_first = Check { rollback_to: Some(0), ..check(&[OnFail::Rollback, OnFail::Fail]) };
    let mut plan = plan(3, vec![check(&[OnFail::Rollback, OnFail::Fail]), to_first]);
    plan.begin();
    for _ in 0..2 {
        plan.judged(&[], None).unwrap();
        plan.accepted().unwrap();
    }
    assert!(matches!(plan.judged(&[0, 1], None).unwrap(), Action::Rollback { to: 0, .. }));
}

#[test]
fn the_runs_own_budget_ends_everything() {
    let generous = Check { retries: 99, ..check(&[OnFail::Retry, OnFail::Escalate]) };
    let mut plan = Plan::new(Settings { max_starts: 2, ..settings(1, vec![generous]) }).unwrap();
    plan.begin();
    assert!(matches!(plan.judged(&[0], None).unwrap(), Action::Retry { attempt: 2, .. }));
    assert_eq!(plan.judged(&[0], None).unwrap(), Action::Stop { how: OnFail::Fail, stage: 0, check: None });
}

#[test]
fn a_waived_check_of_the_results_is_partial_and_not_checked_again() {
    let with_final = Settings { final_checks: true, ..settings(1, vec![check(&[OnFail::Skip])]) };
    let mut plan = Plan::new(with_final).unwrap();
    plan.begin();
    plan.judged(&[], None).unwrap();
    assert_eq!(plan.accepted().unwrap(), Action::CheckFinal);
    assert_eq!(plan.judged(&[0], None).unwrap(), Action::Skip { stage: 0, check: 0 });
    assert_eq!(plan.state().done, [Done::Accepted]);
    assert_eq!(plan.accepted().unwrap(), Action::Complete { partial: true });
}

#[test]
fn going_back_to_a_stage_that_never_ran_is_an_error() {
    let mut plan = plan(2, vec![]);
    plan.begin();
    for name in ["s1", "nowhere"] {
        assert!(matches!(plan.rollback_to(name), Err(PlanError::NotRun(..))), "{name}");
    }
    assert_eq!(plan.rollback_to("s0"), Ok(0));
    assert_eq!(plan.rollback_to("s0"), Ok(0));
    assert_eq!(plan.begin(), Action::Run { stage: 0, attempt: 2 });
}

#[test]
fn reports_out_of_turn_are_refused() {
    let mut plan = plan(1, vec![]);
    assert!(matches!(plan.judged(&[], None), Err(PlanError::OutOfTurn { .. })));
    plan.begin();
    assert!(matches!(plan.accepted(), Err(PlanError::OutOfTurn { .. })));
    assert!(matches!(plan.judged(&[7], None), Err(PlanError::Settings(_))));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let twice = Settings { stages: vec!["a".into(), "a".into()], ..settings(1, vec![]) };
    let beyond = Check { rollback_to: Some(9), ..check(&[OnFail::Rollback, OnFail::Fail]) };
    let endless = settings(1, vec![check(&[OnFail::Retry])]);
    for wrong in [settings(0, vec![]), twice, endless, settings(1, vec![beyond])] {
        assert!(matches!(Plan::new(wrong), Err(PlanError::Settings(_))));
    }
}

#[test]
fn progress_of_another_pipeline_is_refused() {
    let other = plan(3, vec![]);
    assert!(matches!(Plan::restore(settings(2, vec![]), other.state().clone()), Err(PlanError::Foreign(_))));
    assert!(matches!(State::from_bytes(b"{}"), Err(PlanError::Foreign(_))));
    assert!(matches!(State::from_bytes(&vec![b' '; MAX_STATE + 1]), Err(PlanError::Foreign(_))));
}

#[test]
fn progress_survives_a_crash_with_what_was_spent() {
    let ladder = [OnFail::Retry, OnFail::Reject];
    let mut before = plan(2, vec![check(&ladder)]);
    before.begin();
    before.judged(&[], None).unwrap();
    before.accepted().unwrap();
    before.judged(&[0], None).unwrap();
    let stored = State::from_bytes(&before.state().to_bytes().unwrap()).unwrap();
    let mut after = Plan::restore(before.settings().clone(), stored).unwrap();
    assert_eq!(after.begin(), Action::Run { stage: 1, attempt: 3 });
    assert!(matches!(after.judged(&[0], None).unwrap(), Action::Retry { .. }));
    assert!(matches!(after.judged(&[0], None).unwrap(), Action::Stop { how: OnFail::Reject, .. }));
}

fn ladders() -> impl Strategy<Value = Vec<OnFail>> {
    let last =
        prop::sample::select(vec![OnFail::Skip, OnFail::Fallback, OnFail::Escalate, OnFail::Reject, OnFail::Abort]);
    let first = prop::collection::vec(prop::sample::select(vec![OnFail::Retry, OnFail::Rollback]), 0..3);
    (first, last).prop_map(|(mut ladder, last)| {
        ladder.push(last);
        ladder
    })
}

prop_compose! {
    fn pipelines()(stages in 1_usize..5)(
        checks in prop::collection::vec(
            (ladders(), prop::option::of(0..stages), 0_u32..4, 0_u32..4).prop_map(|(ladder, rollback_to, retries, rollbacks)| {
                Check { name: "gate".into(), ladder, rollback_to, retries, rollbacks }
            }), 1..4),
        stages in Just(stages), final_checks in any::<bool>(), max_starts in 1_u32..60,
    ) -> Settings {
        Settings { stages: (0..stages).map(|number| number.to_string()).collect(), checks, final_checks, max_starts }
    }
}

/// Plays random verdicts; the outputs a driver would hold are kept beside the plan to see that none is lost.
fn play(settings: Settings, verdicts: &[Vec<bool>]) -> Result<(), TestCaseError> {
    let bound = settings.max_starts;
    let checks = settings.checks.len();
    let mut plan = Plan::new(settings).unwrap();
    let mut held = vec![false; plan.settings().stages.len()];
    let mut starts = 0;
    let mut turns = verdicts.iter().cycle();
    let mut action = plan.begin();
    loop {
        action = match action {
            Action::Run { stage, .. } | Action::Retry { stage, .. } | Action::Rollback { to: stage, .. } => {
                starts += 1;
                prop_assert!(starts <= bound, "{starts} starts with a budget of {bound}");
                held[stage..].fill(false);
                prop_assert!(held[..stage].iter().all(|kept| *kept), "an earlier output is gone: {held:?}");
                judge(&mut plan, turns.next(), checks)?
            }
            Action::CheckFinal => judge(&mut plan, turns.next(), checks)?,
            Action::Accept { stage } | Action::Skip { stage, .. } | Action::Fallback { stage, .. } => {
                held[stage] = true;
                plan.accepted().unwrap()
            }
            Action::Complete { partial } => {
                prop_assert!(held.iter().all(|kept| *kept));
                let whole = plan.state().done.iter().all(|done| *done == Done::Accepted);
                prop_assert!(partial || whole);
                return Ok(());
            }
            Action::Stop { .. } => return Ok(()),
        };
    }
}

/// Reports one round of verdicts and sees that nothing milder than the most severe failure follows.
fn judge(plan: &mut Plan, verdicts: Option<&Vec<bool>>, checks: usize) -> Result<Action, TestCaseError> {
    let failed = |check: &usize| verdicts.is_some_and(|bad| bad[check % bad.len()]);
    let failures: Vec<usize> = (0..checks).filter(failed).collect();
    let stage = plan.standing("").unwrap();
    let worst = failures.iter().map(|check| plan.step(*check, stage, Tried::Nothing)).max();
    let action = plan.judged(&failures, None).unwrap();
    let taken = match action {
        Action::Retry { .. } => Some(OnFail::Retry),
        Action::Rollback { .. } => Some(OnFail::Rollback),
        Action::Skip { .. } => Some(OnFail::Skip),
        Action::Fallback { .. } => Some(OnFail::Fallback),
        Action::Stop { how, check: Some(_), .. } => Some(how),
        Action::Stop { check: None, .. } => return Ok(action),
        _ => None,
    };
    prop_assert_eq!(taken, worst);
    Ok(action)
}

proptest! {
    #[test]
    fn every_run_ends_within_its_budget_and_loses_no_accepted_output(
        settings in pipelines(),
        verdicts in prop::collection::vec(prop::collection::vec(any::<bool>(), 1..4), 1..20),
    ) {
        play(settings, &verdicts)?;
    }

    #[test]
    fn stored_progress_comes_back(settings in pipelines(), failures in 0_usize..6) {
        let mut plan = Plan::new(settings).unwrap();
        plan.begin();
        for _ in 0..failures {
            if plan.judged(&[0], None).is_err() {
                break;
            }
        }
        let back = State::from_bytes(&plan.state().to_bytes().unwrap()).unwrap();
        prop_assert_eq!(&back, plan.state());
        prop_assert!(Plan::restore(plan.settings().clone(), back).is_ok());
    }

    #[test]
    fn arbitrary_bytes_are_no_progress_and_no_panic(bytes in any::<Vec<u8>>()) {
        prop_assert!(State::from_bytes(&bytes).is_err());
    }
}
