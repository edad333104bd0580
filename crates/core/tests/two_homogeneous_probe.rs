//! The probe `two-homogeneous` against closed forms and a scan of the circle.

mod common;

use std::sync::Arc;

use common::{normals, parse};
use latephase_core::loss::Exponential;
use latephase_core::model::AnyModel;
use latephase_core::norm::AnyNorm;
use latephase_core::numeric::{dot, norm};
use latephase_core::probe::{AnyProbe, Context, Row, Snapshot};
use latephase_core::{Data, Iterate, Problem, RowSet};

/// `stored` are all blocks, frozen ones included.
fn problem(text: &str, x: &[f64], labels: &[u32], dim: usize, stored: &[f64]) -> (Problem, Vec<f64>) {
    let names = vec!["+".into(), "-".into()];
    let data = Data::new(x.to_vec(), labels.to_vec(), names, vec![dim]).unwrap();
    let mut model = parse::<AnyModel>(text).build().assemble(&[dim], 1).unwrap();
    model.fix(stored);
    let theta = model.select(stored).into_owned();
    (Problem::new(model, Box::new(Exponential::default()), Arc::new(data), None), theta)
}

fn look(problem: &Problem, theta: &[f64], settings: &str) -> Row {
    let mut probe = parse::<AnyProbe>(&format!("kind = 'two-homogeneous'\n{settings}")).build();
    let context = Context { problem, theta, norms: vec![AnyNorm::default()], weight_decay: 0.0 };
    let columns = probe.begin(&context).unwrap();
    let (mut row, mut at) = (Row::default(), Iterate::new(theta.to_vec()));
    let snapshot = Snapshot::new(problem, &mut at, None).unwrap();
    probe.measure(&snapshot, &mut row);
    assert_eq!(row.cells.iter().map(|c| c.0.clone()).collect::<Vec<_>>(), columns);
    row.put("margin", snapshot.q_min() / dot(theta, theta));
    row
}

/// y_i w_i with Σ w_i = 1, from the outputs alone.
fn weights(problem: &Problem, theta: &[f64]) -> Vec<f64> {
    let outputs = problem.outputs(theta, problem.train.rows()).unwrap();
    let w: Vec<f64> = outputs.iter().enumerate().map(|(i, f)| (-problem.train.sign(i) * f).exp()).collect();
    let sum: f64 = w.iter().sum();
    w.iter().enumerate().map(|(i, w)| problem.train.sign(i) * w / sum).collect()
}

/// The largest Σ c_i σ(⟨β, x_i⟩) over a fine circle, and over a finer one around the best: at a kink a circle alone is off by its
/// spacing.
fn scanned(c: &[f64], x: &[f64], sigma: impl Fn(f64) -> f64) -> f64 {
    let value = |angle: f64| -> f64 {
        let (sin, cos) = angle.sin_cos();
        c.iter().zip(x.chunks_exact(2)).map(|(c, x)| c * sigma(cos * x[0] + sin * x[1])).sum()
    };
    let spacing = std::f64::consts::TAU / 100_000.0;
    let best =
        (0..100_000).max_by(|a, b| value(f64::from(*a) * spacing).total_cmp(&value(f64::from(*b) * spacing)));
    let around = f64::from(best.unwrap()) * spacing;
    (-50_000..50_000)
        .map(|k| value(around + spacing * f64::from(k) / 50_000.0))
        .fold(f64::NEG_INFINITY, f64::max)
}

const X: [f64; 10] = [1.0, 0.3, 0.4, 0.9, -0.7, 0.8, -0.2, -1.1, 0.9, -0.6];
const LABELS: [u32; 5] = [0, 0, 1, 1, 0];

#[test]
fn deep_linear_networks_have_the_closed_form() {
    let text = "kind = 'deep-linear'\nwidths = [3]";
    let stored = normals(4, "theta", 9);
    let (problem, theta) = problem(text, &X, &LABELS, 2, &stored);
    let row = look(&problem, &theta, "");
    let c = weights(&problem, &theta);
    let mean = [0, 1].map(|k| c.iter().zip(X.chunks_exact(2)).map(|(c, x)| c * x[k]).sum::<f64>());
    let gap = 0.5 * norm(&mean) - row.get("margin");
    assert!((row.get("dual_gap") - gap).abs() < 1e-13, "{} {gap}", row.get("dual_gap"));
    assert_eq!((row.get("dual_exact"), row.get("dual_alive")), (1.0, 3.0));
    // Two mirrored points: both neurons along (1, 0), balanced, are globally maximal; their value is the margin.
    let mirrored = [1.0, 0.5, -1.0, 0.5];
    let text = "kind = 'deep-linear'\nwidths = [2]";
    for c in [1.0, 100.0] {
        let stored = [c, 0.0, -2.0 * c, 0.0, c, -2.0 * c];
        let (problem, theta) = self::problem(text, &mirrored, &[0, 1], 2, &stored);
        let row = look(&problem, &theta, "");
        assert!(row.get("dual_gap").abs() < 1e-15 && row.get("dual_spread").abs() < 1e-15, "{row:?}");
        assert!((row.get("margin") - 0.5).abs() < 1e-15);
    }
}

#[test]
fn alive_neurons_are_counted_by_their_share_and_compared_by_their_value() {
    // One point x = (1, 0): neuron (v, a) has the value a·v₁/(a² + |v|²).
    let stored = [1.0, 0.0, 3.0, 0.0, 0.01, 0.0, 1.0, 4.0, 0.01];
    let (problem, theta) = problem("kind = 'deep-linear'\nwidths = [3]", &[1.0, 0.0], &[0], 2, &stored);
    let rho2 = dot(&theta, &theta);
    let margin = (1.0 + 12.0 + 1e-4) / rho2;
    let row = look(&problem, &theta, "");
    assert_eq!(row.get("dual_alive"), 2.0);
    assert!((row.get("dual_spread") - (0.5 - 12.0 / 25.0) / margin).abs() < 1e-14);
    assert!((row.get("dual_gap") - (0.5 - margin)).abs() < 1e-14);
    assert_eq!(look(&problem, &theta, "share = 0").get("dual_alive"), 3.0);
}

#[test]
fn neurons_of_degree_two_under_a_frozen_layer_are_maximised_for_either_sign() {
    let v = normals(6, "inner", 6);
    for (activation, square) in
        [("quadratic", (|z| z * z) as fn(f64) -> f64), ("relu-power", |z| z.max(0.0).powi(2))]
    {
        for outer in [[1.0, -1.0, 1.0], [2.0, -0.5, 1.0], [0.25, 1.5, 1.0]] {
            let stored = [v.as_slice(), &outer].concat();
            let text =
                format!("kind = 'mlp'\nwidths = [3]\nactivation = '{activation}'\nfreeze = ['2.weight']");
            let (problem, theta) = problem(&text, &X, &LABELS, 2, &stored);
            let row = look(&problem, &theta, "");
            let c = weights(&problem, &theta);
            let times = |a: f64| c.iter().map(|c| a * c).collect::<Vec<f64>>();
            let most =
                outer.map(|a| scanned(&times(a), &X, square)).into_iter().fold(f64::NEG_INFINITY, f64::max);
            let gap = row.get("dual_gap") + row.get("margin");
            assert!((gap - most).abs() < 1e-9, "{activation} {outer:?}: {gap} against {most}");
            assert_eq!(row.get("dual_exact"), f64::from(u8::from(activation == "quadratic")));
        }
    }
}

#[test]
fn relu_networks_have_the_exact_maximum_with_and_without_a_bias() {
    let relu = |z: f64| z.max(0.0);
    for seed in 0..5 {
        let stored = normals(seed, "relu", 12);
        let (problem, theta) = problem("kind = 'mlp'\nwidths = [4]", &X, &LABELS, 2, &stored);
        let row = look(&problem, &theta, "");
        let c = weights(&problem, &theta);
        let opposite: Vec<f64> = c.iter().map(|c| -c).collect();
        let most = 0.5 * scanned(&c, &X, relu).max(scanned(&opposite, &X, relu));
        let ours = row.get("dual_gap") + row.get("margin");
        assert!((ours / most - 1.0).abs() < 1e-8, "{ours} against {most}");
        assert_eq!(row.get("dual_exact"), 1.0);
        assert!(row.get("dual_gap") >= 0.0);
    }
    // A bias is an input of 1.
    let line = [0.7, -0.4, 0.2, 1.5, -1.2];
    let text = "kind = 'mlp'\nwidths = [4]\nbias = 'first'";
    let (problem, theta) = problem(text, &line, &LABELS, 1, &normals(7, "relu", 12));
    let row = look(&problem, &theta, "");
    let c = weights(&problem, &theta);
    let wide: Vec<f64> = line.iter().flat_map(|x| [*x, 1.0]).collect();
    let opposite: Vec<f64> = c.iter().map(|c| -c).collect();
    let most = 0.5 * scanned(&c, &wide, relu).max(scanned(&opposite, &wide, relu));
    let ours = row.get("dual_gap") + row.get("margin");
    assert!((ours / most - 1.0).abs() < 1e-8, "{ours} against {most}");
}

#[test]
fn what_is_no_sum_of_neurons_of_degree_two_is_left_unknown() {
    for text in [
        "kind = 'mlp'\nwidths = [3]\nactivation = 'relu-power'",
        "kind = 'linear'",
        "kind = 'mlp'\nwidths = [3, 3]",
        "kind = 'mlp'\nwidths = [3]\nbias = 'all'",
        "kind = 'diagonal'",
    ] {
        let model = parse::<AnyModel>(text).build().assemble(&[2], 1).unwrap();
        let stored = normals(1, "theta", model.stored().dim());
        let (problem, theta) = problem(text, &X, &LABELS, 2, &stored);
        let row = look(&problem, &theta, "");
        assert!(row.get("dual_gap").is_nan() && row.get("dual_alive").is_nan(), "{text}");
        assert!(problem.eval(&theta, &RowSet::Full).is_ok());
    }
}
