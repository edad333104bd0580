//! How means, orders and tolerances are judged.

use super::*;

fn expect(text: &str) -> Expect {
    let text = format!("id = 'a'\nsource = 'b'\n{text}");
    toml::from_str(&text).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

#[test]
fn the_mean_over_seeds_is_judged_and_not_a_single_seed() {
    let near = expect("measure = { column = 'margin' }\nvalue = 2.0\ntolerance = { relative = 0.1 }");
    let judged = |values: &[f64]| compare_value(&near, "x".into(), values.to_vec(), 2.0);
    assert_eq!(judged(&[1.0, 2.0, 3.0]).held, Some(true));
    assert_eq!(judged(&[1.0]).held, Some(false));
    let all = judged(&[1.0, 2.0, 3.0]);
    assert_eq!((all.ours.as_str(), all.ratio.as_str()), ("2 ± 1.0", "1"));
    assert!(!all.interval.is_empty() && judged(&[1.0]).interval.is_empty());
}

#[test]
fn a_seed_that_is_not_known_leaves_it_undecided_and_is_counted() {
    let near = expect("measure = { column = 'margin' }\nvalue = 2.0\ntolerance = { factor = 10.0 }");
    let partly = compare_value(&near, "x".into(), vec![2.0, f64::NAN, 2.0], 2.0);
    assert_eq!((partly.held, partly.ours.as_str()), (None, "2 ± 0 (2 of 3 known)"));
}

#[test]
fn a_deviation_is_told_to_two_digits() {
    for (sd, text) in
        [(0.0, "0"), (1.25e-5, "1.3e-5"), (0.0123, "0.012"), (1.26, "1.3"), (345.6, "346"), (2e7, "2.0e7")]
    {
        assert_eq!(two_digits(sd), text);
    }
}

#[test]
fn a_factor_is_allowed_either_way() {
    let admits = |ours| Tolerance { factor: Some(1.5), ..Default::default() }.admits(ours, 2.0);
    for (ours, held) in [(3.0, true), (1.34, true), (3.01, false), (1.33, false), (-2.0, false)] {
        assert_eq!(admits(ours), Some(held), "{ours}");
    }
    assert_eq!(Tolerance { absolute: Some(0.5), ..Default::default() }.admits(1.4, 2.0), Some(false));
    assert_eq!(Tolerance::default().admits(1.0, 2.0), None);
    // Of a negative number the ratio says it too.
    assert_eq!(Tolerance { factor: Some(1.5), ..Default::default() }.admits(-3.0, -2.0), Some(true));
}

#[test]
fn an_order_has_to_hold_in_every_seed() {
    let order = expect("measure = { column = 'margin' }\norder = ['A', 'B', 'C']");
    let judged = |a: [f64; 3], b: [f64; 3], c: [f64; 3]| {
        let values = [("A", a), ("B", b), ("C", c)];
        compare_order(&order, values.map(|(l, v)| (l.to_owned(), v.to_vec())).to_vec())
    };
    let (high, middle, low) = ([9.0, 8.0, 7.0], [6.0, 5.0, 4.0], [3.0, 2.0, -1.0]);
    let held = judged(high, middle, low);
    assert_eq!((held.held, held.paper.as_str()), (Some(true), "A > B > C"));
    assert_eq!(held.ratio, "3 of 3 seeds");
    // The means are in order, one seed is not.
    let of_means = expect("measure = { column = 'margin' }\norder = ['A', 'B', 'C']\nof_means = true");
    let values = |v: [[f64; 3]; 3]| {
        vec![("A".into(), v[0].to_vec()), ("B".into(), v[1].to_vec()), ("C".into(), v[2].to_vec())]
    };
    let found = compare_order(&of_means, values([[9.0, 8.0, 9.0], [6.0, 8.5, 4.0], [1.0, 2.0, 3.0]]));
    assert_eq!((found.held, found.ratio.as_str()), (Some(true), "2 of 3 seeds"));
    let unknown = compare_order(&of_means, values([[9.0, f64::NAN, 9.0], [6.0, 8.5, 4.0], [1.0, 2.0, 3.0]]));
    assert_eq!(unknown.held, None);
    let once = judged(high, [6.0, 8.5, 4.0], low);
    assert_eq!((once.held, once.ratio.as_str()), (Some(false), "2 of 3 seeds"));
    assert_eq!(judged(high, [6.0, 8.0, 4.0], low).held, Some(false), "a tie is no order");
    assert_eq!(judged(high, [6.0, f64::NAN, 4.0], low).held, None);
    // A violation in one seed stays one, whatever the others would say.
    assert_eq!(judged(high, [9.5, f64::NAN, 4.0], low).held, Some(false));
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_runs() {
    let labels = ["SD", "GD"];
    for (text, part) in [
        ("measure = { column = 'x' }\nrun = 'CD'", "no run `CD`"),
        ("measure = { column = 'x' }\nagainst = 'Gd'", "did you mean `GD`?"),
        ("measure = { column = 'x' }\norder = ['SD', 'CD']", "no run `CD`"),
        ("measure = { column = 'x' }\norder = ['SD']", "two or more runs"),
        ("measure = { column = 'x' }\nof_means = true", "how an order is judged"),
        ("measure = { column = 'x' }\norder = ['SD', 'SD']", "two or more runs"),
        ("measure = { column = 'x' }\norder = ['SD', 'GD']\nvalue = 1.0", "judged by itself"),
        ("measure = { column = 'x' }\nat = -1.0\nat_step = 5", "give one of"),
        ("measure = { peak = 'x' }\nat = -1.0", "of a whole run"),
        ("measure = { cosine = 'theta' }", "`against`"),
        ("measure = { column = 'x' }\ntolerance = { factor = 0.5 }", "it is 1 or more"),
        ("measure = { first-step = { column = 'x' } }", "at_least"),
    ] {
        let error = expect(text).check(&labels).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    }
    for text in [
        "measure = { column = 'x' }\norder = ['SD', 'GD']\nat_step = 5",
        "measure = { peak = 'x' }\nrun = 'GD'",
    ] {
        assert_eq!(expect(text).check(&labels), Ok(()), "{text}");
    }
}
