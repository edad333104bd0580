//! The global margin of two-layer ReLU networks against closed forms and dense grids, and its certificate.

mod common;

use clarabel::algebra::CscMatrix;
use clarabel::solver::SupportedConeT::NonnegativeConeT;
use clarabel::solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver};
use common::{assert_close, data, measure, model, normals, parse, problem};
use latephase_core::exact::Failure;
use latephase_core::exact::two_layer::{self, Effort, Neuron, TwoLayer};
use latephase_core::numeric::{dot, norm};
use latephase_core::probe::{AnyProbe, Context};
use latephase_core::{Iterate, Rows};

fn solved(x: &[f64], dim: usize, y: &[f64]) -> TwoLayer {
    let rows = Rows::new(x, dim);
    let found = two_layer::maximal(rows, y, &Effort::default()).unwrap();
    let (value, bound) = found.verified(rows, y).expect("a certificate that holds together");
    assert_close(value, found.optimum.value, 1e-12, "the value, worked out again");
    assert_close(bound, found.optimum.bound, 1e-12, "the bound, worked out again");
    assert!(found.optimum.value <= found.optimum.bound * (1.0 + 1e-14));
    found
}

fn cube(dim: usize) -> (Vec<f64>, Vec<f64>) {
    let side = 1.0 / (dim as f64).sqrt();
    let point = |bits: usize| (0..dim).map(move |j| if bits >> j & 1 == 0 { side } else { -side });
    let x: Vec<f64> = (0..1 << dim).flat_map(point).collect();
    let y = x.chunks(dim).map(|x| (x[0] * x[1]).signum()).collect();
    (x, y)
}

/// The margin over neurons from a list only, of both signs: at most γ_gl.
fn restricted(x: &[f64], dim: usize, y: &[f64], betas: &[Vec<f64>]) -> f64 {
    let (n, m) = (y.len(), 2 * betas.len());
    let (mut rows, mut cols, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut put = |r: usize, c: usize, v: f64| {
        rows.push(r);
        cols.push(c);
        values.push(v);
    };
    for j in 0..m {
        let sign = if j % 2 == 0 { 1.0 } else { -1.0 };
        for i in 0..n {
            let p = y[i] * sign * dot(&betas[j / 2], &x[i * dim..(i + 1) * dim]).max(0.0);
            if p != 0.0 {
                put(i, j, -p);
            }
        }
        put(n + j, j, -1.0);
        put(n + m, j, 1.0);
    }
    (0..n).for_each(|i| put(i, m, 1.0));
    let a = CscMatrix::new_from_triplets(n + m + 1, m + 1, rows, cols, values);
    let (mut right, mut cost) = (vec![0.0; n + m + 1], vec![0.0; m + 1]);
    (right[n + m], cost[m]) = (1.0, -1.0);
    let settings = DefaultSettingsBuilder::default().verbose(false).build().unwrap();
    let p = CscMatrix::zeros((m + 1, m + 1));
    let cones = [NonnegativeConeT(n + m + 1)];
    let mut solver = DefaultSolver::new(&p, &cost, &a, &right, &cones, settings).unwrap();
    solver.solve();
    solver.solution.x[m]
}

#[test]
fn parity_on_the_cube_has_the_margin_of_its_closed_form() {
    for dim in 2..=6 {
        let (x, y) = cube(dim);
        let found = solved(&x, dim, &y);
        let (neurons, exact) = two_layer::parity(dim).unwrap();
        assert_close(two_layer::value(Rows::new(&x, dim), &y, &neurons), exact, 1e-14, "the four neurons");
        assert!(found.optimum.value <= exact * (1.0 + 1e-12), "{dim}: {} above {exact}", found.optimum.value);
        assert!(found.optimum.bound >= exact * (1.0 - 1e-12), "{dim}: {} below {exact}", found.optimum.bound);
        assert!(
            found.optimum.gap() < 1e-6,
            "{dim}: gap {:e} after {} nodes",
            found.optimum.gap(),
            found.nodes
        );
    }
}

#[test]
fn uniform_multipliers_certify_parity_without_a_search() {
    let (dim, (x, y)) = (8, cube(8));
    let (neurons, exact) = two_layer::parity(dim).unwrap();
    let leaf = vec![two_layer::Branch::default()];
    let n = y.len();
    let optimum = latephase_core::exact::Optimum {
        solution: Vec::new(),
        value: exact,
        dual: vec![1.0 / n as f64; n],
        bound: exact,
    };
    let claim = TwoLayer { neurons, optimum, trees: [leaf.clone(), leaf], nodes: 2 };
    // Without multipliers the linear part is ½E[x; y = ±1], which is 0 by symmetry.
    let (value, bound) = claim.verified(Rows::new(&x, dim), &y).unwrap();
    assert_close(value, exact, 1e-14, "from below");
    assert_close(bound, exact, 1e-12, "from above");
}

#[test]
fn orthogonal_inputs_have_the_margin_of_their_closed_form() {
    let lengths = [1.0, 0.5, 2.0, 1.5, 0.8];
    let (n, dim) = (lengths.len(), 6);
    let mut x = vec![0.0; n * dim];
    let y: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    lengths.iter().enumerate().for_each(|(i, l)| x[i * dim + i] = *l);
    let class = |sign: f64| {
        let squares: f64 =
            lengths.iter().zip(&y).filter(|(_, y)| **y == sign).map(|(l, _)| 1.0 / (l * l)).sum();
        1.0 / squares.sqrt()
    };
    let exact = 1.0 / (1.0 / class(1.0) + 1.0 / class(-1.0));
    let found = solved(&x, dim, &y);
    assert_close(found.optimum.value, exact, 1e-7, "from below");
    assert_close(found.optimum.bound, exact, 1e-7, "from above");
}

#[test]
fn dense_grids_of_neurons_come_close_from_below() {
    let circle: Vec<Vec<f64>> = (0..1500)
        .map(|k| std::f64::consts::TAU * k as f64 / 1500.0)
        .map(|t| vec![t.cos(), t.sin()])
        .collect();
    let golden = std::f64::consts::PI * (3.0 - 5f64.sqrt());
    let sphere: Vec<Vec<f64>> = (0..3000)
        .map(|k| {
            let z = 1.0 - (2 * k + 1) as f64 / 3000.0;
            let (r, t) = ((1.0 - z * z).sqrt(), golden * k as f64);
            vec![r * t.cos(), r * t.sin(), z]
        })
        .collect();
    for (dim, n, grid, coarse) in [(2, 6, &circle, 0.01), (3, 7, &sphere, 0.04)] {
        for seed in 0..4 {
            let x = normals(seed, "points", n * dim);
            let y: Vec<f64> = normals(seed, "labels", n).iter().map(|v| v.signum()).collect();
            let found = solved(&x, dim, &y);
            let below = restricted(&x, dim, &y, grid);
            assert!(found.optimum.gap() < 1e-6, "gap {:e}", found.optimum.gap());
            // A neuron of the grid is within π/1500 (or 0.06) of any; its price falls in proportion, or to the square.
            assert!(
                found.optimum.bound >= below * (1.0 - 1e-7),
                "{} below the grid's {below}",
                found.optimum.bound
            );
            assert!(
                found.optimum.value <= below * (1.0 + coarse),
                "{} far above {below}",
                found.optimum.value
            );
        }
    }
}

#[test]
fn random_labels_are_bounded_on_both_sides() {
    for (seed, n, dim) in [(1, 10, 4), (2, 14, 5), (3, 20, 3), (4, 12, 12)] {
        let x = normals(seed, "points", n * dim);
        let y: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let found = solved(&x, dim, &y);
        assert!(found.optimum.gap() < 1e-6, "n = {n}, d = {dim}: gap {:e}", found.optimum.gap());
        // No network has more: the neurons of the answer, moved.
        for k in 0..50 {
            let noise = normals(100 * seed + k, "noise", found.neurons.len() * (dim + 1));
            let moved = found.neurons.iter().zip(noise.chunks(dim + 1)).map(|(neuron, noise)| Neuron {
                alpha: neuron.alpha * (1.0 + 0.1 * noise[dim]),
                beta: neuron.beta.iter().zip(noise).map(|(b, e)| b + 0.05 * e).collect(),
            });
            let moved: Vec<Neuron> = moved.collect();
            assert!(two_layer::value(Rows::new(&x, dim), &y, &moved) <= found.optimum.bound * (1.0 + 1e-12));
        }
    }
}

#[test]
fn what_no_network_separates_is_refused_with_weights() {
    // One ray, two labels: outputs there are of one sign.
    let x = [1.0, 1.0, 2.0, 2.0, 0.0, -1.0];
    let Err(Failure::NotSeparable { weights, .. }) =
        two_layer::maximal(Rows::new(&x, 2), &[1.0, -1.0, 1.0], &Effort::default())
    else {
        panic!("it was separated");
    };
    // λ_1 ‖x_1‖ = λ_2 ‖x_2‖ makes every neuron's price 0.
    assert_close(weights[0], 2.0 * weights[1], 1e-6, "the weights on the ray");
    assert!(weights[2] < 1e-6);
}

#[test]
fn a_broken_certificate_is_refused() {
    let (n, dim) = (10, 3);
    let x = normals(9, "points", n * dim);
    let y: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let rows = Rows::new(&x, dim);
    let found = solved(&x, dim, &y);
    let mut cut = found.clone();
    cut.trees[0].truncate(cut.trees[0].len().saturating_sub(1));
    assert_eq!(cut.verified(rows, &y), None);
    let mut doubled = found.clone();
    doubled.optimum.dual[0] += 0.1;
    assert_eq!(doubled.verified(rows, &y), None);
    // Multipliers of another problem still bound, only worse; negative ones do not.
    let mut negative = found.clone();
    for branch in negative.trees.iter_mut().flatten() {
        branch.walls.iter_mut().for_each(|(_, nu)| *nu = -1.0 - *nu);
        branch.slopes.iter_mut().for_each(|(_, mu)| *mu = -1.0 - *mu);
    }
    let has_multipliers = found.trees.iter().flatten().any(|b| !b.walls.is_empty() || !b.slopes.is_empty());
    assert!(!has_multipliers || negative.verified(rows, &y).is_none());
    assert!(norm(&found.neurons[0].beta) > 0.999);
}

#[test]
fn the_probe_compares_a_network_with_the_best_one() {
    let (dim, (x, y)) = (3, cube(3));
    let labels: Vec<u32> = y.iter().map(|y| u32::from(*y < 0.0)).collect();
    let look = |text: &str, theta: &[f64]| {
        let problem = problem(model(text, dim, 1), "kind = 'logistic'", data(&x, &labels, dim, 2));
        let mut probe = parse::<AnyProbe>("kind = 'global'").build();
        let context = Context { problem: &problem, theta, norms: Vec::new(), weight_decay: 0.0 };
        probe.begin(&context).unwrap();
        measure(probe.as_mut(), &problem, &mut Iterate::new(theta.to_vec()))
    };
    let (neurons, exact) = two_layer::parity(dim).unwrap();
    // |a_j| = ‖v_j‖ = √|α_j| turns the neurons into the best network, at any length.
    let root = |n: &Neuron| 10.0 * n.alpha.abs().sqrt();
    let inner = neurons.iter().flat_map(|n| n.beta.iter().map(move |b| root(n) * b));
    let theta: Vec<f64> = inner.chain(neurons.iter().map(|n| root(n) * n.alpha.signum())).collect();
    let row = look("kind = 'mlp'\nwidths = [4]", &theta);
    assert_close(row.get("margin_global"), exact, 1e-7, "from below");
    assert_close(row.get("margin_global_share"), 1.0, 1e-7, "the best network");
    let halved: Vec<f64> = theta.iter().enumerate().map(|(k, t)| if k < 12 { 0.5 * t } else { *t }).collect();
    // Half the outputs over ½(¼ + 1) of the squares: 0.8 of the margin.
    assert_close(
        look("kind = 'mlp'\nwidths = [4]", &halved).get("margin_global_share"),
        0.8,
        1e-7,
        "unbalanced",
    );
    assert!(look("kind = 'mlp'\nwidths = [4]\nactivation = 'tanh'", &theta).get("margin_global").is_nan());
}
