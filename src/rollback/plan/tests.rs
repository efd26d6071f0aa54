use super::*;

pub(super) fn check(ladder: &[OnFail]) -> Check {
    Check { name: "gate".into(), ladder: ladder.to_vec(), rollback_to: None, retries: 2, rollbacks: 2 }
}

fn settings(stages: usize, checks: Vec<Check>) -> Settings {
    let stages = (0..stages).map(|number| format!("s{number}")).collect();
    Settings { stages, traits: vec![], checks, final_checks: false, max_starts: 100, limit: Limit::default() }
}

fn spent(stage: usize, budget: Budget) -> Action {
    Action::Stop { how: OnFail::Fail, stage, check: None, budget: Some(budget) }
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
    assert_eq!(plan.judged(&[0], None).unwrap(), Action::Retry { stage: 0, attempt: 2, check: Some(0) });
    assert_eq!(plan.judged(&[0], None).unwrap(), Action::Retry { stage: 0, attempt: 3, check: Some(0) });
    assert_eq!(plan.judged(&[0], None).unwrap(), Action::Ask { stage: 0, ask: Ask::Output(0) });
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
    let forward = |plan: &mut Plan| plan.judged(&[0], Some("same")).unwrap();
    assert!(matches!(forward(&mut plan), Action::Retry { .. }));
    assert!(matches!(forward(&mut plan), Action::Rollback { to: 0, .. }));
    assert!(matches!(plan.going_back().unwrap(), Action::Run { stage: 0, attempt: 3 }));
    assert!(matches!(forward(&mut plan), Action::Stop { how: OnFail::Reject, .. }));
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
    assert_eq!(back, Action::Rollback { from: 2, to: 1, attempt: 2, check: Some(0) });
    assert_eq!(plan.going_back().unwrap(), Action::Run { stage: 1, attempt: 2 });
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
    assert_eq!(plan.judged(&[0], None).unwrap(), spent(0, Budget::Starts));
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
    let odd = Settings { traits: vec![Traits::default(); 2], ..settings(1, vec![]) };
    for wrong in [settings(0, vec![]), twice, endless, settings(1, vec![beyond]), odd] {
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

fn special(traits: Vec<Traits>, checks: Vec<Check>) -> Plan {
    Plan::new(Settings { traits: traits.clone(), ..settings(traits.len(), checks) }).unwrap()
}

fn compensating() -> Traits {
    Traits { compensates: true, ..Traits::default() }
}

/// Judges the running stage good and takes its output over.
fn pass(plan: &mut Plan) -> Action {
    plan.judged(&[], None).unwrap();
    plan.accepted().unwrap()
}

#[test]
fn going_back_undoes_in_reverse_and_each_once() {
    let back = Check { rollback_to: Some(0), ..check(&[OnFail::Rollback, OnFail::Fail]) };
    let mut plan = special(vec![compensating(), Traits::default(), compensating(), compensating()], vec![back]);
    plan.begin();
    for _ in 0..3 {
        pass(&mut plan);
    }
    assert!(matches!(plan.judged(&[0], None).unwrap(), Action::Rollback { from: 3, to: 0, .. }));
    assert_eq!(plan.going_back().unwrap(), Action::Compensate { stage: 2 });
    assert_eq!(plan.begin(), Action::Compensate { stage: 2 }, "a crash before it is recorded does it again");
    assert_eq!(plan.compensated().unwrap(), Action::Compensate { stage: 0 });
    assert_eq!(plan.compensated().unwrap(), Action::Run { stage: 0, attempt: 2 });
    assert_eq!(plan.state().generations, [1, 0, 1, 0]);
}

#[test]
fn an_effect_of_a_refused_attempt_is_undone_too() {
    let mut plan = special(vec![Traits::default(), compensating()], vec![check(&[OnFail::Rollback, OnFail::Fail])]);
    plan.begin();
    pass(&mut plan);
    plan.touched(1);
    plan.judged(&[0], None).unwrap();
    assert_eq!(plan.going_back().unwrap(), Action::Compensate { stage: 1 });
}

#[test]
fn a_stage_may_wait_for_a_human_before_and_after_it_runs() {
    let asking = Traits { ask_before: true, ask_after: true, ..Traits::default() };
    let mut plan = special(vec![asking], vec![check(&[OnFail::Retry, OnFail::Reject])]);
    assert_eq!(plan.begin(), Action::Ask { stage: 0, ask: Ask::Before });
    assert_eq!(plan.begin(), Action::Ask { stage: 0, ask: Ask::Before });
    assert_eq!(plan.decided(Decision::Approve).unwrap(), Action::Run { stage: 0, attempt: 1 });
    assert!(matches!(plan.judged(&[0], None).unwrap(), Action::Retry { .. }), "a retry does not ask again");
    assert_eq!(plan.judged(&[], None).unwrap(), Action::Ask { stage: 0, ask: Ask::After });
    assert_eq!(plan.decided(Decision::Update).unwrap(), Action::Judge { stage: 0 });
    assert_eq!(plan.judged(&[], None).unwrap(), Action::Accept { stage: 0 });
}

fn escalating() -> Plan {
    let mut plan = plan(2, vec![check(&[OnFail::Escalate])]);
    plan.begin();
    pass(&mut plan);
    assert_eq!(plan.judged(&[0], Some("x")).unwrap(), Action::Ask { stage: 1, ask: Ask::Output(0) });
    plan
}

#[test]
fn a_human_decides_what_becomes_of_a_refused_output() {
    assert_eq!(escalating().decided(Decision::Approve).unwrap(), Action::Accept { stage: 1 });
    assert_eq!(escalating().decided(Decision::Update).unwrap(), Action::Judge { stage: 1 });
    let again = Action::Retry { stage: 1, attempt: 2, check: Some(0) };
    assert_eq!(escalating().decided(Decision::Retry).unwrap(), again);
    let rejected = escalating().decided(Decision::Reject).unwrap();
    assert!(matches!(rejected, Action::Stop { how: OnFail::Reject, check: Some(0), .. }));
    assert_eq!(escalating().decided(Decision::Cancel).unwrap(), Action::Cancelled);
}

#[test]
fn a_decision_is_taken_once() {
    let mut plan = escalating();
    plan.decided(Decision::Retry).unwrap();
    assert!(matches!(plan.decided(Decision::Retry), Err(PlanError::OutOfTurn { .. })));
}

#[test]
fn a_refusal_goes_back_where_the_check_says() {
    let back = Check { rollback_to: Some(0), ..check(&[OnFail::Escalate]) };
    let mut plan = plan(2, vec![back]);
    plan.begin();
    pass(&mut plan);
    plan.judged(&[0], None).unwrap();
    assert!(matches!(plan.decided(Decision::Reject).unwrap(), Action::Rollback { from: 1, to: 0, .. }));
}

#[test]
fn a_human_who_stands_up_for_the_results_makes_them_whole() {
    let settings = Settings { final_checks: true, ..settings(1, vec![check(&[OnFail::Escalate])]) };
    let mut plan = Plan::new(settings).unwrap();
    plan.begin();
    pass(&mut plan);
    assert_eq!(plan.judged(&[0], None).unwrap(), Action::Ask { stage: 0, ask: Ask::Results(0) });
    let mut changed = plan.clone();
    assert_eq!(plan.decided(Decision::Approve).unwrap(), Action::Accept { stage: 0 });
    assert_eq!(plan.accepted().unwrap(), Action::Complete { partial: false });
    assert_eq!(changed.decided(Decision::Update).unwrap(), Action::Judge { stage: 0 });
    assert_eq!(pass(&mut changed), Action::CheckFinal, "what was changed is checked again");
}

#[test]
fn what_an_agent_asks_is_answered_to_the_agent() {
    let mut plan = plan(1, vec![]);
    plan.begin();
    assert_eq!(plan.asked().unwrap(), Action::Ask { stage: 0, ask: Ask::Agent });
    assert_eq!(plan.decided(Decision::Reject).unwrap(), Action::Run { stage: 0, attempt: 2 });
}

#[test]
fn cancelling_undoes_everything() {
    let mut plan = special(vec![compensating(), compensating()], vec![check(&[OnFail::Escalate])]);
    plan.begin();
    pass(&mut plan);
    plan.judged(&[0], None).unwrap();
    assert_eq!(plan.decided(Decision::Cancel).unwrap(), Action::Compensate { stage: 0 });
    assert_eq!(plan.compensated().unwrap(), Action::Cancelled);
}

#[test]
fn a_stage_has_its_own_budget_and_retries_inherit_the_remainder() {
    let limit = Limit { tokens: Some(100), ..Limit::default() };
    let reserve = Amount { tokens: 30, ..Amount::default() };
    let frugal = Traits { limit, reserve, ..Traits::default() };
    let mut plan = special(vec![frugal], vec![Check { retries: 99, ..check(&[OnFail::Retry, OnFail::Reject]) }]);
    plan.begin();
    plan.used(0, Amount { tokens: 60, ..Amount::default() });
    assert_eq!(plan.left(0).tokens, Some(40));
    assert!(matches!(plan.judged(&[0], None).unwrap(), Action::Retry { .. }));
    plan.used(0, Amount { tokens: 20, ..Amount::default() });
    assert!(matches!(plan.judged(&[0], None).unwrap(), Action::Stop { how: OnFail::Reject, .. }));
}

#[test]
fn the_runs_tokens_and_cost_and_the_stages_time_and_attempts_are_limits() {
    let limit = Limit { tokens: Some(10), cost: Some(10), ..Limit::default() };
    let spend = |amount: Amount, traits: Vec<Traits>| {
        let mut plan = Plan::new(Settings { limit, traits, ..settings(2, vec![]) }).unwrap();
        plan.begin();
        plan.used(0, amount);
        plan.used(1, Amount { wall: amount.wall, ..Amount::default() });
        pass(&mut plan)
    };
    let none = Amount::default();
    assert_eq!(spend(Amount { tokens: 10, ..none }, vec![]), spent(1, Budget::Tokens));
    assert_eq!(spend(Amount { cost: 11, ..none }, vec![]), spent(1, Budget::Cost));
    let slow = Traits { limit: Limit { wall: Some(5), ..Limit::default() }, ..Traits::default() };
    assert_eq!(spend(Amount { wall: 5, ..none }, vec![slow; 2]), spent(1, Budget::Wall));
    let never = Traits { attempts: Some(0), ..Traits::default() };
    assert_eq!(spend(none, vec![Traits::default(), never]), spent(1, Budget::Attempts));
    // Also the first start, and that of a run that somebody wants to go on.
    let mut plan = Plan::new(Settings { limit, traits: vec![never; 2], ..settings(2, vec![]) }).unwrap();
    assert_eq!([plan.begin(), plan.begin()], [spent(0, Budget::Attempts); 2]);
    assert_eq!(spend(Amount { tokens: 9, ..none }, vec![]), Action::Run { stage: 1, attempt: 1 });
}

#[test]
fn an_output_that_lacks_a_part_makes_the_run_partial_until_the_stage_runs_again() {
    let mut plan = plan(1, vec![check(&[OnFail::Retry, OnFail::Fail])]);
    plan.begin();
    plan.damaged().unwrap();
    let mut whole = plan.clone();
    assert_eq!(pass(&mut plan), Action::Complete { partial: true });
    whole.judged(&[0], None).unwrap();
    assert_eq!(pass(&mut whole), Action::Complete { partial: false });
}

#[test]
fn every_budget_and_decision_has_its_word() {
    let budgets = [Budget::Starts, Budget::Attempts, Budget::Wall, Budget::Tokens, Budget::Cost];
    assert_eq!(budgets.map(Budget::as_str), ["starts", "attempts", "wall", "tokens", "cost"]);
    assert_eq!("update".parse::<Decision>().unwrap(), Decision::Update);
    assert!("resume".parse::<Decision>().unwrap_err().to_string().contains("approve, update"));
}

#[test]
fn progress_stored_before_there_were_budgets_is_still_read() {
    let old = br#"{"phase":{"Running":0},"done":["Open"],"attempts":[1],"starts":1,"retries":[],"rollbacks":[],"seen":[],"waived":false}"#;
    let mut plan = Plan::restore(settings(1, vec![]), State::from_bytes(old).unwrap()).unwrap();
    assert_eq!(plan.begin(), Action::Run { stage: 0, attempt: 2 });
    assert_eq!(pass(&mut plan), Action::Complete { partial: false });
}
