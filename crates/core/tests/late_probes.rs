//! Neural collapse, saliency, sharpness and stable ranks against numbers worked out by hand.

mod common;

use common::{assert_close, data, measure, normals, parse, problem};
use latephase_core::loss::AnyLoss;
use latephase_core::model::Model;
use latephase_core::numeric::norm;
use latephase_core::probe::{AnyProbe, Context, Probe, Row};
use latephase_core::{Data, Iterate, Problem};

fn probe(text: &str, problem: &Problem, theta: &[f64]) -> Box<dyn Probe> {
    let mut probe = parse::<AnyProbe>(text).build();
    let context = Context { problem, theta, norms: Vec::new(), weight_decay: 0.0 };
    let columns = probe.begin(&context).unwrap();
    let mut again = parse::<AnyProbe>(text).build();
    let mut at = Iterate::new(theta.to_vec());
    again.begin(&context).unwrap();
    let row = measure(again.as_mut(), problem, &mut at);
    assert_eq!(row.cells.iter().map(|(c, _)| c.clone()).collect::<Vec<_>>(), columns);
    probe
}

fn look(probe: &mut dyn Probe, problem: &Problem, theta: &[f64]) -> Row {
    measure(probe, problem, &mut Iterate::new(theta.to_vec()))
}

/// A linear network of one hidden layer: with W₁ = I the features are the inputs.
fn features(inputs: &[f64], labels: &[u32], dim: usize, classes: usize, last: &[f64]) -> (Problem, Vec<f64>) {
    let outputs = if classes == 2 { 1 } else { classes };
    let model = common::model(&format!("kind = 'deep-linear'\nwidths = [{dim}]"), dim, outputs);
    let loss = if classes == 2 { "kind = 'logistic'" } else { "kind = 'cross-entropy'" };
    let mut theta: Vec<f64> = (0..dim * dim).map(|k| if k % (dim + 1) == 0 { 1.0 } else { 0.0 }).collect();
    theta.extend_from_slice(last);
    (problem(model, loss, data(inputs, labels, dim, classes)), theta)
}

#[test]
fn collapse_of_two_classes_in_the_plane() {
    // Means (±1, 0); within the classes ±0.1 along the means, ±0.3 across them.
    let inputs = [1.1, 0.3, 0.9, 0.3, 1.1, -0.3, 0.9, -0.3];
    let other: Vec<f64> = inputs.iter().enumerate().map(|(k, x)| if k % 2 == 0 { -x } else { *x }).collect();
    let all: Vec<f64> = inputs.iter().copied().chain(other).collect();
    let labels = [0, 0, 0, 0, 1, 1, 1, 1];
    let turn = 0.4f64;
    let (problem, theta) = features(&all, &labels, 2, 2, &[3.0 * turn.cos(), 3.0 * turn.sin()]);
    let row = look(probe("kind = 'collapse'", &problem, &theta).as_mut(), &problem, &theta);
    // Σ_B is 1 along the means and 0 across, Σ_W along the means 0.01: only that counts.
    assert_close(row.get("nc1"), 0.01 / 2.0, 1e-13, "nc1");
    assert!(row.get("nc2_norms").abs() < 1e-15 && row.get("nc2_angles").abs() < 1e-15);
    // Unit matrices whose rows are turned by an angle are 2 sin(angle/2) apart.
    assert_close(row.get("nc3"), 2.0 * (0.5 * turn).sin(), 1e-14, "nc3");
    assert_eq!(row.get("nc4"), 0.0);
    // Along (0.3, 1) the last layer puts 0.9 and -0.3 on the wrong side, and half of all examples with them.
    let (problem, theta) = features(&all, &labels, 2, 2, &[0.3, 1.0 + 1e-9]);
    let wrong = (0..8).filter(|i| {
        let f = 0.3 * all[2 * i] + (1.0 + 1e-9) * all[2 * i + 1];
        (f > 0.0) != (labels[*i] == 0)
    });
    let row = look(probe("kind = 'collapse'", &problem, &theta).as_mut(), &problem, &theta);
    assert_eq!(row.get("nc4"), wrong.count() as f64 / 8.0);
    assert!(row.get("nc4") > 0.0);
}

#[test]
fn a_simplex_has_collapsed_and_a_moved_mean_is_measured() {
    // Features at the corners of a regular triangle, twice each; the last layer is the triangle itself, at another scale.
    let root = 0.75f64.sqrt();
    let corners = [1.0, 0.0, -0.5, root, -0.5, -root];
    let twice: Vec<f64> = corners.iter().chain(&corners).copied().collect();
    let last: Vec<f64> = corners.iter().map(|c| 5.0 * c).collect();
    let (problem, theta) = features(&twice, &[0, 1, 2, 0, 1, 2], 2, 3, &last);
    let row = look(probe("kind = 'collapse'", &problem, &theta).as_mut(), &problem, &theta);
    for column in ["nc1", "nc2_norms", "nc2_angles", "nc3", "nc4"] {
        assert!(row.get(column).abs() < 1e-14, "{column}: {}", row.get(column));
    }
    // Means at (2, 0), (−1, ±√3/2) have the centre 0, lengths 2, √7/2, √7/2 and cosines −2/√7 (twice) and 1/7.
    let moved = [2.0, 0.0, -1.0, root, -1.0, -root];
    let (problem, theta) = features(&moved, &[0, 1, 2], 2, 3, &last);
    let row = look(probe("kind = 'collapse'", &problem, &theta).as_mut(), &problem, &theta);
    let lengths = [2.0, 7f64.sqrt() / 2.0, 7f64.sqrt() / 2.0];
    let mean = lengths.iter().sum::<f64>() / 3.0;
    let spread = (lengths.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
    assert_close(row.get("nc2_norms"), spread / mean, 1e-13, "nc2_norms");
    let angles = (2.0 * (2.0 / 7f64.sqrt() - 0.5) + (1.0 / 7.0 + 0.5)) / 3.0;
    assert_close(row.get("nc2_angles"), angles, 1e-13, "nc2_angles");
}

#[test]
fn a_model_without_a_last_layer_has_nothing_to_collapse() {
    let model = common::model("kind = 'diagonal'", 2, 1);
    let problem = problem(model, "kind = 'logistic'", common::four_points());
    let theta = [1.0, 1.0, 0.5, 0.5];
    let row = look(probe("kind = 'collapse'", &problem, &theta).as_mut(), &problem, &theta);
    assert!(row.cells.iter().all(|(_, v)| v.is_nan()));
}

#[test]
fn the_saliency_of_a_linear_model_is_its_direction() {
    let model = common::model("kind = 'linear'", 2, 1);
    let problem = problem(model, "kind = 'logistic'", common::four_points());
    let mut probe = probe("kind = 'saliency'\nexamples = 3", &problem, &[1.0, 0.0]);
    assert!(look(probe.as_mut(), &problem, &[1.0, 0.0]).get("saliency_change").is_nan());
    let (angle, grown) = (0.2f64, 3.0);
    let row = look(probe.as_mut(), &problem, &[grown * angle.cos(), grown * angle.sin()]);
    // S = w/‖w‖ at every example.
    assert_close(row.get("saliency_change"), 2.0 * (0.5 * angle).sin(), 1e-14, "change");
    assert_close(row.get("saliency_speed"), 2.0 * (0.5 * angle).sin() / grown.ln(), 1e-14, "speed");
}

#[test]
fn the_saliency_of_a_homogeneous_network_does_not_see_its_scale() {
    let model = common::model("kind = 'mlp'\nwidths = [5, 4]", 2, 1);
    let problem = problem(model, "kind = 'logistic'", common::four_points());
    let theta = normals(1, "theta", problem.dim());
    let mut probe = probe("kind = 'saliency'", &problem, &theta);
    look(probe.as_mut(), &problem, &theta);
    // Saved and loaded, it knows where it was.
    let state = probe.save();
    let mut other = parse::<AnyProbe>("kind = 'saliency'").build();
    other.begin(&Context { problem: &problem, theta: &theta, norms: Vec::new(), weight_decay: 0.0 }).unwrap();
    other.load(&state).unwrap();
    let scaled: Vec<f64> = theta.iter().map(|t| 7.0 * t).collect();
    for probe in [&mut probe, &mut other] {
        let row = look(probe.as_mut(), &problem, &scaled);
        assert!(row.get("saliency_change") < 1e-14, "{}", row.get("saliency_change"));
    }
}

fn linear(loss: &str, data: std::sync::Arc<Data>) -> Problem {
    let model: Box<dyn Model> = common::model("kind = 'linear'", data.dim(), 1);
    Problem::new(model, parse::<AnyLoss>(loss).build(), data, None)
}

#[test]
fn the_sharpness_of_a_linear_model_is_the_variance_of_its_examples() {
    // ∇² ln Σ e^{−q_i} = Cov_p(z), z_i = y_i x_i: for two examples p₁p₂‖z₁ − z₂‖², at any loss.
    let problem = linear("kind = 'exponential'", data(&[2.0, 1.0, -1.0, -3.0], &[0, 1], 2, 2));
    for size in [0.5, 30.0, 3000.0] {
        // q₁ − q₂ = w·(z₁ − z₂) = w·(1, −2) is 0.7.
        let w = [2.0 * size, size - 0.35];
        let mut probe = probe("kind = 'sharpness'", &problem, &w);
        let row = look(probe.as_mut(), &problem, &w);
        let p = 1.0 / (1.0 + 0.7f64.exp());
        let top = p * (1.0 - p) * 5.0;
        assert_close(row.get("sharpness"), top, 1e-6, "sharpness");
        assert_close(row.get("sharpness_scale_free"), top * norm(&w).powi(2), 1e-6, "scale-free");
        assert!(row.get("sharpness_residual") < 1e-3);
    }
}

#[test]
fn the_sharpness_of_a_network_is_the_top_of_its_dense_hessian() {
    let model = common::model("kind = 'mlp'\nwidths = [3]\nactivation = 'relu-power'", 2, 1);
    let problem = problem(model, "kind = 'logistic'", common::four_points());
    let theta = normals(3, "theta", problem.dim());
    let mut probe = probe("kind = 'sharpness'\nproducts = 9\ntolerance = 0", &problem, &theta);
    let row = look(probe.as_mut(), &problem, &theta);
    // Columns by other differences, the top eigenvalue by the power method on a shifted matrix.
    let n = theta.len();
    let eval = |t: &[f64]| problem.eval(t, &latephase_core::RowSet::Full).unwrap().grad;
    let columns: Vec<Vec<f64>> = (0..n)
        .map(|j| {
            let h = 1e-5;
            let (mut up, mut down) = (theta.clone(), theta.clone());
            up[j] += h;
            down[j] -= h;
            eval(&up).iter().zip(eval(&down)).map(|(a, b)| (a - b) / (2.0 * h)).collect()
        })
        .collect();
    let shift: f64 = columns.iter().map(|c| norm(c)).sum();
    let mut v = normals(4, "v", n);
    let mut top = 0.0;
    for _ in 0..20_000 {
        let size = norm(&v);
        v.iter_mut().for_each(|x| *x /= size);
        let mut image: Vec<f64> = v.iter().map(|x| shift * x).collect();
        columns.iter().zip(&v).for_each(|(c, x)| latephase_core::numeric::axpy(*x, c, &mut image));
        top = latephase_core::numeric::dot(&image, &v) - shift;
        v = image;
    }
    assert_close(row.get("sharpness"), top, 1e-5, "sharpness");
}

#[test]
fn stable_ranks_are_those_of_the_layers() {
    let model = common::model("kind = 'deep-linear'\nwidths = [2]", 2, 1);
    let problem = problem(model, "kind = 'logistic'", common::four_points());
    // σ of the first layer: 2 and 1; of the second, a row: its length alone.
    let theta = [2.0, 0.0, 0.0, -1.0, 3.0, 4.0];
    let row = look(probe("kind = 'layers'", &problem, &theta).as_mut(), &problem, &theta);
    assert_close(row.get("stable_rank_max"), 5.0 / 4.0, 1e-14, "max");
    assert_close(row.get("stable_rank_min"), 1.0, 1e-14, "min");
}
