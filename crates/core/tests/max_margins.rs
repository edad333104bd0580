//! Steepest descent on linear data against exact maximum margins, geometry by geometry.

mod common;
#[path = "common/referee.rs"]
mod referee;

use std::sync::Arc;

use common::{data, four_points, model, normals, parse, problem};
use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::numeric::{dot, norm};
use latephase_core::{Data, Iterate, Problem, RowSet};
use referee::{Ball, Certified, max_margin, max_margin_of_two_by_two};

/// Gaussian points on the right side of a hyperplane, at least 0.4 away.
fn separable(n: usize, dim: usize, seed: u64) -> Arc<Data> {
    let u = normals(seed, "direction", dim);
    let size = norm(&u);
    let (mut x, mut labels) = (Vec::new(), Vec::new());
    for i in 0..n {
        let v = normals(seed + 1 + i as u64, "points", dim);
        let along = dot(&v, &u) / size;
        let y = if i % 2 == 0 { 1.0 } else { -1.0 };
        let to = along.abs() + 0.4;
        x.extend(v.iter().zip(&u).map(|(v, u)| y * (v + (to - along) * u / size)));
        labels.push((i % 2) as u32);
    }
    data(&x, &labels, dim, 2)
}

/// Gaussian points that a random linear map tells apart by at least 0.5, labelled by it.
fn classes(n: usize, dim: usize, k: usize, seed: u64) -> Arc<Data> {
    let w = normals(seed, "map", k * dim);
    let (mut x, mut labels) = (Vec::new(), Vec::new());
    let mut i = 0;
    while labels.len() < n {
        let v: Vec<f64> = normals(seed + 7 * i, "points", dim).iter().map(|v| 2.0 * v).collect();
        i += 1;
        let mut scores: Vec<(f64, usize)> =
            (0..k).map(|c| (dot(&w[c * dim..(c + 1) * dim], &v), c)).collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        if scores[0].0 - scores[1].0 > 0.5 {
            x.extend(v);
            labels.push(scores[0].1 as u32);
        }
    }
    data(&x, &labels, dim, k)
}

/// One row for each margin: its gradient, which on a linear model is the same everywhere.
fn rows(problem: &Problem) -> Vec<Vec<f64>> {
    let theta = vec![0.0; problem.dim()];
    let eval = problem.eval(&theta, &RowSet::Full).unwrap();
    problem.constraints(&eval).iter().map(|c| problem.margin_gradient(&theta, c).unwrap()).collect()
}

/// Runs from near 0 to this ln 𝓛: the margin in the algorithm's own norm, evaluations, θ.
fn run(problem: &Problem, norm: &str, pace: &str, ln_loss: f64) -> (f64, f64, Vec<f64>) {
    let text = format!(
        "kind = 'stepped'\ndescent = {{ kind = 'steepest', norm = {{ kind = {norm} }} }}\npace = {pace}"
    );
    let mut algorithm = parse::<AnyAlgorithm>(&text).build();
    algorithm.begin(problem, 0).unwrap();
    let by = algorithm.norm().build();
    let mut at = Iterate::new(normals(1, "theta", problem.dim()).iter().map(|x| 0.1 * x).collect());
    while at.eval(problem, &RowSet::Full).unwrap().ln_loss > ln_loss && at.clocks.evaluations < 3e6 {
        algorithm.step(problem, &mut at).unwrap();
    }
    let eval = at.eval(problem, &RowSet::Full).unwrap();
    let q = problem.constraints(&eval).iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
    (q / by.of(at.theta(), problem.model.layout()), at.clocks.evaluations, at.theta().to_vec())
}

/// Steps that predict a fall of 0.05: short enough that at a corner, where the direction jumps between its optimal values,
/// margins move by less than the weights' range, a difference of about 1. Then every direction taken is optimal in the
/// limit, none undoes another's norm, and the error is a constant over ln(1/𝓛).
const PACE: &str = "{ kind = 'unit-decrease', eta = 0.05, factor = inf }";
/// The error is (ln n + the spread of the active margins, of order 1)/ln(1/𝓛): below 1e-4 here.
const DEEP: f64 = -1e4;

const KINDS: [(&str, Ball); 4] =
    [("'l1'", Ball::L1), ("'l2'", Ball::Lp(2.0)), ("'linf'", Ball::Linf), ("'lp', p = 3", Ball::Lp(3.0))];

#[track_caller]
fn from_below(what: &str, ours: f64, exact: &Certified, within: f64) {
    // The certificate's own bounds, and rounding of 1e4 steps.
    assert!(ours <= exact.upper * (1.0 + 1e-12), "{what}: {ours} above the certified bound {}", exact.upper);
    assert!(ours >= exact.upper * (1.0 - within), "{what}: {ours} of {}", exact.upper);
}

#[test]
fn the_four_points_have_their_margins_in_every_geometry() {
    let a = rows(&problem(model("kind = 'linear'", 2, 1), "kind = 'logistic'", four_points()));
    // The dual average (3/2)(1, 1) of the two active points, in the dual norm.
    for (ball, exact) in [
        (Ball::L1, 1.5),
        (Ball::Lp(2.0), 3.0 / 2f64.sqrt()),
        (Ball::Linf, 3.0),
        (Ball::Lp(3.0), 3.0 / 2f64.cbrt()),
        (Ball::Spectral(1, 2), 3.0 / 2f64.sqrt()),
    ] {
        let found = max_margin(&a, ball);
        assert!(
            found.lower <= exact * (1.0 + 1e-12) && found.upper >= exact * (1.0 - 1e-12),
            "{ball:?} {found:?}"
        );
        assert!(found.gap() < 2e-7, "{ball:?}: {:e}", found.gap());
    }
}

#[test]
fn steepest_descent_reaches_the_exact_maximum_margin_of_its_norm_from_below() {
    for seed in 0..3 {
        let problem =
            problem(model("kind = 'linear'", 4, 1), "kind = 'logistic'", separable(12, 4, 100 * seed));
        let a = rows(&problem);
        let exact = KINDS.map(|(_, ball)| max_margin(&a, ball));
        for (k, (norm, _)) in KINDS.iter().enumerate() {
            assert!(exact[k].gap() < 1e-8, "{norm}: the certificate is open by {:e}", exact[k].gap());
            let (ours, evaluations, theta) = run(&problem, norm, PACE, DEEP);
            println!("seed {seed} {norm}: {:.1e} below after {evaluations}", 1.0 - ours / exact[k].upper);
            from_below(norm, ours, &exact[k], 1e-4);
            // By another norm the same θ is no better than that norm's own maximum.
            for ((other, ball), exact) in KINDS.iter().zip(&exact) {
                let margin =
                    a.iter().map(|a| dot(a, &theta)).fold(f64::INFINITY, f64::min) / ball.norm(&theta);
                assert!(margin <= exact.upper * (1.0 + 1e-12), "{norm} in {other}: {margin}");
            }
        }
    }
}

#[test]
fn steepest_descent_in_the_spectral_norm_reaches_the_exact_margin_of_several_classes() {
    for (n, dim, k, seed) in [(12, 2, 3, 3), (12, 2, 3, 5), (12, 3, 3, 3)] {
        let data = classes(n, dim, k, seed);
        let problem = problem(model("kind = 'linear'", dim, k), "kind = 'cross-entropy'", data);
        let a = rows(&problem);
        let exact = max_margin(&a, Ball::Spectral(k, dim));
        assert!(exact.gap() < 1e-6, "the certificate is open by {:e}", exact.gap());
        if dim == 2 {
            // W may be taken orthogonal to (1, 1, 1): what is left is a 2 × 2 matrix, whose ball is a cone programme.
            let (r, s) = (1.0 / 2f64.sqrt(), 1.0 / 6f64.sqrt());
            let basis = [[r, -r, 0.0], [s, s, -2.0 * s]];
            let entry = |a: &[f64], i: usize| (0..3).map(|c| basis[i / 2][c] * a[2 * c + i % 2]).sum::<f64>();
            let reduced: Vec<Vec<f64>> = a.iter().map(|a| (0..4).map(|i| entry(a, i)).collect()).collect();
            let by_cones = max_margin_of_two_by_two(&reduced);
            assert!(by_cones.gap() < 1e-8, "{:e}", by_cones.gap());
            assert!(
                by_cones.lower <= exact.upper * (1.0 + 1e-12)
                    && exact.lower <= by_cones.upper * (1.0 + 1e-12)
            );
        }
        let (ours, evaluations, _) = run(&problem, "'spectral'", PACE, DEEP);
        println!("{n} {dim} {k}: {:.1e} below after {evaluations}", 1.0 - ours / exact.upper);
        from_below("spectral", ours, &exact, 1e-4);
    }
}

#[test]
fn too_long_a_step_chatters_at_a_corner_and_stays_off_however_deep() {
    let problem = problem(model("kind = 'linear'", 4, 1), "kind = 'logistic'", separable(12, 4, 100));
    let exact = max_margin(&rows(&problem), Ball::Linf);
    let pace = "{ kind = 'unit-decrease', eta = 0.5, factor = inf }";
    for ln_loss in [-1e3, -1e4, -1e5] {
        let (ours, ..) = run(&problem, "'linf'", pace, ln_loss);
        let error = 1.0 - ours / exact.upper;
        assert!(error > 0.05, "at ln L = {ln_loss} the error is {error:e}");
    }
}
