use super::*;
use Severity::{Action, Warning};

fn text(value: &str) -> Observed {
    Observed::String(value.to_owned())
}

fn taught(times: usize, output: impl Fn(usize) -> Observed) -> Detector {
    let mut detector = Detector::new();
    (0..times).for_each(|round| detector.observe(&output(round), &Settings::default()));
    detector
}

/// Scores from 70 to 80, in no order.
fn score(round: usize) -> Observed {
    numbers(&[70.0 + (round * 37 % 101) as f64 / 10.0])
}

fn judged(detector: &Detector, output: &Observed) -> Vec<(&'static str, Severity)> {
    rules(&detector.judge(output, &Settings::default()))
}

#[test]
fn nothing_is_known_at_first_then_it_warns_then_it_acts() {
    let said = |known| judged(&taught(known, score), &numbers(&[0.0]));
    assert_eq!(said(19), []);
    assert_eq!(said(20), [("unusual_value", Warning)]);
    assert_eq!(said(99), [("unusual_value", Warning)]);
    assert_eq!(said(100), [("unusual_value", Action)]);
    assert_eq!(judged(&taught(100, score), &numbers(&[75.0])), []);
}

#[test]
fn a_finding_says_where_what_was_usual_and_what_came() {
    let found = taught(200, score).judge(&numbers(&[0.0]), &Settings::default());
    assert_eq!(found[0].path, "x0");
    assert_eq!((&*found[0].expected, &*found[0].actual), ("70 to 80, as in 200 accepted outputs", "0"));
}

#[test]
fn nan_and_infinities_need_no_baseline() {
    let row = |mass| object(vec![("mass", Observed::Number(mass))]);
    let output = object(vec![
        ("rows", Observed::Array(vec![row(1.0), row(f64::NAN), row(f64::NAN)])),
        ("score", Observed::Number(f64::NEG_INFINITY)),
    ]);
    let found = Detector::new().judge(&output, &Settings::default());
    assert_eq!(rules(&found), [("not_finite", Action); 2]);
    let told: Vec<_> = found.iter().map(|finding| (&*finding.path, &*finding.actual)).collect();
    assert_eq!(told, [("rows[].mass", "NaN and 1 more"), ("score", "-inf")]);
}

#[test]
fn nothing_acts_where_it_may_only_warn() {
    let settings = Settings { may_act: false, ..Settings::default() };
    let found = taught(200, score).judge(&numbers(&[f64::NAN]), &settings);
    assert_eq!(rules(&found), [("not_finite", Warning)]);
    assert_eq!(rules(&taught(200, score).judge(&numbers(&[0.0]), &settings)), [("unusual_value", Warning)]);
}

#[test]
fn ignored_paths_are_neither_judged_nor_learned() {
    let settings = Settings { ignored: vec!["x0".into()], ..Settings::default() };
    assert_eq!(taught(200, score).judge(&numbers(&[f64::NAN]), &settings), []);
    let mut detector = Detector::new();
    detector.observe(&score(1), &settings);
    assert_eq!(detector.summary(), []);
}

#[test]
fn clocks_and_counters_are_left_alone() {
    let counter = |round| numbers(&[1_700_000_000.0 + round as f64]);
    let detector = taught(200, counter);
    assert_eq!(judged(&detector, &counter(10_000)), []);
    assert!(detector.summary()[0].is_running);
}

#[test]
fn the_length_of_a_list_is_a_number() {
    let list = |length| object(vec![("rows", Observed::Array(vec![Observed::Null; length]))]);
    let detector = taught(200, |round| list(3 + round * 7 % 5));
    assert_eq!(judged(&detector, &list(5)), []);
    assert_eq!(judged(&detector, &list(500)), [("unusual_value", Action)]);
}

#[test]
fn numbers_far_off_in_the_baseline_are_counted_out() {
    let detector = taught(200, |round| if round % 20 == 7 { numbers(&[900.0]) } else { score(round) });
    let summary = &detector.summary()[0];
    assert_eq!((summary.known, summary.strangers, summary.is_running), (200, 10, false));
    assert_eq!((summary.low, summary.high), (70.0, 80.0));
    assert_eq!(judged(&detector, &numbers(&[900.0])), [("unusual_value", Action)]);
}

#[test]
fn the_ring_forgets_what_is_long_ago() {
    let mut detector = taught(200, |_| numbers(&[500.0]));
    (0..4_096).for_each(|round| detector.observe(&score(round), &Settings::default()));
    assert_eq!(detector.summary()[0].known, 4_096);
    assert_eq!(judged(&detector, &numbers(&[500.0])), [("unusual_value", Action)]);
}

#[test]
fn missing_new_and_retyped_paths_are_told() {
    let output = |_| object(vec![("score", Observed::from(3)), ("meta", object(vec![("by", text("a"))]))]);
    let detector = taught(600, output);
    let missing = object(vec![("score", Observed::from(3))]);
    assert_eq!(judged(&detector, &missing), [("missing_path", Action)], "not what is below it as well");
    let retyped = object(vec![("score", text("3")), ("meta", object(vec![("by", text("a"))]))]);
    assert_eq!(judged(&detector, &retyped), [("retyped_path", Action)]);
    let Observed::Object(mut entries) = output(0) else { panic!() };
    entries.push(("extra".into(), object(vec![("a", Observed::Null)])));
    let found = detector.judge(&Observed::Object(entries), &Settings::default());
    assert_eq!(rules(&found), [("new_path", Warning)]);
    assert_eq!(found[0].actual, "new: extra");
    assert_eq!(judged(&detector, &output(0)), []);
    assert_eq!(judged(&detector, &Observed::Null), [("retyped_path", Action)]);
}

#[test]
fn paths_that_come_and_go_are_usual() {
    let sometimes = |round: usize| {
        let mut entries = vec![("score", Observed::from(3))];
        if round.is_multiple_of(3) {
            entries.push(("note", if round.is_multiple_of(2) { Observed::Null } else { text("x") }));
        }
        object(entries)
    };
    let detector = taught(600, sometimes);
    (0..6).for_each(|round| assert_eq!(judged(&detector, &sometimes(round)), []));
    let keys = |round: usize| {
        object(vec![(["a", "b", "c", "d"][round % 4], Observed::Null), (&*format!("k{round}"), Observed::Null)])
    };
    let ever_new = taught(300, keys);
    assert_eq!(judged(&ever_new, &keys(1_000)), []);
}

#[test]
fn a_row_that_lacks_a_field_is_missing_it() {
    let row = |fields: &[&str]| object(fields.iter().map(|name| (*name, Observed::Bool(true))).collect());
    let rows = |rows: Vec<Observed>| object(vec![("rows", Observed::Array(rows))]);
    let detector = taught(600, |_| rows(vec![row(&["a", "b"]); 3]));
    let found = detector.judge(&rows(vec![row(&["a", "b"]), row(&["a"]), row(&["a", "b"])]), &Settings::default());
    assert_eq!((rules(&found), &*found[0].path), (vec![("missing_path", Action)], "rows[].b"));
}

#[test]
fn an_output_with_endless_keys_costs_a_bounded_baseline() {
    let wide = |round: usize| {
        let named = (0..300).map(|key| (format!("k{round}-{key}"), Observed::Number(key as f64)));
        Observed::Object(named.collect())
    };
    let detector = taught(30, wide);
    assert_eq!(detector.fields.len(), 512);
    assert_eq!(detector.fields.values().filter(|field| field.is_measured()).count(), 64);
    assert!(detector.judge(&wide(99), &Settings::default()).len() <= 50);
    assert_eq!(Detector::decode(&detector.encode()).unwrap(), detector);
}

#[test]
fn judging_changes_nothing() {
    let detector = taught(200, score);
    let before = detector.encode();
    let _ = detector.judge(&numbers(&[0.0, f64::NAN]), &Settings::default());
    assert_eq!(detector.encode(), before);
}

mod texts {
    use super::*;

    const OPENINGS: [&str; 4] = [
        "The bill of this species is",
        "Compared with the others, the body is",
        "Flippers are",
        "In that year the mass was",
    ];

    /// Paragraphs of 3 to 9 different sentences.
    fn prose(round: usize) -> String {
        let sentence = |place: usize| {
            let number = (round * 31 + place * 17) % 997;
            format!(
                "{} {number} units at site {} ({}). ",
                OPENINGS[(round + place) % 4],
                place * 13 % 29,
                number * 7 % 83
            )
        };
        (0..3 + round * 5 % 7).map(sentence).collect()
    }

    fn report(value: &str) -> Observed {
        object(vec![("summary", text(value))])
    }

    fn reports(times: usize) -> Detector {
        taught(times, |round| report(&prose(round)))
    }

    fn told(detector: &Detector, value: &str) -> Vec<&'static str> {
        detector.judge(&report(value), &Settings::default()).iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn prose_like_the_others_is_nothing_special() {
        let detector = reports(400);
        let alarms = (1_000..1_200).filter(|round| !told(&detector, &prose(*round)).is_empty()).count();
        assert!(alarms <= 6, "{alarms} of 200");
    }

    #[test]
    fn an_empty_text_is_found_and_acts() {
        let found = reports(400).judge(&report(" \n "), &Settings::default());
        assert_eq!(rules(&found), [("empty_text", Action)]);
    }

    #[test]
    fn texts_much_too_short_or_too_long_are_found() {
        let detector = reports(400);
        assert_eq!(told(&detector, "Done."), ["unusual_length"]);
        let long: String = (0..400).map(prose).collect();
        assert!(told(&detector, &long).contains(&"unusual_length"));
    }

    #[test]
    fn a_text_that_turns_in_circles_is_found_with_and_without_others() {
        let stuck = "The bill is long and the body is heavy. ".repeat(12);
        let found = told(&reports(400), &stuck);
        assert!(found.contains(&"repetition"), "{found:?}");
        assert_eq!(told(&Detector::new(), &stuck), ["repetition"]);
        assert_eq!(told(&Detector::new(), &prose(1)), [""; 0]);
    }

    #[test]
    fn noise_is_found_by_how_badly_it_compresses() {
        let mut draw = super::super::distributions::Draw(5);
        let noise: String = (0..400).map(|_| char::from(b'!' + (draw.uniform() * 90.0) as u8)).collect();
        let found = told(&reports(700), &noise);
        assert!(found.contains(&"compression"), "{found:?}");
    }

    #[test]
    fn another_language_is_found_by_its_script() {
        let japanese =
            "このデータによると、くちばしの長さは種によって大きく異なり、体重の差は小さいことが分かりました。"
                .repeat(2);
        let found = reports(400).judge(&report(&japanese), &Settings::default());
        let script = found.iter().find(|finding| finding.rule == "script").expect("the script is told");
        assert!(script.expected.contains("Latin 100 %") && script.actual.contains("kana"), "{script:?}");
    }

    #[test]
    fn cut_json_acts_and_a_refusal_warns_without_others() {
        let detector = Detector::new();
        let judged = |value: &str| rules(&detector.judge(&report(value), &Settings::default()));
        assert_eq!(judged("{\"rows\": [1, 2"), [("truncated_json", Action)]);
        assert_eq!(judged("申し訳ありませんが、お答えできません。"), [("refusal", Warning)]);
        assert_eq!(judged("很抱歉，我无法提供该信息。"), [("refusal", Warning)]);
        assert_eq!(judged("I'm sorry, but I can't help with that."), [("refusal", Warning)]);
    }

    #[test]
    fn what_a_field_often_says_is_usual_for_it() {
        let refusing =
            taught(40, |round| report(if round % 4 == 0 { "I cannot help with this." } else { "It is a penguin." }));
        assert_eq!(told(&refusing, "I cannot help with that."), [""; 0]);
    }

    #[test]
    fn the_lengths_of_labels_say_nothing() {
        let labels = taught(300, |_| report("ok"));
        assert_eq!(told(&labels, "failed"), [""; 0]);
    }
}
