//! The probe `theory` against closed forms (one example, where the flow is a straight line), finite differences, identities
//! of the exponential loss, and the inequalities of the flow that it is made for.

use std::sync::Arc;

use latephase_core::algorithm::{Algorithm, AnyAlgorithm, Field};
use latephase_core::loss::AnyLoss;
use latephase_core::model::{AnyModel, Tape};
use latephase_core::norm::AnyNorm;
use latephase_core::numeric::{dot, norm};
use latephase_core::probe::{AnyProbe, Context, End, Probe, Row, Snapshot, StepRecord};
use latephase_core::rng::stream;
use latephase_core::{Data, Iterate, Problem, RowSet};
use rand::Rng;

fn problem(model: &str, loss: &str, x: Vec<f64>, labels: Vec<u32>) -> Problem {
    let classes = labels.iter().max().map_or(2, |m| (m + 1).max(2)) as usize;
    let dim = x.len() / labels.len();
    let names = (0..classes).map(|k| k.to_string()).collect();
    let data = Data::new(x, labels, names, vec![dim]).unwrap();
    let loss = toml::from_str::<AnyLoss>(loss).unwrap().build();
    let model: AnyModel = toml::from_str(model).unwrap();
    let model = model.build().assemble(&[dim], loss.outputs(classes).unwrap()).unwrap();
    Problem::new(model, loss, Arc::new(data), None)
}

fn begin(text: &str, problem: &Problem) -> Box<dyn Algorithm> {
    let mut algorithm = toml::from_str::<AnyAlgorithm>(text).unwrap().build();
    algorithm.begin(problem, 1).unwrap();
    algorithm
}

fn probe(problem: &Problem, theta: &[f64], norms: Vec<AnyNorm>) -> (Box<dyn Probe>, Vec<String>) {
    let mut probe = AnyProbe::example("theory").build();
    let columns = probe.begin(&Context { problem, theta, norms, weight_decay: 0.0 }).unwrap();
    (probe, columns)
}

fn measure(probe: &mut dyn Probe, problem: &Problem, at: &mut Iterate) -> Row {
    let mut row = Row::default();
    probe.measure(&Snapshot::new(problem, at, None).unwrap(), &mut row);
    row.put("ln_loss_sum", at.eval(problem, &RowSet::Full).unwrap().ln_loss_sum);
    row.put("rho", norm(at.theta()));
    row
}

fn look(problem: &Problem, theta: &[f64]) -> Row {
    let (mut probe, _) = probe(problem, theta, vec![AnyNorm::default()]);
    measure(probe.as_mut(), problem, &mut Iterate::new(theta.to_vec()))
}

/// Steps until ln 𝓛_sum is below a level, as a run makes them known to the probes.
fn follow(
    algorithm: &mut dyn Algorithm,
    probe: &mut dyn Probe,
    problem: &Problem,
    at: &mut Iterate,
    ln_loss: f64,
) {
    loop {
        let from = at.eval(problem, &RowSet::Full).unwrap();
        if from.ln_loss_sum < ln_loss {
            return;
        }
        let (before, field, step) = (at.theta().to_vec(), algorithm.field().cloned(), at.clocks.step);
        algorithm.step(problem, at).unwrap();
        if at.clocks.step == step {
            continue;
        }
        let to = at.eval(problem, &RowSet::Full).unwrap();
        let ends = [End { full: &from, field: field.as_ref() }, End { full: &to, field: algorithm.field() }];
        let (after, taken) = (at.theta(), algorithm.taken());
        probe.step(&StepRecord { problem, before: &before, after, taken, ends: Some(ends) });
    }
}

fn near(a: f64, b: f64, within: f64, what: &str) {
    assert!((a - b).abs() <= within, "{what}: {a} against {b}, off by {:.1e}", a - b);
}

/// ln of the smoothed margin ℓ⁻¹(𝓛)/ρ^L.
fn ln_smooth(problem: &Problem, row: &Row) -> f64 {
    let degree = problem.model.degree().order().unwrap();
    problem.loss.inverse(-row.get("ln_loss_sum")).ln() - degree * row.get("rho").ln()
}

const SMALL_STEPS: &str = "kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 0.01 }";

#[test]
fn one_example_makes_every_integral_a_closed_form() {
    // θ = (p, c) in the coordinates along and across x: only p moves, β = p/ρ, and u = |x|·p.
    let x = [3.0, 4.0];
    let (p, c) = (0.4, 1.3);
    let theta: Vec<f64> = vec![(p * x[0] - c * x[1]) / 5.0, (p * x[1] + c * x[0]) / 5.0];
    let problem = problem("kind = 'linear'", "kind = 'exponential'", x.to_vec(), vec![0]);
    let (mut seen, _) = probe(&problem, &theta, vec![AnyNorm::default()]);
    let mut at = Iterate::new(theta);
    let first = measure(seen.as_mut(), &problem, &mut at);
    assert!(first.get("min_turning").is_nan() && first.get("turning") == 0.0 && first.get("work") == 0.0);
    let mut steps = begin(SMALL_STEPS, &problem);
    follow(steps.as_mut(), seen.as_mut(), &problem, &mut at, -40.0);
    let last = measure(seen.as_mut(), &problem, &mut at);
    let end = -last.get("ln_loss_sum") / 5.0;
    near(last.get("work"), 5.0 * (end - p), 1e-10, "work");
    near(last.get("work_error"), 0.0, 1e-10, "the slope is constant");
    let radial = |p: f64| 5.0 * (p - c * (p / c).atan());
    // The trapezoidal rule on an integrand with curvature of order 1, in steps of 0.002.
    near(last.get("radial_work"), radial(end) - radial(p), 1e-5, "radial work");
    // With one example the inequality of Lyu & Li's Lemma C.9 is an equality.
    let gain = ln_smooth(&problem, &last) - ln_smooth(&problem, &first);
    near(last.get("turning"), gain, 1e-4, "turning");
    let error = last.get("turning_error");
    assert!((last.get("turning") - gain).abs() <= error && error < 0.02, "{error}");
    near(last.get("min_turning") / (c / end).powi(2), 1.0, 1e-9, "least turning");
    near(last.get("grad_norm"), 5.0, 1e-13, "|g|");
    near(last.get("radial_grad"), 5.0 * end / end.hypot(c), 1e-12, "radial part of g");
    near(last.get("loss_inverse"), 5.0 * end, 1e-12, "inverse");
    let again = measure(seen.as_mut(), &problem, &mut at);
    assert!(again.get("min_turning").is_nan(), "no step since the last look");
    assert_eq!(again.get("turning"), last.get("turning"));
}

#[test]
fn sign_descent_on_one_example_has_closed_forms_in_its_own_norm() {
    let problem = problem("kind = 'linear'", "kind = 'exponential'", vec![3.0, -4.0], vec![0]);
    let theta = vec![0.5, 0.25];
    let norms = vec![toml::from_str::<AnyNorm>("kind = 'linf'").unwrap()];
    let (mut seen, _) = probe(&problem, &theta, norms);
    let mut at = Iterate::new(theta);
    let text = "kind = 'stepped'\ndescent = { kind = 'steepest', norm = 'linf' }\n\
                pace = { kind = 'unit-decrease', eta = 0.01 }";
    let mut steps = begin(text, &problem);
    let first = at.eval(&problem, &RowSet::Full).unwrap().ln_loss_sum;
    follow(steps.as_mut(), seen.as_mut(), &problem, &mut at, -20.0);
    let last = measure(seen.as_mut(), &problem, &mut at);
    // θ = (0.5 + s, 0.25 − s) and g = (3, −4): du = 7 ds, a = (3θ₁ − 4θ₂)/(7‖θ‖_∞), and ‖θ‖_∞ = 0.5 + s.
    let gained = first - last.get("ln_loss_sum");
    let s = gained / 7.0;
    near(last.get("work_linf"), gained, 1e-10, "work");
    near(last.get("norm_linf"), 0.5 + s, 1e-12, "norm");
    near(last.get("dual_norm_linf"), 7.0, 1e-12, "dual norm");
    near(last.get("norm_path_linf"), ((0.5 + s) / 0.5).ln(), 1e-5, "path relative to the norm");
    let a = (3.0 * (0.5 + s) + 4.0 * (s - 0.25)) / (7.0 * (0.5 + s));
    near(last.get("min_turning_linf"), 1.0 / a - 1.0, 1e-12, "1/a − 1");
    // In l2 the path is longer than the gradient needs: ‖g‖‖Δθ‖ = 5√2 per unit of s against 7.
    near(last.get("work"), 5.0 * 2f64.sqrt() * s, 1e-10, "work in l2");
}

/// Points whose labels a random network of the same kind gives.
fn random(seed: u64, n: usize, d: usize) -> (Vec<f64>, Vec<u32>) {
    let mut rng = stream(seed, "test", 0);
    let x: Vec<f64> = (0..n * d).map(|_| rng.random_range(-1.0..1.0)).collect();
    let label = |row: &[f64]| u32::from(row[0] - 0.3 * row[1].abs() + 0.1 < 0.0);
    let labels = x.chunks_exact(d).map(label).collect();
    (x, labels)
}

#[test]
fn along_a_smooth_flow_the_work_is_the_fall_of_the_loss_and_the_turning_is_paid_for_by_the_margin() {
    let (x, labels) = random(5, 14, 2);
    for loss in ["kind = 'exponential'", "kind = 'logistic'"] {
        let problem =
            problem("kind = 'mlp'\nwidths = [6]\nactivation = 'relu-power'", loss, x.clone(), labels.clone());
        let theta = problem.model.init(&mut stream(3, "init", 0));
        let (mut seen, _) = probe(&problem, &theta, vec![AnyNorm::default()]);
        let mut at = Iterate::new(theta);
        let mut flow = begin("kind = 'flow'\nrtol = 1e-7", &problem);
        let mut rows = vec![measure(seen.as_mut(), &problem, &mut at)];
        assert!(rows[0].get("turning").is_nan(), "not separated at the start");
        for level in [0.5, -2.0, -5.0, -10.0, -30.0] {
            follow(flow.as_mut(), seen.as_mut(), &problem, &mut at, level);
            rows.push(measure(seen.as_mut(), &problem, &mut at));
        }
        for pair in rows.windows(2) {
            let change = |column: &str| pair[1].get(column) - pair[0].get(column);
            let (fall, work) = (-change("ln_loss_sum"), change("work"));
            near(work, fall, change("work_error"), "work");
            near(work / fall, 1.0, 1e-3, "work");
            assert!(change("radial_work") <= work * (1.0 + 1e-9));
            if pair[0].get("turning").is_nan() {
                continue;
            }
            let paid = (ln_smooth(&problem, &pair[1]) - ln_smooth(&problem, &pair[0])) / 3.0;
            let turned = change("turning");
            assert!(turned > 0.0 && turned <= paid + change("turning_error"), "{turned} against {paid}");
            let window = change("rho") / pair[0].get("rho");
            assert!(pair[1].get("min_turning") <= paid / window.ln_1p() + 1e-12);
        }
        assert!(rows.last().unwrap().get("turning") > 0.0);
    }
}

#[test]
fn what_is_read_off_one_theta_agrees_with_its_definition() {
    let (x, labels) = random(9, 11, 3);
    let exponential =
        problem("kind = 'mlp'\nwidths = [4]", "kind = 'exponential'", x.clone(), labels.clone());
    let mut three = labels.clone();
    three[0] = 2;
    three[7] = 2;
    let classes = problem("kind = 'mlp'\nwidths = [4]", "kind = 'cross-entropy'", x, three);
    for (problem, is_exponential) in [(&exponential, true), (&classes, false)] {
        let theta = problem.model.init(&mut stream(4, "init", 0));
        let row = look(problem, &theta);
        let full = problem.eval(&theta, &RowSet::Full).unwrap();
        let constraints = problem.constraints(&full);
        let rho = norm(&theta);
        // b1 by central differences of every margin.
        let h = 1e-6;
        let outputs = |theta: &[f64]| {
            let mut out = vec![0.0; problem.train.n() * problem.model.outputs()];
            problem.model.forward(theta, problem.train.rows(), &mut out, &mut Tape::default()).unwrap();
            out
        };
        let values = |theta: &[f64]| -> Vec<f64> {
            let full = latephase_core::Eval { outputs: outputs(theta), ..full.clone() };
            problem.constraints(&full).iter().map(|c| c.value).collect()
        };
        let mut squares = vec![0.0; constraints.len()];
        for k in 0..theta.len() {
            let mut shifted = theta.clone();
            shifted[k] += h;
            let up = values(&shifted);
            shifted[k] -= 2.0 * h;
            let down = values(&shifted);
            squares
                .iter_mut()
                .zip(up.iter().zip(&down))
                .for_each(|(s, (a, b))| *s += ((a - b) / (2.0 * h)).powi(2));
        }
        let b1 = squares.iter().fold(0.0f64, |m, s| m.max(s.sqrt())) / rho;
        near(row.get("b1") / b1, 1.0, 1e-7, "b1");
        let b0 = constraints.iter().fold(0.0f64, |m, c| m.max(c.value.abs())) / (rho * rho);
        near(row.get("b0") / b0, 1.0, 1e-12, "b0");
        near(row.get("grad_norm") / norm(&full.grad), 1.0, 1e-13, "|g|");
        near(row.get("radial_grad"), -dot(&theta, &full.grad) / rho, 1e-12, "radial part");
        let u = -full.ln_loss_sum;
        if is_exponential {
            let nu: f64 = constraints.iter().map(|c| c.weight * c.value).sum();
            near(nu, u + row.get("weight_entropy"), 1e-12, "sum of w q");
            near(row.get("weight_sum"), 1.0, 1e-13, "sum of w");
        }
        // Lyu & Li, item 6: ‖g‖ ≤ Σw·max‖h‖, at any θ.
        assert!(row.get("grad_norm") <= row.get("weight_sum") * row.get("b1") * rho * (1.0 + 1e-12));
    }
}

#[test]
fn the_neurons_of_a_kkt_point_have_unit_pull() {
    // One example: the KKT point is one neuron along x with |a| = |v|; λ scales it.
    let problem = problem("kind = 'mlp'\nwidths = [2]", "kind = 'logistic'", vec![3.0, 4.0], vec![0]);
    for c in [1.0, 1e3] {
        let row = look(&problem, &[0.6 * c, 0.8 * c, 0.0, 0.0, c, 0.0]);
        near(row.get("neuron_structure"), 0.0, 1e-14, "structure");
        near(row.get("lambda_sum"), 1.0, 1e-14, "sum of the multipliers");
        // |v| = t·|a|: h = (a x, ⟨v, x⟩) = 5c(x̂, t), θ = c(t x̂, 1), q = 5c²t. The best λ of θ̃ = θ/√q against h̃ = h/√q
        // is ⟨h, θ⟩/‖h‖² = 2t/(5(1 + t²)), ‖z‖ = 5λ, and LΣλ/‖θ̃‖² = 2λq/ρ² = 10 λ t/(1 + t²).
        let t = 1.25;
        let row = look(&problem, &[0.6 * c * t, 0.8 * c * t, 0.0, 0.0, c, 0.0]);
        let z = 2.0 * t / (1.0 + t * t);
        near(row.get("neuron_structure"), 1.0 - z, 1e-14, "structure off balance");
        near(row.get("lambda_sum"), z * z, 1e-13, "sum of the multipliers off balance");
    }
    // A live neuron that sees no example has no pull at all.
    let row = look(&problem, &[0.6, 0.8, -0.3, -0.4, 1.0, 0.5]);
    near(row.get("neuron_structure"), 1.0, 1e-14, "an idle neuron");
    let cubic = self::problem(
        "kind = 'mlp'\nwidths = [2]\nactivation = 'relu-power'",
        "kind = 'logistic'",
        vec![3.0, 4.0],
        vec![0],
    );
    let row = look(&cubic, &[0.6, 0.8, 0.0, 0.0, 1.0, 0.0]);
    assert!(row.get("neuron_structure").is_nan() && row.get("lambda_sum") > 0.0);
}

#[test]
fn a_first_bias_counts_as_a_weight_of_its_neuron() {
    let text = "kind = 'mlp'\nwidths = [1]\nbias = 'first'";
    let problem = problem(text, "kind = 'logistic'", vec![0.6, 0.8], vec![0]);
    // x = (0.6, 0.8, 1) with the bias: |x| = √2.
    let r = 2f64.sqrt();
    let row = look(&problem, &[0.6 / r, 0.8 / r, 1.0 / r, 1.0]);
    near(row.get("neuron_structure"), 0.0, 1e-14, "structure");
}

#[test]
fn the_aggregated_direction_stands_for_the_gradient_where_there_is_one() {
    let problem = problem("kind = 'linear'", "kind = 'exponential'", vec![3.0, 4.0], vec![0]);
    let (before, after) = (vec![1.0, 0.0], vec![1.0, 2.0]);
    let (mut seen, _) = probe(&problem, &before, vec![AnyNorm::default()]);
    let evals = [&before, &after].map(|theta| problem.eval(theta, &RowSet::Full).unwrap());
    let field = |direction: [f64; 2]| Field {
        direction: direction.to_vec(),
        cotangent: vec![-1.0],
        radius: 0.0,
        active: 1,
    };
    let fields = [field([1.0, 0.0]), field([0.0, 3.0])];
    let ends = [0, 1].map(|k| End { full: &evals[k], field: Some(&fields[k]) });
    seen.step(&StepRecord {
        problem: &problem,
        before: &before,
        after: &after,
        taken: None,
        ends: Some(ends),
    });
    let row = measure(seen.as_mut(), &problem, &mut Iterate::new(after));
    assert_eq!(row.get("work"), 4.0);
    // Twice ½|3 − 1|·2 at a first step, and half of 4 − ½(0 + 3·2).
    assert_eq!(row.get("work_error"), 4.5);
    // ⟨θ̂, g⟩ = 1 and 6/√5, Δρ = √5 − 1.
    near(row.get("radial_work"), 0.5 * (1.0 + 6.0 / 5f64.sqrt()) * (5f64.sqrt() - 1.0), 1e-14, "radial work");
    // β⁻² − 1 = 0 at the first end; (1/2)² at the second, where θ̂ = (1, 2)/√5.
    assert_eq!(row.get("min_turning"), 0.0);
    near(row.get("turning"), 0.125 * 5f64.sqrt().ln(), 1e-15, "turning");
}

#[test]
fn a_path_that_was_not_seen_in_full_stays_unknown_and_a_saved_one_goes_on() {
    let (x, labels) = random(5, 14, 2);
    let problem =
        problem("kind = 'mlp'\nwidths = [6]\nactivation = 'relu-power'", "kind = 'exponential'", x, labels);
    let theta = problem.model.init(&mut stream(3, "init", 0));
    let norms = || vec![AnyNorm::default(), toml::from_str("kind = 'linf'").unwrap()];
    let (mut whole, columns) = probe(&problem, &theta, norms());
    let mut at = Iterate::new(theta.clone());
    let mut flow = begin("kind = 'flow'", &problem);
    follow(flow.as_mut(), whole.as_mut(), &problem, &mut at, -2.0);
    let (mut resumed, _) = probe(&problem, &theta, norms());
    resumed.load(&whole.save()).unwrap();
    assert!(probe(&problem, &theta, vec![]).0.load(&whole.save()).is_err(), "a checkpoint of other norms");
    for probe in [&mut whole, &mut resumed] {
        let (mut at, mut flow) = (at.clone(), begin("kind = 'flow'", &problem));
        follow(flow.as_mut(), probe.as_mut(), &problem, &mut at, -4.0);
    }
    let bits = |row: Row| row.cells.iter().map(|(n, v)| (n.clone(), v.to_bits())).collect::<Vec<_>>();
    let rows = [&mut whole, &mut resumed].map(|p| bits(measure(p.as_mut(), &problem, &mut at)));
    assert_eq!(rows[0], rows[1]);
    let names: Vec<&String> = rows[0].iter().map(|(n, _)| n).take(columns.len()).collect();
    assert_eq!(names, columns.iter().collect::<Vec<_>>());
    let after = at.theta().iter().map(|t| 1.01 * t).collect::<Vec<_>>();
    let blind = StepRecord { problem: &problem, before: at.theta(), after: &after, taken: None, ends: None };
    whole.step(&blind);
    let row = measure(whole.as_mut(), &problem, &mut at);
    for column in
        ["work", "work_error", "radial_work", "turning", "min_turning", "work_linf", "norm_path_linf"]
    {
        assert!(row.get(column).is_nan(), "{column}");
    }
    assert!(row.get("b1").is_finite() && row.get("norm_linf").is_finite());
}
