//! The probe of constant-step SGD: its identities step by step, its quantities on the sphere against their definitions,
//! and criticality against another algorithm and known critical points.

mod common;

use std::f64::consts::LN_2;
use std::sync::Arc;

use common::{algorithm, assert_close, data, four_points, measure, model, normals, parse, problem};
use latephase_core::algorithm::{Algorithm, Taken};
use latephase_core::norm::AnyNorm;
use latephase_core::numeric::{axpy, distance, dot, norm, project_on_simplex};
use latephase_core::probe::{AnyProbe, Context, Probe, Row, StepRecord};
use latephase_core::{Eval, Iterate, Problem, RowSet};

fn probe(problem: &Problem, theta: &[f64], settings: &str) -> Box<dyn Probe> {
    let mut probe = parse::<AnyProbe>(&format!("kind = 'sgd'\n{settings}")).build();
    let context = Context { problem, theta, norms: vec![AnyNorm::default()], weight_decay: 0.0 };
    probe.begin(&context).unwrap();
    probe
}

fn look(problem: &Problem, theta: &[f64], settings: &str) -> Row {
    measure(probe(problem, theta, settings).as_mut(), problem, &mut Iterate::new(theta.to_vec()))
}

/// Steps that the probe sees.
fn follow(
    steps: &mut dyn Algorithm,
    probe: &mut dyn Probe,
    problem: &Problem,
    at: &mut Iterate,
    count: usize,
) {
    for _ in 0..count {
        let before = at.theta().to_vec();
        steps.step(problem, at).unwrap();
        probe.step(&StepRecord {
            problem,
            before: &before,
            after: at.theta(),
            taken: steps.taken(),
            ends: None,
        });
    }
}

fn begin(text: &str, problem: &Problem) -> Box<dyn Algorithm> {
    let mut algorithm = algorithm(text).build();
    algorithm.begin(problem, 7).unwrap_or_else(|e| panic!("{text}: {e}"));
    algorithm
}

/// Gaussian points of `classes` sectors of the plane of their first two coordinates.
fn sectors(seed: u64, n: usize, dim: usize, classes: usize) -> Arc<latephase_core::Data> {
    let x = normals(seed, "sectors", n * dim);
    let turn = |i: usize| (x[i * dim].atan2(x[i * dim + 1]) / std::f64::consts::TAU + 1.0) % 1.0;
    let labels: Vec<u32> = (0..n).map(|i| (turn(i) * classes as f64) as u32).collect();
    data(&x, &labels, dim, classes)
}

fn net(seed: u64, loss: &str, classes: usize) -> (Problem, Vec<f64>) {
    let outputs = if classes == 2 { 1 } else { classes };
    let net = model("kind = 'mlp'\nwidths = [8]", 3, outputs);
    let theta = normals(seed, "theta", net.layout().dim()).iter().map(|t| 0.5 * t).collect();
    (problem(net, loss, sectors(seed, 12, 3, classes)), theta)
}

// The norm identity.

const T: f64 = 1.0 / 1_048_576.0;

/// Section 4 of the test vectors: γ = 1, mean exponential loss, examples 1 and 3.
fn tabulated() -> (Problem, Vec<f64>, Taken) {
    let x = [1.0, 1.0, -1.0, 1.0 + T, 2.0, -0.5];
    let net = model("kind = 'mlp'\nwidths = [2]", 2, 1);
    let problem = problem(net, "kind = 'exponential'\nreduction = 'mean'", data(&x, &[0, 0, 1], 2, 2));
    let theta = [0.5, 1.0, 1.0, -0.5, 1.0, -2.0].map(|t| 2.0 * t).to_vec();
    let rows = RowSet::Batch(0, Arc::new(vec![0, 2]));
    let eval = Arc::new(problem.eval(&theta, &rows).unwrap());
    (problem, theta, Taken { rows, eval, ln_rate: 0.0 })
}

/// Feeds the step that `eval` plans, and looks at its start.
fn one_step(problem: &Problem, theta: &[f64], taken: &Taken) -> (Row, Vec<f64>) {
    let mut next = theta.to_vec();
    axpy(-(taken.ln_rate + taken.eval.ln_loss).exp(), &taken.eval.grad, &mut next);
    let mut probe = probe(problem, theta, "");
    probe.step(&StepRecord { problem, before: theta, after: &next, taken: Some(taken), ends: None });
    (measure(probe.as_mut(), problem, &mut Iterate::new(theta.to_vec())), next)
}

#[test]
fn the_tabulated_step_satisfies_the_identity_and_has_the_tabulated_effective_step() {
    let (problem, theta, taken) = tabulated();
    let (row, next) = one_step(&problem, &theta, &taken);
    let (first, second, after) = (0.541344734072042, 0.228945200547393, 30.7702899346194);
    assert_close(dot(&next, &next), after, 1e-14, "the norm after the step");
    // A few roundings of numbers of size 1 relative to themselves.
    assert!(row.get("norm_identity") < 1e-15 && row.get("norm_increment") < 1e-14);
    assert_close(row.get("ln_effective_step"), -2.40546659968991, 1e-14, "ln_effective_step");
    assert_close(row.get("ln_effective_step").exp(), 0.0902233875820833, 1e-13, "effective_step");
    assert_eq!(row.get("norm_decreases"), 0.0);

    // Weights that are twice too large are off by the first-order term exactly.
    let cotangent = taken.eval.cotangent.iter().map(|c| 2.0 * c).collect();
    let wrong = Taken { eval: Arc::new(Eval { cotangent, ..(*taken.eval).clone() }), ..taken.clone() };
    let (row, _) = one_step(&problem, &theta, &wrong);
    assert_close(row.get("norm_identity"), first / after, 1e-12, "twice the first-order term");
    assert_close(row.get("norm_increment"), first / (2.0 * first + second), 1e-12, "of the increment");
    // A gradient of the wrong sign makes the norm fall with every margin positive, and is counted.
    let grad = taken.eval.grad.iter().map(|g| -g).collect();
    let wrong = Taken { eval: Arc::new(Eval { grad, ..(*taken.eval).clone() }), ..taken };
    let (row, _) = one_step(&problem, &theta, &wrong);
    let after = 30.0 - first + second;
    assert_close(row.get("norm_identity"), 2.0 * first / after, 1e-12, "a wrong sign");
    assert_eq!(row.get("norm_decreases"), 1.0);
}

#[test]
fn the_identity_holds_along_runs_with_fresh_batches_at_constant_steps() {
    for (loss, classes) in [
        ("kind = 'exponential'", 2),
        ("kind = 'logistic'\nreduction = 'mean'", 2),
        ("kind = 'cross-entropy'\nreduction = 'mean'", 3),
    ] {
        for batch in ["{ kind = 'fresh', size = 1 }", "{ kind = 'fresh', size = 5 }", "'full'"] {
            let (problem, theta) = net(4, loss, classes);
            let text =
                format!("kind = 'stepped'\npace = {{ kind = 'constant', eta = 0.05 }}\nbatch = {batch}");
            let mut steps = begin(&text, &problem);
            let mut probe = probe(&problem, &theta, "");
            let mut at = Iterate::new(theta);
            for _ in 0..20 {
                follow(steps.as_mut(), probe.as_mut(), &problem, &mut at, 100);
                let row = measure(probe.as_mut(), &problem, &mut at);
                assert!(row.get("norm_identity") < 1e-12, "{text} {loss}: {}", row.get("norm_identity"));
                // Relative to the increment: the terms of its sum cancel by a factor of up to some thousands here.
                assert!(row.get("norm_increment") < 1e-10, "{text} {loss}: {}", row.get("norm_increment"));
                assert_eq!(row.get("norm_decreases"), 0.0);
            }
        }
    }
}

#[test]
fn steps_that_follow_no_gradient_have_no_identity() {
    let (problem, theta) = net(4, "kind = 'logistic'", 2);
    for text in [
        "kind = 'stepped'\npace = { kind = 'constant', eta = 0.05 }\ndescent = { kind = 'steepest', norm = 'linf' }",
        "kind = 'stepped'\npace = { kind = 'constant', eta = 0.05 }\ndescent = { kind = 'steepest', norm = 'l1' }",
        "kind = 'bundle'\nkappa = 0.01",
        "kind = 'flow'",
    ] {
        let mut steps = begin(text, &problem);
        let mut probe = probe(&problem, &theta, "");
        let mut at = Iterate::new(theta.clone());
        follow(steps.as_mut(), probe.as_mut(), &problem, &mut at, 3);
        let row = measure(probe.as_mut(), &problem, &mut at);
        assert!(row.get("norm_identity").is_nan() && row.get("norm_increment").is_nan(), "{text}");
        assert!(row.get("criticality").is_finite() && row.get("softmax_excess").is_finite(), "{text}");
    }
    // One such step among gradient steps spoils a window, and only that one.
    let mut probe = probe(&problem, &theta, "");
    let mut at = Iterate::new(theta.clone());
    let gradient = "kind = 'stepped'\npace = { kind = 'loss-scaled', eta = 0.01 }";
    let sign = format!("{gradient}\ndescent = {{ kind = 'steepest', norm = 'linf' }}");
    let (mut gradient, mut sign) = (begin(gradient, &problem), begin(&sign, &problem));
    follow(gradient.as_mut(), probe.as_mut(), &problem, &mut at, 3);
    follow(sign.as_mut(), probe.as_mut(), &problem, &mut at, 1);
    assert!(measure(probe.as_mut(), &problem, &mut at).get("norm_identity").is_nan());
    follow(gradient.as_mut(), probe.as_mut(), &problem, &mut at, 3);
    assert!(measure(probe.as_mut(), &problem, &mut at).get("norm_identity") < 1e-14);
    assert!(measure(probe.as_mut(), &problem, &mut at).get("norm_identity").is_nan(), "no step, no number");
}

#[test]
fn a_network_without_an_exact_degree_has_no_identity() {
    let net = model("kind = 'mlp'\nwidths = [4]\nbias = 'all'", 3, 1);
    let theta = normals(1, "theta", net.layout().dim());
    let problem = problem(net, "kind = 'logistic'", sectors(2, 12, 3, 2));
    let mut steps = begin("kind = 'stepped'\npace = { kind = 'constant', eta = 1e-3 }", &problem);
    let mut probe = probe(&problem, &theta, "");
    let mut at = Iterate::new(theta);
    follow(steps.as_mut(), probe.as_mut(), &problem, &mut at, 3);
    assert!(measure(probe.as_mut(), &problem, &mut at).get("norm_identity").is_nan());
}

// On the sphere.

#[test]
fn the_direction_moves_by_the_effective_step_times_the_tangent_gradient() {
    // u' = u + γ̄ḡ^s + O(γ̄²) for the full batch: halving γ halves the relative error.
    for (loss, classes) in [
        ("kind = 'logistic'", 2),
        ("kind = 'exponential'\nreduction = 'mean'", 2),
        ("kind = 'cross-entropy'", 3),
    ] {
        let (problem, theta) = net(9, loss, classes);
        let mut errors = Vec::new();
        for eta in [1e-4, 0.5e-4] {
            let mut steps =
                begin(&format!("kind = 'stepped'\npace = {{ kind = 'constant', eta = {eta:?} }}"), &problem);
            let mut probe = probe(&problem, &theta, "");
            let mut at = Iterate::new(theta.clone());
            follow(steps.as_mut(), probe.as_mut(), &problem, &mut at, 1);
            let row = measure(probe.as_mut(), &problem, &mut Iterate::new(theta.clone()));
            let unit = |v: &[f64]| v.iter().map(|x| x / norm(v)).collect::<Vec<f64>>();
            let moved = distance(&unit(at.theta()), &unit(&theta));
            errors.push(moved / (row.get("ln_effective_step").exp() * row.get("tangent_gradient")) - 1.0);
        }
        assert!(errors[0].abs() < 1e-2, "{loss}: {errors:?}");
        assert!((errors[1] / errors[0] - 0.5).abs() < 0.05, "{loss}: {errors:?}");
    }
}

#[test]
fn the_step_size_is_that_on_the_batch_mean_whatever_the_reduction() {
    // A rate η on the mean of 4 is η/4 on their sum.
    let mut rows = Vec::new();
    for (reduction, eta) in [("mean", 0.04), ("sum", 0.01)] {
        let (problem, theta) = net(6, &format!("kind = 'logistic'\nreduction = '{reduction}'"), 2);
        let text = format!(
            "kind = 'stepped'\npace = {{ kind = 'constant', eta = {eta} }}\nbatch = {{ kind = 'fresh', size = 4 }}"
        );
        let mut steps = begin(&text, &problem);
        let mut probe = probe(&problem, &theta, "");
        let mut at = Iterate::new(theta);
        follow(steps.as_mut(), probe.as_mut(), &problem, &mut at, 50);
        rows.push(measure(probe.as_mut(), &problem, &mut at));
    }
    for column in ["ln_effective_step", "tangent_gradient", "criticality", "norm_power_over_ln_step"] {
        assert_close(rows[0].get(column), rows[1].get(column), 1e-10, column);
    }
}

#[test]
fn softmax_weights_fall_with_the_margin_within_the_bound_of_the_loss() {
    for (loss, classes, bound) in [
        ("kind = 'exponential'", 2, 0.0),
        ("kind = 'logistic'", 2, LN_2),
        ("kind = 'cross-entropy'", 3, 3f64.ln()),
    ] {
        let mut late = 0;
        for seed in 0..40 {
            let (problem, theta) = net(seed, loss, classes);
            let steps = "kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 0.1 }";
            let (mut steps, mut at) = (begin(steps, &problem), Iterate::new(theta));
            for _ in 0..150 {
                // Some seeds do not separate, or end at a kink.
                if steps.step(&problem, &mut at).is_err() {
                    break;
                }
            }
            let full = at.eval(&problem, &RowSet::Full).unwrap();
            let least = problem.constraints(&full).iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
            let excess = look(&problem, at.theta(), "").get("softmax_excess");
            if least >= 0.0 || loss.contains("exponential") {
                late += 1;
                // Margins of size 10 carry 10 roundings into the exponent.
                assert!(excess <= bound + 1e-12, "{loss} {seed}: {excess} beyond {bound}");
            }
        }
        assert!(late >= 5, "{loss}: {late} runs separated");
    }
}

#[test]
fn powers_of_the_norm_are_relative_to_ln_of_the_step() {
    let (problem, theta) = net(3, "kind = 'logistic'", 2);
    let power = norm(&theta).powi(2);
    for (step, expected) in [(0, f64::NAN), (1, f64::NAN), (2, power / LN_2), (1000, power / 1000f64.ln())] {
        let mut at = Iterate::new(theta.clone());
        at.clocks.step = step;
        let row = measure(probe(&problem, &theta, "").as_mut(), &problem, &mut at);
        assert_close(row.get("norm_power"), power, 1e-14, "norm_power");
        let found = row.get("norm_power_over_ln_step");
        assert!(
            found.is_nan() && expected.is_nan() || (found / expected - 1.0).abs() < 1e-14,
            "{step}: {found}"
        );
    }
}

// Criticality.

/// The least norm of a convex combination, by projected gradient.
fn least_norm(vectors: &[Vec<f64>]) -> f64 {
    let lipschitz: f64 = vectors.iter().map(|v| dot(v, v)).sum();
    let mut lambda = vec![1.0 / vectors.len() as f64; vectors.len()];
    let sum = |lambda: &[f64]| {
        let mut r = vec![0.0; vectors[0].len()];
        vectors.iter().zip(lambda).for_each(|(v, l)| axpy(*l, v, &mut r));
        r
    };
    for _ in 0..100_000 {
        let r = sum(&lambda);
        lambda.iter_mut().zip(vectors).for_each(|(l, v)| *l -= dot(v, &r) / lipschitz);
        project_on_simplex(&mut lambda);
    }
    norm(&sum(&lambda))
}

#[test]
fn criticality_is_the_least_norm_that_another_algorithm_finds() {
    for (seed, classes) in [(1, 2), (2, 2), (3, 3), (4, 3), (5, 2)] {
        let loss = if classes == 2 { "kind = 'logistic'" } else { "kind = 'cross-entropy'" };
        let (problem, theta) = net(seed, loss, classes);
        let eval = problem.eval(&theta, &RowSet::Full).unwrap();
        let mut list = problem.constraints(&eval);
        list.sort_by(|a, b| a.value.total_cmp(&b.value));
        for active in [1, 2, 4] {
            // A band that ends between two margins.
            let least = list[0].value;
            let within = (0.5 * (list[active - 1].value + list[active].value) - least) / least.abs();
            let rho = norm(&theta);
            let tangents: Vec<Vec<f64>> = list[..active]
                .iter()
                .map(|c| {
                    let mut g = problem.margin_gradient(&theta, c).unwrap();
                    g.iter_mut().for_each(|g| *g /= rho);
                    let radial = dot(&g, &theta) / (rho * rho);
                    axpy(-radial, &theta, &mut g);
                    g
                })
                .collect();
            let row = look(&problem, &theta, &format!("within = {within:?}"));
            let other = least_norm(&tangents);
            // Projected gradients stop at about 1e-8 of the longest.
            let size = tangents.iter().map(|t| norm(t)).fold(0.0, f64::max);
            assert!((row.get("criticality") - other).abs() < 1e-7 * size, "{seed}, {active}: {other}");
            assert!(row.get("criticality_support") <= active as f64);
            // A smaller active set has fewer combinations.
            let fewer = look(&problem, &theta, &format!("within = {within:?}\nmost = 1")).get("criticality");
            assert!(row.get("criticality") <= fewer * (1.0 + 1e-12));
        }
    }
}

#[test]
fn the_optimal_directions_of_the_four_points_are_critical() {
    // targets.md, section 5. Linear: w ∝ (1, 1); (2, 1) and (1, 2) are active and their tangents are opposite.
    let line = problem(model("kind = 'linear'", 2, 1), "kind = 'logistic'", four_points());
    for c in [1.0, 1e4] {
        let row = look(&line, &[c, c], "");
        assert!(row.get("criticality") < 1e-15, "{}", row.get("criticality"));
        assert_eq!(row.get("criticality_support"), 2.0);
    }
    // Half of the distance of the tangents ±(½, −½) from 0 appears when one margin alone is active.
    assert!(look(&line, &[1.0, 1.3], "").get("criticality") > 0.1);
    // Two neurons: directions (2, 1)/√5 and −(0.6, 0.8), outer weights as 1/√5 : 1/2.2, each as long as its neuron.
    let net = problem(model("kind = 'mlp'\nwidths = [2]", 2, 1), "kind = 'logistic'", four_points());
    let (p, n) = (5f64.powf(-0.25), 2.2f64.powf(-0.5));
    let root = 5f64.sqrt();
    let theta = [2.0 * p / root, p / root, -0.6 * n, -0.8 * n, p, -n];
    for c in [1.0, 100.0] {
        let theta = theta.map(|t| c * t);
        let row = look(&net, &theta, "");
        // γ_gl/2 is the margin; three margins carry the point.
        assert!(row.get("criticality") < 1e-14, "{}", row.get("criticality"));
        assert!(row.get("criticality_support") >= 3.0, "{}", row.get("criticality_support"));
        let eval = net.eval(&theta, &RowSet::Full).unwrap();
        let least = net.constraints(&eval).iter().map(|q| q.value).fold(f64::INFINITY, f64::min);
        assert_close(least / row.get("norm_power"), 0.554471840315681, 1e-13, "margin");
    }
    // Away from it it is not.
    let row = look(&net, &[2.0, 1.3, -0.6, -0.8, 2.0, -1.0], "");
    assert!(row.get("criticality") > 0.05, "{}", row.get("criticality"));
}

#[test]
fn the_order_of_the_examples_changes_nothing() {
    let (problem, theta) = net(8, "kind = 'cross-entropy'\nreduction = 'mean'", 3);
    let order: Vec<usize> = (0..problem.train.n()).rev().collect();
    let turned = Arc::new(problem.train.select(&order));
    let other = common::problem(
        model("kind = 'mlp'\nwidths = [8]", 3, 3),
        "kind = 'cross-entropy'\nreduction = 'mean'",
        turned,
    );
    let rows = [&problem, &other].map(|problem| {
        let mut steps = begin("kind = 'stepped'\npace = { kind = 'constant', eta = 0.1 }", problem);
        let mut probe = probe(problem, &theta, "within = 0.5");
        let mut at = Iterate::new(theta.clone());
        follow(steps.as_mut(), probe.as_mut(), problem, &mut at, 20);
        measure(probe.as_mut(), problem, &mut at)
    });
    for ((name, x), (_, y)) in rows[0].cells.iter().zip(&rows[1].cells) {
        // The identity is rounding alone.
        assert!((x - y).abs() <= 1e-9 * x.abs().max(1e-3), "{name}: {x} and {y}");
    }
}

#[test]
fn a_resumed_probe_writes_the_same_bits() {
    let (problem, theta) = net(4, "kind = 'logistic'", 2);
    let text =
        "kind = 'stepped'\npace = { kind = 'constant', eta = 0.05 }\nbatch = { kind = 'fresh', size = 3 }";
    let (mut steps, mut at) = (begin(text, &problem), Iterate::new(theta.clone()));
    let mut whole = probe(&problem, &theta, "");
    follow(steps.as_mut(), whole.as_mut(), &problem, &mut at, 17);
    let mut resumed = probe(&problem, &theta, "");
    resumed.load(&whole.save()).unwrap();
    assert_eq!(format!("{:?}", resumed.save()), format!("{:?}", whole.save()));
    for _ in 0..5 {
        let before = at.theta().to_vec();
        steps.step(&problem, &mut at).unwrap();
        let record = StepRecord {
            problem: &problem,
            before: &before,
            after: at.theta(),
            taken: steps.taken(),
            ends: None,
        };
        whole.step(&record);
        resumed.step(&record);
    }
    let bits = |row: Row| row.cells.iter().map(|(n, v)| (n.clone(), v.to_bits())).collect::<Vec<_>>();
    let a = bits(measure(whole.as_mut(), &problem, &mut at));
    assert_eq!(a, bits(measure(resumed.as_mut(), &problem, &mut at)));
}
