//! The bundle in other norms than ℓ2: its own ℓ2 path, closed forms at a kink, exact margins of linear models, small explicit
//! steps where the model is smooth, and the theorem that the smoothed margin never falls.

mod common;
#[path = "common/formula.rs"]
mod formula;
#[path = "common/referee.rs"]
mod referee;

use std::sync::Arc;

use common::{algorithm, assert_close, data, model, normals, problem};
use formula::formula;
use latephase_core::algorithm::Algorithm;
use latephase_core::numeric::{angle, dot};
use latephase_core::rng::stream;
use latephase_core::{Data, Iterate, Problem, RowSet};
use referee::Ball;

/// Where a run has got to: θ, least margin over ‖θ‖^L, the largest relative fall of the smoothed margin in one step.
struct End {
    theta: Vec<f64>,
    margin: f64,
    fall: f64,
    algorithm: Box<dyn Algorithm>,
}

/// Steps until ln(1/𝓛) is at least `height`.
#[track_caller]
fn run(text: &str, problem: &Problem, theta: &[f64], height: f64) -> End {
    let parsed = algorithm(text).build();
    let norm = parsed.norm().build();
    let mut algorithm = parsed;
    algorithm.begin(problem, 0).unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut at = Iterate::new(theta.to_vec());
    let degree = problem.model.degree().order().unwrap();
    let (mut last, mut fall) = (0.0f64, 0.0f64);
    loop {
        let eval = at.eval(problem, &RowSet::Full).unwrap();
        let size = norm.of(at.theta(), problem.model.layout()).powf(degree);
        let smooth = -eval.ln_loss_sum / size;
        // The theorem is for losses below 1; near 1 the smoothed margin is near 0, and nothing beside its change.
        if -eval.ln_loss_sum > 1.0 {
            fall = if last > 0.0 { fall.max(1.0 - smooth / last) } else { fall };
            last = smooth;
        }
        if -eval.ln_loss_sum >= height {
            let margins = problem.constraints(&eval);
            let least = margins.iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
            return End { theta: at.theta().to_vec(), margin: least / size, fall, algorithm };
        }
        assert!(at.clocks.evaluations < 3e5, "{text} does not get to {height}");
        algorithm.step(problem, &mut at).unwrap_or_else(|e| panic!("{text}: {e}"));
    }
}

fn bundle(norm: &str, kappa: f64) -> String {
    format!("kind = 'bundle'\nkappa = {kappa}\nnorm = {norm}")
}

fn steps(norm: &str, eta: f64) -> String {
    format!(
        "kind = 'stepped'\ndescent = {{ kind = 'steepest', norm = {norm} }}\npace = {{ kind = 'unit-decrease', eta = {eta} }}"
    )
}

fn count(algorithm: &dyn Algorithm, name: &str) -> u64 {
    algorithm.counts().iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no count {name}")).1
}

/// A two-layer network on random points with random labels.
fn network(activation: &str) -> (Problem, Vec<f64>) {
    let labels: Vec<u32> = normals(3, "labels", 20).iter().map(|z| u32::from(*z < 0.0)).collect();
    let points = data(&normals(3, "data", 20 * 5), &labels, 5, 2);
    let text = format!("kind = 'mlp'\nwidths = [12]\nactivation = {activation}");
    let problem = problem(model(&text, 5, 1), "kind = 'exponential'", points);
    let theta = problem.model.init(&mut stream(3, "model.init", 0));
    (problem, theta)
}

/// Points on one side of a hyperplane, away from it.
fn separable(n: usize, dim: usize) -> Arc<Data> {
    let u = normals(9, "direction", dim);
    let mut x = Vec::new();
    for i in 0..n {
        let v = normals(10 + i as u64, "points", dim);
        let along = dot(&v, &u) / dot(&u, &u);
        x.extend(v.iter().zip(&u).map(|(v, u)| v + (along.abs() + 0.3 - along) * u));
    }
    data(&x, &vec![0; n], dim, 2)
}

#[test]
fn the_saddle_follows_the_flow_of_the_quadratic_programme() {
    let (problem, theta) = network("'relu'");
    let flow = |norm: &str| run(&format!("{}\nepsilon = 0.016", bundle(norm, 0.004)), &problem, &theta, 30.0);
    let (one, other) = (flow("'l2'"), flow("{ kind = 'lp', p = 2 }"));
    let apart = angle(&one.theta, &other.theta);
    println!("l2 {} lp {} angle {apart}", one.margin, other.margin);
    // κ itself is the scale of what two runs may differ by.
    assert!(apart < 0.02, "{apart}");
    assert_close(one.margin, other.margin, 0.005, "margin");
    assert_eq!(count(other.algorithm.as_ref(), "saddles_left_open"), 0);
}

#[test]
fn a_linear_model_gets_to_the_exact_maximum_margin_of_the_norm() {
    let points = separable(30, 8);
    let rows: Vec<Vec<f64>> = (0..30).map(|i| points.rows().data[8 * i..8 * (i + 1)].to_vec()).collect();
    let problem = problem(model("kind = 'linear'", 8, 1), "kind = 'exponential'", points);
    let theta: Vec<f64> = normals(1, "theta", 8).iter().map(|x| 0.1 * x).collect();
    for (norm, ball) in [
        ("'l1'", Ball::L1),
        ("'linf'", Ball::Linf),
        ("{ kind = 'lp', p = 3 }", Ball::Lp(3.0)),
        ("{ kind = 'lp', p = 1.5 }", Ball::Lp(1.5)),
    ] {
        let exact = referee::max_margin(&rows, ball);
        let end = run(&bundle(norm, 0.02), &problem, &theta, 3e4);
        println!("{norm}: {} of {}", end.margin, exact.upper);
        assert!(end.margin <= exact.upper * (1.0 + 1e-9), "{norm}: {} above {}", end.margin, exact.upper);
        // What the temperature leaves is ln n/F = 1e-4.
        assert!(end.margin >= exact.upper * (1.0 - 1e-3), "{norm}: {} of {}", end.margin, exact.upper);
    }
}

#[test]
fn where_the_model_is_smooth_explicit_steps_follow_the_same_flow() {
    let (problem, theta) = network("{ kind = 'relu-power', p = 2 }");
    // In ℓ1 the path parts at η = 0.002 already: shorter steps agree with the bundle on where the flow goes.
    for (norm, eta, kappa) in [
        ("'linf'", 1e-4, 1e-4),
        ("'l1'", 1e-4, 1e-4),
        ("{ kind = 'lp', p = 4 }", 2e-3, 5e-4),
        ("'spectral'", 2e-3, 5e-4),
    ] {
        let fine = run(&steps(norm, eta), &problem, &theta, 20.0);
        let end = run(&bundle(norm, kappa), &problem, &theta, 20.0);
        let apart = angle(&fine.theta, &end.theta);
        println!("{norm}: {} against {}, angle {apart}, fall {:e}", end.margin, fine.margin, end.fall);
        assert_close(end.margin, fine.margin, 0.01, norm);
        assert!(apart < 0.05, "{norm}: {apart} rad apart");
        // Tsilivis et al., Theorem 9: the smoothed margin in the flow's own norm never falls.
        assert!(end.fall < 1e-4, "{norm}: the smoothed margin fell by {:e}", end.fall);
        assert_eq!(count(end.algorithm.as_ref(), "saddles_left_open"), 0, "{norm}");
    }
}

/// q = ⟨a, θ⟩ − |⟨b, θ⟩| of one example: an attracting kink at ⟨b, θ⟩ = 0.
fn roof(a: [f64; 4], b: [f64; 4]) -> (Problem, Vec<f64>) {
    let pieces = move |theta: &[f64], _: usize| {
        let side = dot(&b, theta);
        (dot(&a, theta) - side.abs(), a.iter().zip(&b).map(|(a, b)| a - side.signum() * b).collect())
    };
    (formula(4, 1, pieces), vec![0.1; 4])
}

#[test]
fn at_a_kink_the_flow_takes_the_saddle_and_chattering_steps_a_mixture_of_signs() {
    let (problem, theta) = roof([3.0, 1.0, 1.0, 1.2], [1.0, 2.0, 1.5, -1.0]);
    // min over s in [-1, 1] of ‖a + sb‖₁ is 4.45, at s = -1/2: ŷ = (1, -3/4, 1, 1).
    let flow = run(&bundle("'linf'", 0.002), &problem, &theta, 1e4);
    assert_close(flow.margin, 4.45, 1e-3, "the saddle's value");
    let size = flow.theta[0];
    [1.0, -0.75, 1.0, 1.0].iter().zip(&flow.theta).for_each(|(y, t)| assert!((t / size - y).abs() < 5e-3));
    // Signs (1, 1, 1, 1) above the kink and (1, -1, -1, 1) below, half of each: ⟨a, (1, 0, 0, 1)⟩ = 4.2, however short the steps.
    for eta in [0.1, 0.03] {
        // Every step is taken: with its halving test unit-decrease stands still in front of the kink.
        let text =
            steps("'linf'", eta).replace(&format!("eta = {eta}"), &format!("eta = {eta}, factor = inf"));
        let chatter = run(&text, &problem, &theta, 1e3);
        assert_close(chatter.margin, 4.2, 2e-3, "the chatter's value");
    }
}

#[test]
fn at_a_kink_coordinate_steps_can_stand_still_where_the_flow_goes_on() {
    // θ_1 + θ_2/2 − 3|θ_1|: the first coordinate is the steepest on both sides, there and back.
    let (problem, theta) = roof([1.0, 0.5, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]);
    let flow = run(&bundle("'l1'", 0.002), &problem, &theta, 300.0);
    assert_close(flow.margin, 0.5, 5e-3, "the saddle's value");
    let mut steps = algorithm(&steps("'l1'", 0.01).replace("eta = 0.01", "eta = 0.01, factor = inf")).build();
    steps.begin(&problem, 0).unwrap();
    let mut at = Iterate::new(theta.clone());
    (0..5000).for_each(|_| steps.step(&problem, &mut at).unwrap());
    assert_eq!(at.theta()[1], theta[1], "the second coordinate never moves");
    assert!(at.theta()[0].abs() < 0.01, "the first one goes to and fro: {}", at.theta()[0]);
}

#[test]
fn one_thread_and_two_take_the_same_steps() {
    // Members times parameters are more than a pass of one thread.
    let labels: Vec<u32> = (0..12).map(|i| i % 2).collect();
    let points = data(&normals(5, "data", 12 * 30), &labels, 30, 2);
    let problem = problem(model("kind = 'mlp'\nwidths = [300]", 30, 1), "kind = 'exponential'", points);
    let theta = problem.model.init(&mut stream(5, "model.init", 0));
    for norm in ["'linf'", "'l1'"] {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&bundle(norm, 0.002), &problem, &theta, 5.0).theta)
        };
        assert!(with(1) == with(2), "{norm}: other bits with two threads");
    }
}
