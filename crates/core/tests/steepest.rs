//! The direction of the flow at temperature zero: finite differences, and a descent in small steps.

mod common;

use common::{assert_close, data, normals, problem};
use latephase_core::Problem;
use latephase_core::kkt::{Kinks, Reach};
use latephase_core::limit::{Steepest, steepest};
use latephase_core::numeric::{angle, axpy, dot, norm, scale};

/// ReLU networks with every neuron across an example, the margins of all three equal, and whether one of the kinks repels.
fn kinked(seed: u64) -> Option<(Problem, Vec<f64>, bool)> {
    let (dim, width, n) = (4, 3, 3);
    let x = normals(seed, "steepest.x", dim * n);
    let model = common::model(&format!("kind = 'mlp'\nwidths = [{width}]"), dim, 1);
    let mut theta = normals(seed, "steepest.theta", model.layout().dim());
    for r in 0..width {
        let across = &x[(r % n) * dim..(r % n + 1) * dim];
        let row = &mut theta[r * dim..(r + 1) * dim];
        for _ in 0..2 {
            axpy(-dot(row, across) / dot(across, across), across, row);
        }
    }
    let outputs = |x: &[f64]| {
        let mut out = vec![0.0; n];
        let rows = latephase_core::Rows::new(x, dim);
        model.forward(&theta, rows, &mut out, &mut Default::default()).unwrap();
        out
    };
    // The inputs are scaled so that all margins are 1; kinks stay where they are.
    let mut scaled = x.clone();
    let out = outputs(&x);
    if out.iter().any(|f| f.abs() < 1e-2) {
        return None;
    }
    scaled.chunks_mut(dim).zip(&out).for_each(|(x, f)| scale(1.0 / f.abs(), x));
    let labels: Vec<u32> = outputs(&scaled).iter().map(|f| u32::from(*f < 0.0)).collect();
    let sign = |i: usize| if labels[i] == 0 { 1.0 } else { -1.0 };
    let repels = (0..width).any(|r| sign(r) * theta[width * dim + r] > 0.0);
    Some((problem(model, "kind = 'exponential'", data(&scaled, &labels, dim, 2)), theta, repels))
}

fn ln_margin(problem: &Problem, theta: &[f64]) -> f64 {
    let outputs = problem.outputs(theta, problem.train.rows()).unwrap();
    let signed = outputs.iter().zip(problem.train.labels()).map(|(f, y)| if *y == 0 { *f } else { -f });
    signed.fold(f64::INFINITY, f64::min).ln()
}

fn found(problem: &Problem, theta: &[f64], kinks: Kinks) -> Steepest {
    let reach = Reach { within: 1e-9, kink: 1e-9, ..Reach::default() };
    steepest(problem, theta, reach, kinks).unwrap().unwrap()
}

#[test]
fn nothing_rises_faster_and_it_rises_by_its_square() {
    let (mut looks, mut between) = (0, 0);
    for seed in 0..200 {
        let Some((problem, theta, repels)) = kinked(seed) else { continue };
        let at = found(&problem, &theta, Kinks::Attracting);
        let (d, size) = (&at.direction, norm(&at.direction));
        let here = ln_margin(&problem, &theta);
        let rate = |along: &[f64], h: f64| {
            let mut to = theta.clone();
            axpy(h, along, &mut to);
            (ln_margin(&problem, &to) - here) / h
        };
        // F'(θ; e) is the least ⟨g, e⟩ over the subgradients: over unit e at most ‖d‖, and ‖d‖² along d. Kinks that repel have
        // the side of the left-hand slope, which θ leaves if d says so.
        let h = 1e-7 / size;
        let risen = rate(d, h);
        assert!(risen > size * size * (1.0 - 1e-5), "{seed}: {risen} after {}", size * size);
        assert!(repels || risen < size * size * (1.0 + 1e-5), "{seed}: {risen} after {}", size * size);
        for k in 0..if repels { 0 } else { 200 } {
            let mut e = normals(k, "steepest.e", theta.len());
            scale(1.0 / norm(&e), &mut e);
            let other = rate(&e, 1e-7);
            assert!(other < size * (1.0 + 1e-5), "{seed}: {other} along another unit vector, {size} along d");
        }
        assert_close(dot(d, &theta), 2.0, 1e-12, "Euler");
        assert_close(at.constraints.iter().map(|c| c.weight).sum(), 1.0, 1e-12, "the weights");
        // All kinks: an element of a larger set is no longer.
        assert!(norm(&found(&problem, &theta, Kinks::All).direction) <= size * (1.0 + 1e-12));
        looks += 1;
        between += at.between;
    }
    assert!(looks > 20 && between > 20, "{looks} {between}");
}

#[test]
fn small_steps_along_single_gradients_go_where_it_says() {
    let (mut looks, mut between) = (0, 0);
    for seed in 0..200 {
        let Some((problem, theta, false)) = kinked(seed) else { continue };
        let at = found(&problem, &theta, Kinks::Attracting);
        // Explicit steps of the gradient of ln q_min, whichever example and side have it: they chatter about the flow.
        let (steps, h) = (20_000, 5e-9);
        let mut to = theta.clone();
        for _ in 0..steps {
            let constraints = problem.constraints(&problem.eval(&to, &latephase_core::RowSet::Full).unwrap());
            let least = constraints.iter().min_by(|a, b| a.value.total_cmp(&b.value)).unwrap();
            let gradient = problem.margin_gradient(&to, least).unwrap();
            axpy(h / least.value, &gradient, &mut to);
        }
        axpy(-1.0, &theta, &mut to);
        let (off, length) = (angle(&to, &at.direction), norm(&to) / (steps as f64 * h));
        assert!(off < 0.02, "{seed}: {off} radians from it");
        assert_close(length, norm(&at.direction), 0.01, "the speed");
        looks += 1;
        between += at.between;
    }
    assert!(looks > 5 && between > 5, "{looks} {between}");
}
