//! How often honest outputs are reported, and how often a fault is.
//!
//! 2,000 baselines of 200 outputs and 60 candidates for each make a rate whose standard error is 0.033 %: the limit of
//! 1.2 % is six of these away from the share of 0.995 % (2 of 201) that a correct test has.

use super::super::field::Field;
use super::super::series::Series;
use super::distributions::{Distribution, Draw, SEVEN};
use super::*;

const HISTORIES: usize = 2_000;
const CANDIDATES: usize = 60;
const KNOWN: usize = 200;

fn drawn(draw: &mut Draw, next: fn(&mut Draw) -> f64, fields: usize) -> Observed {
    numbers(&(0..fields).map(|_| next(draw)).collect::<Vec<_>>())
}

/// What `observe` makes of outputs with one number each of every column, without the way there: most of the time of
/// these tests would go into it.
fn learned(columns: Vec<Vec<f64>>) -> Detector {
    let known = columns[0].len();
    let mut shape = Detector::new();
    shape.observe(&numbers(&vec![0.0; columns.len()]), &Settings::default());
    let counted = |field: &Field| Field {
        present: known as u32,
        kinds: field.kinds.map(|count| count * known as u32),
        complete: known as u32,
        ..Field::default()
    };
    let mut fields: std::collections::BTreeMap<_, _> =
        shape.fields.iter().map(|(path, field)| (path.clone(), counted(field))).collect();
    for (place, column) in columns.into_iter().enumerate() {
        fields.get_mut(&format!("x{place}")).unwrap().numbers = Series::of(column);
    }
    Detector { outputs: known as u32, novel: 0, fields }
}

fn column(draw: &mut Draw, mut next: impl FnMut(&mut Draw) -> f64, known: usize) -> Vec<f64> {
    (0..known).map(|_| next(draw)).collect()
}

fn taught(draw: &mut Draw, next: fn(&mut Draw) -> f64, known: usize, fields: usize) -> Detector {
    learned((0..fields).map(|_| column(draw, next, known)).collect())
}

#[test]
fn the_short_way_to_a_baseline_leads_to_the_same_one() {
    let columns: Vec<_> = (0..3).map(|seed| column(&mut Draw(seed), Draw::normal, 30)).collect();
    let mut observed = Detector::new();
    for round in 0..30 {
        let row: Vec<_> = columns.iter().map(|column| column[round]).collect();
        observed.observe(&numbers(&row), &Settings::default());
    }
    assert_eq!(learned(columns), observed);
}

/// The shares of honest outputs that are reported, and that are reported as a reason to act.
fn alarm_rates((_, next): Distribution, histories: usize, known: usize, fields: usize) -> (f64, f64) {
    let mut draw = Draw(20_251_123);
    let (mut reported, mut acted) = (0, 0);
    for _ in 0..histories {
        let detector = taught(&mut draw, next, known, fields);
        for _ in 0..CANDIDATES {
            let found = detector.judge(&drawn(&mut draw, next, fields), &Settings::default());
            reported += usize::from(!found.is_empty());
            acted += usize::from(found.iter().any(|finding| finding.severity == Severity::Action));
        }
    }
    let all = (histories * CANDIDATES) as f64;
    (reported as f64 / all, acted as f64 / all)
}

fn check_rate(place: usize) {
    let (reported, acted) = alarm_rates(SEVEN[place], HISTORIES, KNOWN, 1);
    println!("| {} | {:.2} % | {:.2} % |", SEVEN[place].0, reported * 100.0, acted * 100.0);
    assert!(reported <= 0.012, "{}: {reported}", SEVEN[place].0);
    assert!(acted <= 0.001, "{}: {acted} act", SEVEN[place].0);
    // A test that says nothing would keep the limit as well.
    assert!(reported >= 0.005, "{}: {reported}", SEVEN[place].0);
}

macro_rules! false_alarms_are_rare_on {
    ($($name:ident $place:literal)*) => { $(#[test] fn $name() { check_rate($place); })* };
}

false_alarms_are_rare_on! {
    false_alarms_are_rare_on_normal_data 0
    false_alarms_are_rare_on_lognormal_data 1
    false_alarms_are_rare_on_bimodal_data 2
    false_alarms_are_rare_on_nearly_constant_data 3
    false_alarms_are_rare_on_uniform_data 4
    false_alarms_are_rare_on_heavy_tails 5
    false_alarms_are_rare_on_counts 6
}

#[test]
fn false_alarms_are_rare_while_a_baseline_is_small() {
    for distribution in SEVEN {
        let (reported, acted) = alarm_rates(distribution, 200, 20, 1);
        assert!(reported <= 0.012, "{}: {reported}", distribution.0);
        assert_eq!(acted, 0.0);
    }
}

/// With 100 known only the very farthest number is reported. Left without its strangers the baseline reported the
/// second farthest as well, wherever there was one: 1.18 % of lognormal outputs.
#[test]
fn strangers_in_honest_data_do_not_multiply_false_alarms() {
    let (reported, _) = alarm_rates(SEVEN[1], HISTORIES, 100, 1);
    assert!((0.009..=0.011).contains(&reported), "{reported}");
}

/// Of 100 numbers of the bimodal field 15 are about 0.9, but 8 or fewer one time in 36.
#[test]
fn a_mode_that_shows_seldom_by_chance_is_not_taken_for_faults() {
    let (reported, _) = alarm_rates(SEVEN[2], HISTORIES, 100, 1);
    println!("| bimodal | 100 known | {:.2} % |", reported * 100.0);
    assert!(reported <= 0.012, "{reported}");
}

#[test]
fn many_fields_make_no_more_false_alarms_than_one() {
    for distribution in SEVEN {
        let (reported, _) = alarm_rates(distribution, 40, KNOWN, 20);
        println!("| {} | 20 fields | {:.2} % |", distribution.0, reported * 100.0);
        assert!(reported <= 0.012, "{}: {reported}", distribution.0);
    }
}

/// What is warned about enters the baseline; were it left out, the tails would wear away and alarms would multiply.
#[test]
fn a_baseline_that_learns_what_it_let_pass_does_not_tighten() {
    const ROUNDS: usize = 3_000;
    let (mut reported, mut judged) = (0, 0);
    for (_, next) in SEVEN {
        let (mut draw, mut detector) = (Draw(3), Detector::new());
        for round in 0..ROUNDS {
            let output = drawn(&mut draw, next, 1);
            let found = detector.judge(&output, &Settings::default());
            if round >= ROUNDS / 3 {
                judged += 1;
                reported += usize::from(!found.is_empty());
            }
            if found.iter().all(|finding| finding.severity == Severity::Warning) {
                detector.observe(&output, &Settings::default());
            }
        }
    }
    let rate = reported as f64 / judged as f64;
    assert!(rate <= 0.012, "{rate}");
}

/// The share of baselines in which a value ten deviations off is reported, among `fields` fields of normal data.
fn detection(known: usize, fields: usize, contaminated: f64) -> f64 {
    let (mut draw, rounds) = (Draw(11), 400);
    let mut detected = 0;
    for _ in 0..rounds {
        let value = |draw: &mut Draw| if draw.uniform() < contaminated { 10.0 } else { draw.normal() };
        let detector = learned((0..fields).map(|_| column(&mut draw, value, known)).collect());
        let mut values = column(&mut draw, Draw::normal, fields);
        values[0] = 10.0;
        let found = detector.judge(&numbers(&values), &Settings::default());
        detected += usize::from(found.iter().any(|finding| finding.path == "x0"));
    }
    let share = detected as f64 / rounds as f64;
    println!("| {known} | {fields} | {:.0} % | {:.1} % |", contaminated * 100.0, share * 100.0);
    share
}

macro_rules! ten_deviations_are_detected {
    ($($name:ident $fields:literal $contaminated:literal)*) => { $(#[test] fn $name() {
        [200, 512].into_iter().for_each(|known| assert!(detection(known, $fields, $contaminated) >= 0.9));
    })* };
}

// Contaminated: every twentieth accepted number was as far off as the fault. Those do not count as examples; without
// that rule the share is zero. It is not one, because of 200 numbers sometimes more than 8 % are faults (2 % of all
// baselines), or the faults stretch the scale (2 %), or an honest number stands farther out than usual (2 %).
ten_deviations_are_detected! {
    ten_deviations_are_detected_among_one_field 1 0.0
    ten_deviations_are_detected_among_five_fields 5 0.0
    ten_deviations_are_detected_among_twenty_fields 20 0.0
    faults_in_the_baseline_of_one_field_do_not_hide_the_next 1 0.05
    faults_in_the_baseline_of_five_fields_do_not_hide_the_next 5 0.05
    faults_in_the_baseline_of_twenty_fields_do_not_hide_the_next 20 0.05
}
