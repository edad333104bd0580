//! The probe `robustness` against the attack and the bound that it is made of, and its messages.

mod common;

use std::sync::Arc;

use common::{data, model, normals, parse};
use latephase_core::loss::AnyLoss;
use latephase_core::norm::AnyNorm;
use latephase_core::numeric::dot;
use latephase_core::probe::{AnyProbe, Context, Row, Snapshot};
use latephase_core::{Invalid, Iterate, Problem};

const W: [f64; 3] = [3.0, 4.0, 12.0];

/// A linear classifier of norm 13 on points that it classifies, but for the first of the test set.
fn linear() -> (Problem, Vec<f64>, Vec<f64>) {
    let x = normals(4, "x", 60);
    let radii: Vec<f64> = x.chunks(3).map(|x| dot(&W, x).abs() / 13.0).collect();
    let mut labels: Vec<u32> = x.chunks(3).map(|x| u32::from(dot(&W, x) < 0.0)).collect();
    let train = data(&x, &labels, 3, 2);
    labels[0] = 1 - labels[0];
    let test = data(&x, &labels, 3, 2);
    let loss = parse::<AnyLoss>("kind = \"logistic\"").build();
    let problem = Problem::new(model("kind = \"linear\"", 3, 1), loss, train, Some(test));
    (problem, radii, W.to_vec())
}

fn look(problem: &Problem, theta: &[f64], settings: &str) -> Result<Row, Invalid> {
    let mut probe = parse::<AnyProbe>(&format!("kind = \"robustness\"\n{settings}")).build();
    let context = Context { problem, theta, norms: vec![AnyNorm::default()], weight_decay: 0.0 };
    let columns = probe.begin(&context)?;
    let mut row = Row::default();
    let mut at = Iterate::new(theta.to_vec());
    probe.measure(&Snapshot::new(problem, &mut at, None).unwrap(), &mut row);
    assert_eq!(row.cells.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), columns);
    Ok(row)
}

#[test]
fn on_a_linear_classifier_every_column_has_a_closed_form() {
    let (problem, radii, theta) = linear();
    let row = look(&problem, &theta, "epsilons = [0.25, 1.0]").unwrap();
    let mut sorted = radii.clone();
    sorted.sort_by(f64::total_cmp);
    let near = |column: &str, value: f64| {
        assert!((row.get(column) - value).abs() < 1e-9, "{column}: {} against {value}", row.get(column));
    };
    near("robust_radius_train", 0.5 * (sorted[9] + sorted[10]));
    near("robust_lower_train", 0.5 * (sorted[9] + sorted[10]));
    near("robust_radius_mean_train", radii.iter().sum::<f64>() / 20.0);
    near("robust_lower_least_train", sorted[0]);
    let share = |skip: usize, e: f64| radii.iter().skip(skip).filter(|r| **r > e).count() as f64 / 20.0;
    near("robust_train_0.25", share(0, 0.25));
    near("robust_train_1", share(0, 1.0));
    // The first example of the test set is misclassified: radius 0.
    near("robust_test_0.25", share(1, 0.25));
    near("robust_radius_mean_test", radii[1..].iter().sum::<f64>() / 20.0);
    near("robust_lower_least_test", 0.0);
}

#[test]
fn nothing_changes_from_a_loss_of_1e_minus_2_to_one_of_1e_minus_100000() {
    let (problem, _, theta) = linear();
    let base = look(&problem, &theta, "").unwrap();
    let far: Vec<f64> = theta.iter().map(|t| t * f64::powi(2.0, 22)).collect();
    assert_eq!(look(&problem, &far, "").unwrap(), base);
    let ln_loss = problem.eval(&far, &latephase_core::RowSet::Full).unwrap().ln_loss;
    assert!(ln_loss < -1e5, "{ln_loss}");
}

#[test]
fn without_a_test_set_its_columns_are_unknown() {
    let (mut problem, _, theta) = linear();
    problem.test = None;
    let row = look(&problem, &theta, "train = 3").unwrap();
    assert!(row.get("robust_test_0.3").is_nan() && row.get("robust_radius_test").is_nan());
    assert!(row.get("robust_train_0.3").is_finite());
}

#[test]
fn settings_that_make_no_sense_are_refused_with_what_is_allowed() {
    let (mut problem, _, theta) = linear();
    for (settings, field, part) in [
        ("iterations = 0", "iterations", "at least 1"),
        ("box = [1, 0]", "box", "no box"),
        ("box = [0, 1]", "box", "outside of [0, 1]"),
        ("epsilons = [0.1, -1]", "epsilons[1]", "-1"),
        ("epsilons = [0.1, 0.1]", "epsilons", "twice"),
    ] {
        let error = look(&problem, &theta, settings).unwrap_err();
        assert!(error.field == field && error.message.contains(part), "{settings}: {error:?}");
    }
    problem.train = Arc::clone(problem.test.as_ref().unwrap());
    assert!(look(&problem, &theta, "box = [-9, 9]").is_ok());
}
