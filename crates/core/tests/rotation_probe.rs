//! Angles of neurons to where they started, and the floor that the path certifies.

mod common;

use common::{algorithm, assert_close, data, measure, model, normals, parse, problem};
use latephase_core::numeric::norm;
use latephase_core::probe::{AnyProbe, Context, Probe, StepRecord};
use latephase_core::rng::stream;
use latephase_core::{Iterate, Problem, RowSet};

fn begun(kind: &str, problem: &Problem, theta: &[f64]) -> Box<dyn Probe> {
    let mut probe = parse::<AnyProbe>(&format!("kind = '{kind}'")).build();
    probe.begin(&Context { problem, theta, norms: Vec::new(), weight_decay: 0.0 }).unwrap();
    probe
}

#[test]
fn the_angle_of_a_turned_neuron_is_measured_and_weighted() {
    let set = data(&[1.0, 0.0, 0.0, 1.0], &[0, 1], 2, 2);
    let problem = problem(model("kind = 'mlp'\nwidths = [2]", 2, 1), "kind = 'logistic'", set);
    let start = [1.0, 0.0, 0.0, 2.0, 1.0, 1.0];
    let mut probe = begun("rotation", &problem, &start);
    let row = measure(probe.as_mut(), &problem, &mut Iterate::new(start.to_vec()));
    assert_eq!(
        (row.get("rotation_max"), row.get("displacement"), row.get("rotation_still")),
        (0.0, 0.0, 1.0)
    );
    // The first neuron turned by 0.3 and doubled, a_1 = 3: weight 4 + 9; the second as it was: 4 + 1.
    let (sin, cos) = 0.3f64.sin_cos();
    let now = [2.0 * cos, 2.0 * sin, 0.0, 2.0, 3.0, 1.0];
    let row = measure(probe.as_mut(), &problem, &mut Iterate::new(now.to_vec()));
    assert_close(row.get("rotation_max"), 0.3, 1e-14, "the angle");
    assert_close(row.get("rotation_mean"), 0.3 * 13.0 / 18.0, 1e-14, "the mean");
    assert_close(row.get("rotation_still"), 5.0 / 18.0, 1e-14, "the share of still neurons");
    let moved: Vec<f64> = now.iter().zip(start).map(|(a, b)| a - b).collect();
    assert_close(
        row.get("displacement"),
        norm(&moved) / 2f64.sqrt(),
        1e-14,
        "displacement over the root of the width",
    );
}

#[test]
fn neurons_without_rotation_stay() {
    let mut net = model("kind = 'rotation-free'\nwidth = 5", 3, 1);
    let stored = net.init(&mut stream(1, "model.init", 0));
    net.fix(&stored);
    let theta = net.select(&stored).into_owned();
    let problem = problem(net, "kind = 'logistic'", data(&normals(1, "x", 6), &[0, 1], 3, 2));
    let mut probe = begun("rotation", &problem, &theta);
    let later: Vec<f64> = theta.iter().map(|t| 3.0 * t).collect();
    let row = measure(probe.as_mut(), &problem, &mut Iterate::new(later));
    assert_eq!(row.get("rotation_max"), 0.0);
    assert!(row.get("displacement") > 0.0);
}

#[test]
fn on_one_example_of_a_linear_model_the_floor_is_the_margin() {
    let problem = problem(
        model("kind = 'linear'", 2, 1),
        "kind = 'exponential'",
        data(&[3.0, 4.0, -3.0, -4.0], &[0, 1], 2, 2),
    );
    let start = [0.2, -0.1];
    let mut probe = begun("escape", &problem, &start);
    // Both examples have the gradient (3, 4) of q: a flow along it gains 5 for each unit of path.
    let mut before = start.to_vec();
    for k in 1..20 {
        let after: Vec<f64> = before.iter().zip([0.6, 0.8]).map(|(t, d)| t + 0.1 * k as f64 * d).collect();
        probe.step(&StepRecord { after: &after, ..no_step(&problem, &before) });
        before = after;
    }
    let row = measure(probe.as_mut(), &problem, &mut Iterate::new(before.clone()));
    let eval = problem.eval(&before, &RowSet::Full).unwrap();
    assert_close(row.get("escape_gamma"), 5.0, 1e-12, "the least slope");
    assert_close(row.get("escape_path"), 19.0, 1e-12, "the path");
    assert_close(row.get("escape_bound"), -eval.ln_loss_sum / norm(&before), 1e-12, "the smoothed margin");
}

#[test]
fn along_the_flow_of_a_relu_network_the_floor_is_below_the_smoothed_margin() {
    let (n, dim) = (8, 5);
    let labels: Vec<u32> = (0..n).map(|i| (i % 2) as u32).collect();
    for loss in ["kind = 'exponential'", "kind = 'logistic'"] {
        let net = model("kind = 'mlp'\nwidths = [40]", dim, 1);
        let theta = net.init(&mut stream(3, "model.init", 0));
        let problem = problem(net, loss, data(&normals(2, "x", n * dim), &labels, dim, 2));
        let mut probe = begun("escape", &problem, &theta);
        let mut at = Iterate::new(theta);
        let mut descent =
            algorithm("kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 0.01 }").build();
        descent.begin(&problem, 0).unwrap();
        let mut bounded = 0;
        for _ in 0..600 {
            let before = at.theta().to_vec();
            descent.step(&problem, &mut at).unwrap();
            let after = at.theta().to_vec();
            probe.step(&StepRecord { after: &after, ..no_step(&problem, &before) });
            let row = measure(probe.as_mut(), &problem, &mut at);
            let eval = problem.eval(&after, &RowSet::Full).unwrap();
            let smooth = problem.loss.inverse(-eval.ln_loss_sum) / norm(&after).powi(2);
            let bound = row.get("escape_bound");
            // Explicit steps of 0.01 in ln of the loss are within about that of the flow.
            assert!(
                bound.is_nan() || bound <= smooth + 0.02 * smooth.abs(),
                "{loss}: {bound} above {smooth}"
            );
            bounded += usize::from(bound.is_finite());
        }
        assert!(bounded > 100, "{loss}: a floor at {bounded} steps only");
    }
}

fn no_step<'a>(problem: &'a Problem, theta: &'a [f64]) -> StepRecord<'a> {
    StepRecord { problem, before: theta, after: theta, taken: None, ends: None }
}
