//! KKT points with kinks: a gallery in closed form, and the programmes behind it against other solvers.

mod common;

use clarabel::algebra::CscMatrix;
use clarabel::solver::SupportedConeT::NonnegativeConeT;
use clarabel::solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver};
use common::{assert_close, data, four_points, normals, problem};
use latephase_core::kkt::{Point, Reach, Verdict};
use latephase_core::lanczos::largest;
use latephase_core::numeric::{axpy, dot, norm};
use latephase_core::probe::{Context, Kkt, Probe, Stationarity};
use latephase_core::{Iterate, Problem, exact};

fn relu(width: usize, inputs: &[f64], labels: &[u32]) -> Problem {
    let dim = inputs.len() / labels.len();
    let model = common::model(&format!("kind = 'mlp'\nwidths = [{width}]"), dim, 1);
    problem(model, "kind = 'logistic'", data(inputs, labels, dim, 2))
}

fn at<'a>(problem: &'a Problem, theta: &[f64]) -> Point<'a> {
    Point::at(problem, theta, Reach::default()).unwrap().unwrap()
}

/// (±√15/4, ¼), both positive: two neurons along them have the margin ¼, one along (0, 1) has ⅛.
fn opposite(width: usize) -> Problem {
    let side = 15f64.sqrt() / 4.0;
    relu(width, &[side, 0.25, -side, 0.25], &[0, 0])
}

/// θ of the neurons (v, a).
fn network(neurons: &[([f64; 2], f64)]) -> Vec<f64> {
    let inner = neurons.iter().flat_map(|(v, _)| *v);
    inner.chain(neurons.iter().map(|(_, a)| *a)).collect()
}

#[test]
fn a_dead_neuron_makes_a_saddle() {
    let problem = opposite(2);
    let point = at(&problem, &network(&[([0.0, 1.0], 1.0), ([0.0, 0.0], 0.0)]));
    let fit = point.clarke().unwrap();
    assert!(fit.epsilon < 1e-14 && fit.delta < 1e-14);
    // Σ λ = ½‖θ̃‖² = 1/(2γ).
    fit.lambda.iter().for_each(|l| assert_close(*l, 2.0, 1e-14, "λ"));
    assert_close(point.margin(), 0.125, 1e-15, "the margin of one neuron");
    let judged = point.judge().unwrap();
    let ascent = judged.ascent.unwrap();
    assert_eq!(judged.verdict, Verdict::Saddle);
    let risen = at(&problem, &ascent.to).margin();
    assert!(ascent.gain > 0.05 && risen <= 0.25, "{ascent:?}");
    assert_close(risen, 0.125 * (1.0 + ascent.gain), 1e-12, "the margin has been evaluated");
}

#[test]
fn polishing_puts_a_dead_neuron_out() {
    let problem = opposite(2);
    let theta = network(&[([1e-4, 1.0], 1.0002), ([3e-4, -1e-3], -1e-3)]);
    let near = at(&problem, &theta);
    assert!(near.clarke().unwrap().epsilon > 1e-4);
    let point = near.polish().unwrap().unwrap();
    let exact = network(&[([0.0, 1.0], 1.0), ([0.0, 0.0], 0.0)]);
    assert!(point.distance(&exact) < 1e-13);
    let moved = point.distance(&theta);
    assert!(moved > 5e-4 && moved < 2e-3, "{moved}");
    assert_eq!(point.judge().unwrap().verdict, Verdict::Saddle);
}

#[test]
fn a_neuron_for_each_is_the_global_maximum() {
    let (problem, side) = (opposite(2), 15f64.sqrt() / 4.0);
    let theta = network(&[([side, 0.25], 1.0), ([-side, 0.25], 1.0)]);
    let point = at(&problem, &theta);
    assert!(point.clarke().unwrap().epsilon < 1e-14);
    assert_close(point.margin(), 0.25, 1e-15, "the margin of two neurons");
    assert_eq!(point.judge().unwrap().verdict, Verdict::GlobalMaximum);
}

#[test]
fn a_network_of_width_one_is_at_a_strict_maximum() {
    let problem = opposite(1);
    let judged = at(&problem, &network(&[([0.0, 1.0], 1.0)])).judge().unwrap();
    assert_eq!(judged.verdict, Verdict::StrictMaximum);
    // The one critical direction is (v_2, a) = (1, −1)/√2, of curvature 1 + Σ λ_i x_i2 = 2.
    assert_close(judged.curvature, 2.0, 1e-13, "curvature");
    // No network of width one near it has a larger margin.
    for seed in 0..200 {
        let mut theta = network(&[([0.0, 1.0], 1.0)]);
        axpy(1e-2, &normals(seed, "near", 3), &mut theta);
        assert!(at(&problem, &theta).margin() < 0.125);
    }
}

#[test]
fn a_pair_of_zeros_in_a_diagonal_network_makes_a_saddle() {
    let model = || common::model("kind = 'diagonal'", 2, 1);
    let of = |model| problem(model, "kind = 'exponential'", data(&[1.0, 3.0], &[0], 2, 2));
    // f = Σ (u_j² − v_j²) x_j: λ = 1/(2x_j) where u_j alone is alive, and 1 − 2λx_k is the curvature of u_k.
    let problem = of(model());
    let zero = at(&problem, &[1.0, 0.0, 0.0, 0.0]);
    assert!(zero.clarke().unwrap().epsilon < 1e-15);
    let judged = zero.judge().unwrap();
    assert_eq!(judged.verdict, Verdict::Saddle);
    assert_close(judged.curvature, -2.0, 1e-8, "curvature by central differences");
    assert!(judged.ascent.unwrap().gain > 0.1);
    let best = at(&problem, &[0.0, 1.0, 0.0, 0.0]);
    assert_close(best.margin(), 3.0, 1e-15, "the l1 margin");
    assert_eq!(best.judge().unwrap().verdict, Verdict::GlobalMaximum);
}

#[test]
fn an_aligned_deep_linear_network_is_the_global_maximum() {
    let model = common::model("kind = 'deep-linear'\nwidths = [3]", 2, 1);
    let problem = problem(model, "kind = 'exponential'", four_points());
    let (u, w) = ([2.0 / 3.0, 1.0 / 3.0, -2.0 / 3.0], 0.5f64.sqrt());
    let inner = u.iter().flat_map(|u| [u * w, u * w]);
    let theta: Vec<f64> = inner.chain(u).collect();
    let point = at(&problem, &theta);
    // The ℓ2 margin 3/√2, halved because ‖w₂w₁‖ ≤ ½‖θ‖².
    assert_close(point.margin(), 1.5 / 2f64.sqrt(), 1e-14, "margin");
    assert!(point.clarke().unwrap().epsilon < 1e-14);
    assert_eq!(point.judge().unwrap().verdict, Verdict::GlobalMaximum);
    // From nearby Newton's method finds one of the maxima, which rotations of the hidden layer join.
    let shifted: Vec<f64> = theta.iter().zip(normals(1, "shift", 9)).map(|(t, n)| t + 1e-3 * n).collect();
    let polished = at(&problem, &shifted).polish().unwrap().unwrap();
    assert_close(polished.margin(), 1.5 / 2f64.sqrt(), 1e-12, "margin");
    assert_eq!(polished.judge().unwrap().verdict, Verdict::GlobalMaximum);
}

/// (1, 0) negative and (1, 2)/√5 positive: each neuron lies across the other's example, at a kink of it.
fn crossed() -> (Problem, Vec<f64>) {
    let root = 5f64.sqrt();
    let problem = relu(2, &[1.0, 0.0, 1.0 / root, 2.0 / root], &[1, 0]);
    (problem, network(&[([0.0, 1.0], 1.0), ([2.0 / root, -1.0 / root], -1.0)]))
}

#[test]
fn a_kink_that_costs_on_both_sides_holds_a_maximum() {
    let (problem, theta) = crossed();
    let point = at(&problem, &theta);
    let fit = point.clarke().unwrap();
    // z = λ(x₂ − s x₁) ⊥ x₁ makes s = 1/√5; ‖z‖ = 1 makes λ = √5/2; each neuron has half of ‖θ‖² and the gain 2/√5.
    assert!(fit.epsilon < 1e-14, "{}", fit.epsilon);
    assert_eq!(point.edges().len(), 2);
    fit.slopes.iter().for_each(|s| assert_close(*s, 1.0 / 5f64.sqrt(), 1e-13, "slope"));
    fit.lambda.iter().for_each(|l| assert_close(*l, 5f64.sqrt() / 2.0, 1e-13, "λ"));
    assert_close(point.margin(), 0.5 / 5f64.sqrt(), 1e-15, "margin");
    assert_eq!(point.judge().unwrap().verdict, Verdict::GlobalMaximum);
    // One gradient each cannot show that it is stationary.
    let mut row = Default::default();
    let mut kkt = Kkt::default();
    kkt.begin(&Context { problem: &problem, theta: &theta, norms: Vec::new(), weight_decay: 0.0 }).unwrap();
    let mut iterate = Iterate::new(theta.clone());
    let snapshot = latephase_core::probe::Snapshot::new(&problem, &mut iterate, None).unwrap();
    kkt.measure(&snapshot, &mut row);
    assert!(row.get("kkt_relative") > 0.2, "{}", row.get("kkt_relative"));
}

#[test]
fn a_squared_relu_at_zero_has_no_curvature_to_judge_by() {
    let of = |width: usize, inputs: &[f64], labels: &[u32]| {
        let text = format!("kind = 'mlp'\nwidths = [{width}]\nactivation = 'relu-power'");
        problem(common::model(&text, 2, 1), "kind = 'exponential'", data(inputs, labels, 2, 2))
    };
    // q = a v₁² on one input: ‖θ‖² = a² + v₁² is least at v₁² = 2a², where neither can move alone.
    let alone = of(1, &[1.0, 0.0], &[0]);
    let theta = [2f64.sqrt(), 0.0, 1.0];
    let judged = at(&alone, &theta).judge().unwrap();
    assert_eq!(judged.verdict, Verdict::StrictMaximum);
    // Orthogonal inputs, a neuron for each: across its own input a neuron has curvature 1 on one side, 0 on the other.
    let both = of(2, &[1.0, 0.0, 0.0, 1.0], &[0, 0]);
    let theta = [2f64.sqrt(), 0.0, 0.0, 2f64.sqrt(), 1.0, 1.0];
    let point = at(&both, &theta);
    assert!(point.clarke().unwrap().epsilon < 1e-14);
    let judged = point.judge().unwrap();
    assert!(judged.curvature > 0.1, "the mean of both sides would call it strict");
    assert_eq!(judged.verdict, Verdict::Undecided);
}

#[test]
fn newton_finds_the_kinks_to_rounding() {
    let (problem, theta) = crossed();
    for seed in 0..20 {
        let mut near = theta.clone();
        axpy(1e-4, &normals(seed, "near", 6), &mut near);
        let reach = Reach { kink: 1e-2, ..Reach::default() };
        let point = Point::at(&problem, &near, reach).unwrap().unwrap();
        let polished = point.polish().unwrap().unwrap();
        assert!(polished.distance(&theta) < 1e-13, "{seed}: {:e}", polished.distance(&theta));
        let epsilon = polished.clarke().unwrap().epsilon;
        assert!(epsilon < 1e-13 * norm(polished.theta()), "{seed}: {epsilon:e}");
    }
}

#[test]
fn a_kink_that_gains_on_one_side_makes_a_saddle() {
    // Both positive at 120 degrees; each neuron across the other's example, which it would rather not see.
    let x = [[1.0, 0.0], [-0.5, 0.75f64.sqrt()]];
    let problem = relu(2, &x.concat(), &[0, 0]);
    let across = |k: usize| [x[k][0] + 0.5 * x[1 - k][0], x[k][1] + 0.5 * x[1 - k][1]];
    let root = 0.75f64.sqrt();
    let neuron = |k| ([across(k)[0] / root, across(k)[1] / root], 1.0);
    let point = at(&problem, &network(&[neuron(0), neuron(1)]));
    let fit = point.clarke().unwrap();
    assert!(fit.epsilon < 1e-14, "{}", fit.epsilon);
    fit.slopes.iter().for_each(|s| assert_close(*s, 0.5, 1e-12, "slope"));
    assert_close(point.margin(), root / 4.0, 1e-14, "margin");
    let judged = point.judge().unwrap();
    assert_eq!(judged.verdict, Verdict::Saddle);
    // Along its own example each neuron has the gain 1, and the margin ¼: 15 per cent more.
    let gain = judged.ascent.unwrap().gain;
    assert!(gain > 0.05 && gain <= 0.25 / (root / 4.0) - 1.0, "{gain}");
}

/// min ½‖θ − Σ λ_i g_i − Σ μ_e d_e‖² over 0 ≤ μ_e ≤ λ_i, by an interior-point method; the distance.
fn referee(theta: &[f64], gradients: &[Vec<f64>], edges: &[(usize, Vec<f64>)]) -> f64 {
    let (k, m, dim) = (gradients.len(), edges.len(), theta.len());
    // Variables: λ, μ, and r = θ − Σ, of which ½‖r‖² is minimised.
    let n = k + m + dim;
    let (mut i, mut j, mut v) = (Vec::new(), Vec::new(), Vec::new());
    let mut put = |row, col, value| {
        i.push(row);
        j.push(col);
        v.push(value);
    };
    let columns = gradients.iter().chain(edges.iter().map(|(_, d)| d));
    for (col, column) in columns.enumerate() {
        column.iter().enumerate().for_each(|(row, x)| put(row, col, *x));
    }
    (0..dim).for_each(|row| put(row, k + m + row, 1.0));
    for col in 0..k + m {
        put(dim + col, col, -1.0);
    }
    for (e, (constraint, _)) in edges.iter().enumerate() {
        put(dim + k + m + e, k + e, 1.0);
        put(dim + k + m + e, *constraint, -1.0);
    }
    let rows = dim + k + m + m;
    let a = CscMatrix::new_from_triplets(rows, n, i, j, v);
    let diagonal: Vec<usize> = (k + m..n).collect();
    let p = CscMatrix::new_from_triplets(n, n, diagonal.clone(), diagonal, vec![1.0; dim]);
    let mut right = theta.to_vec();
    right.resize(rows, 0.0);
    let cones = [clarabel::solver::SupportedConeT::ZeroConeT(dim), NonnegativeConeT(k + m + m)];
    let settings = DefaultSettingsBuilder::default()
        .verbose(false)
        .tol_gap_abs(1e-13)
        .tol_gap_rel(1e-13)
        .tol_feas(1e-13)
        .build()
        .unwrap();
    let mut solver = DefaultSolver::new(&p, &vec![0.0; n], &a, &right, &cones, settings).unwrap();
    solver.solve();
    norm(&solver.solution.x[k + m..])
}

/// A random network with every neuron across some example, and labels by its outputs.
fn kinked(seed: u64, outputs: usize, activation: &str) -> (Problem, Vec<f64>) {
    let (dim, width, n) = (3, 4, 5);
    let x = normals(seed, "kinked.x", dim * n);
    let text = format!("kind = 'mlp'\nwidths = [{width}]\nactivation = {activation}");
    let model = common::model(&text, dim, outputs);
    let mut theta = normals(seed, "kinked.theta", model.layout().dim());
    for r in 0..width {
        let across = &x[(r % n) * dim..(r % n + 1) * dim];
        let row = &mut theta[r * dim..(r + 1) * dim];
        for _ in 0..2 {
            axpy(-dot(row, across) / dot(across, across), across, row);
        }
    }
    let rows = latephase_core::Rows::new(&x, dim);
    let mut out = vec![0.0; n * outputs];
    model.forward(&theta, rows, &mut out, &mut Default::default()).unwrap();
    let label = |f: &[f64]| match outputs {
        1 => u32::from(f[0] < 0.0),
        _ => (0..outputs).max_by(|a, b| f[*a].total_cmp(&f[*b])).unwrap() as u32,
    };
    let labels: Vec<u32> = out.chunks(outputs).map(label).collect();
    let loss = if outputs == 1 { "kind = 'logistic'" } else { "kind = 'cross-entropy'" };
    (problem(model, loss, data(&x, &labels, dim, outputs.max(2))), theta)
}

#[test]
fn the_best_multipliers_are_those_of_an_interior_point_method() {
    let everything = Reach { within: f64::INFINITY, ..Reach::default() };
    let mut kinks = 0;
    for (outputs, activation) in [(1, "'relu'"), (1, "{ kind = 'leaky-relu', slope = 0.2 }"), (3, "'relu'")] {
        for seed in 0..15 {
            let (problem, theta) = kinked(seed, outputs, activation);
            let Some(point) = Point::at(&problem, &theta, everything).unwrap() else { continue };
            // An example that no neuron sees but those at its kink has an output of rounding.
            if point.margin() < 1e-9 {
                continue;
            }
            kinks += point.edges().len();
            // Gradients by the model itself, a little to the left of every kink.
            let mut left = point.theta().to_vec();
            let mut edges: Vec<(usize, Vec<f64>)> = Vec::new();
            for edge in point.edges() {
                let x = problem.train.rows().row(point.constraints()[edge.constraint].example);
                let mut d = vec![0.0; theta.len()];
                (0..3).for_each(|i| d[3 * edge.unit + i] = edge.strength * x[i]);
                edges.push((edge.constraint, d));
                let step = 1e-12 * norm(point.theta()) / norm(x);
                axpy(-step, x, &mut left[3 * edge.unit..3 * edge.unit + 3]);
            }
            let gradient = |c| problem.margin_gradient(&left, c).unwrap();
            let gradients: Vec<Vec<f64>> = point.constraints().iter().map(gradient).collect();
            let expected = referee(point.theta(), &gradients, &edges);
            let found = point.clarke().unwrap();
            let size = norm(point.theta());
            // The interior-point method is exact to about 1e-8 of ‖θ‖.
            assert!(
                (found.epsilon - expected).abs() < 1e-7 * size,
                "{seed}: {} and {expected}",
                found.epsilon
            );
            assert!(found.lambda.iter().all(|l| *l >= 0.0));
            assert!(found.slopes.iter().all(|s| s.is_nan() || (0.0..=1.0 + 1e-12).contains(s)));
            // The multipliers give the residual that they claim.
            let mut residual = point.theta().to_vec();
            gradients.iter().zip(&found.lambda).for_each(|(g, l)| axpy(-l, g, &mut residual));
            for ((k, d), s) in edges.iter().zip(&found.slopes).filter(|(_, s)| !s.is_nan()) {
                axpy(-found.lambda[*k] * s, d, &mut residual);
            }
            assert!((norm(&residual) - found.epsilon).abs() < 1e-10 * size);
        }
    }
    assert!(kinks > 60, "{kinks} kinks in all");
}

#[test]
fn the_best_multipliers_of_a_wider_reach_leave_no_more() {
    let mut crossings = 0;
    for seed in 0..30 {
        let (problem, mut theta) = kinked(seed, 1, "'relu'");
        axpy(1e-5, &normals(seed, "kinked.off", theta.len()), &mut theta);
        let mut before = (f64::INFINITY, 0);
        for kink in [0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3] {
            let reach = Reach { within: f64::INFINITY, kink, ..Reach::default() };
            let Some(point) = Point::at(&problem, &theta, reach).unwrap() else { continue };
            let now = (point.clarke().unwrap().epsilon, point.edges().len());
            // The gradient itself stays among the choices, whatever counts as a kink.
            assert!(
                now.0 <= before.0 + 1e-12 * norm(point.theta()),
                "{seed}, {kink:e}: {now:?} after {before:?}"
            );
            crossings += now.1 - before.1;
            before = now;
        }
    }
    assert!(crossings > 60, "{crossings} kinks came into reach");
}

#[test]
fn newton_s_method_finds_a_point_with_more_pins_than_weights_of_some_networks() {
    // Nine copies of the crossed pair in planes of their own: each neuron is across all examples but one.
    let (copies, root) = (9, 5f64.sqrt());
    let (dim, width) = (2 * copies, 2 * copies);
    let mut x = vec![0.0; width * dim];
    let mut labels = Vec::new();
    let mut exact = vec![0.0; width * (dim + 1)];
    for k in 0..copies {
        let (one, two) = (2 * k, 2 * k + 1);
        x[one * dim + one] = 1.0;
        (x[two * dim + one], x[two * dim + two]) = (1.0 / root, 2.0 / root);
        labels.extend([1, 0]);
        exact[one * dim + two] = 1.0;
        (exact[two * dim + one], exact[two * dim + two]) = (2.0 / root, -1.0 / root);
        (exact[width * dim + one], exact[width * dim + two]) = (1.0, -1.0);
    }
    let problem = relu(width, &x, &labels);
    let mut theta = exact.clone();
    axpy(1e-8, &normals(0, "near", theta.len()), &mut theta);
    let near = at(&problem, &theta);
    // Each of 18 neurons is across its 17 others: with 342 weights and 18 constraints 666 equations.
    assert_eq!(near.edges().len(), 18 * 17);
    assert!(near.clarke().unwrap().epsilon > 1e-9);
    let point = near.polish().unwrap().unwrap();
    assert!(point.clarke().unwrap().epsilon < 1e-12);
    assert_close(point.margin(), 0.5 / root / copies as f64, 1e-13, "a ninth of the margin of a pair");
    assert!(point.distance(&exact) < 1e-7);
}

#[test]
fn sampled_gradients_bound_the_clarke_residual_from_above() {
    let everything = Reach { within: f64::INFINITY, ..Reach::default() };
    let mut looks = 0;
    for seed in 0..20 {
        let (problem, theta) = kinked(seed, 1, "'relu'");
        let point = Point::at(&problem, &theta, everything).unwrap().filter(|p| p.margin() > 1e-9);
        let Some(point) = point else { continue };
        let (size, exact) = (norm(point.theta()), point.clarke().unwrap().epsilon);
        // Within 1e-9 gradients change by about 1e-9 on each piece, and so does what they leave.
        let few = point.goldstein(1e-9, 3, 0).unwrap();
        let many = point.goldstein(1e-9, 150, 0).unwrap();
        assert!(few >= exact - 1e-7 * size && many >= exact - 1e-7 * size, "{seed}: {few} {many} {exact}");
        // Four kinks have at most 16 pieces for each example: 150 samples have met those that matter.
        assert!(many <= few + 1e-12 * size && many <= exact + 1e-6 * size, "{seed}: {many} and {exact}");
        looks += 1;
    }
    assert!(looks >= 5, "{looks}");
}

#[test]
fn deeper_networks_at_a_kink_have_the_sampled_bound_alone() {
    let model = common::model("kind = 'mlp'\nwidths = [2, 2]", 2, 1);
    let problem = problem(model, "kind = 'logistic'", data(&[1.0, 0.0], &[0], 2, 2));
    // The second neuron of the first layer is across the only input.
    let kinked = [1.0, 0.0, 0.0, 1.0, 1.0, 0.5, 0.0, 1.0, 1.0, 1.0];
    let point = at(&problem, &kinked);
    assert!(point.clarke().is_none() && point.polish().unwrap().is_none());
    assert!(point.goldstein(1e-3, 20, 0).unwrap().is_finite());
    let mut probe = Stationarity::default();
    probe
        .begin(&Context { problem: &problem, theta: &kinked, norms: Vec::new(), weight_decay: 0.0 })
        .unwrap();
    let row = common::measure(&mut probe, &problem, &mut Iterate::new(kinked.to_vec()));
    assert!(row.get("kkt_epsilon_clarke").is_nan() && row.get("kkt_epsilon_goldstein") > 0.0);
    assert_eq!(row.get("kkt_second_order"), 0.0);
    // Along one path of weights 1, 1, 1 it is a KKT point of the margin 3^{-3/2}.
    let path = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let row = common::measure(&mut probe, &problem, &mut Iterate::new(path.to_vec()));
    assert!(row.get("kkt_second_order") == 0.0, "kinks of silent neurons leave it undecided");
}

#[test]
fn the_probe_writes_what_the_point_says() {
    let problem = opposite(2);
    let theta = network(&[([0.0, 1.0], 1.0), ([0.0, -1e-3], 1e-3)]);
    let mut probe = Stationarity::default();
    let context = Context { problem: &problem, theta: &theta, norms: Vec::new(), weight_decay: 0.0 };
    let columns = probe.begin(&context).unwrap();
    let row = common::measure(&mut probe, &problem, &mut Iterate::new(theta.clone()));
    assert_eq!(row.cells.iter().map(|(c, _)| c.clone()).collect::<Vec<_>>(), columns);
    assert_eq!(row.get("kkt_second_order"), -1.0);
    assert!(row.get("kkt_ascent") > 0.05 && row.get("kkt_ascent_step") > 1e-2);
    // √(v² + a²) of the dead neuron over ‖θ‖ = √2.
    assert_close(row.get("kkt_moved"), 1e-3, 1e-5, "kkt_moved");
    // ε is what no constraint explains: the dead neuron, in the scale ‖θ̃‖ = γ^{-1/2} = √8.
    assert_close(row.get("kkt_epsilon_clarke"), 1e-3 * 8f64.sqrt(), 1e-5, "kkt_epsilon_clarke");
    assert_eq!(row.get("kkt_goldstein_radius"), 1e-3);
    let against = network(&[([0.0, -1.0], 1.0), ([0.0, 0.0], 0.0)]);
    let row = common::measure(&mut probe, &problem, &mut Iterate::new(against));
    assert!(row.cells.iter().all(|(_, v)| v.is_nan()), "the data are not separated");
}

#[test]
fn lanczos_finds_the_top_of_a_spectrum() {
    let n = 60;
    let mirror = normals(1, "mirror", n);
    let square = dot(&mirror, &mirror);
    let reflect = |v: &[f64]| {
        let mut out = v.to_vec();
        axpy(-2.0 * dot(&mirror, v) / square, &mirror, &mut out);
        out
    };
    // Eigenvalues −30, …, 29 in a basis that is a reflection of the standard one.
    let apply = |v: &[f64]| {
        let inner = reflect(v);
        let scaled: Vec<f64> = inner.iter().enumerate().map(|(i, x)| (i as f64 - 30.0) * x).collect();
        Some(reflect(&scaled))
    };
    let start = normals(2, "start", n);
    let top = largest(&start, n, 1e-13, apply).unwrap();
    assert!((top.value - 29.0).abs() < 1e-11 && top.residual < 1e-10, "{} {}", top.value, top.residual);
    // After a few products the residual is the distance to an eigenvalue.
    let early = largest(&start, 12, 0.0, apply).unwrap();
    let nearest = (early.value - early.value.round()).abs();
    assert!(early.value < 29.0 && nearest <= early.residual, "{early:?}");
    let image = apply(&early.vector).unwrap();
    let rest: Vec<f64> = image.iter().zip(&early.vector).map(|(a, v)| a - early.value * v).collect();
    assert_close(norm(&rest), early.residual, 1e-10, "the residual");
    assert!(largest(&vec![0.0; n], n, 1e-13, apply).is_none());
}

#[test]
fn where_flows_of_small_networks_go_there_is_a_kkt_point() {
    let (n, dim, width) = (16, 4, 6);
    let (mut polished, mut saddles) = (0, 0);
    for seed in 0..8 {
        let (x, teacher) = (normals(seed, "flow.x", n * dim), normals(seed, "flow.teacher", 3 * dim));
        let label = |x: &[f64]| {
            let neuron = |r: usize| dot(&teacher[r * dim..(r + 1) * dim], x).max(0.0);
            u32::from(neuron(0) - 1.5 * neuron(1) + neuron(2) <= 0.0)
        };
        let labels: Vec<u32> = x.chunks(dim).map(label).collect();
        let text = format!("kind = 'mlp'\nwidths = [{width}]\ninit = {{ kind = 'he', alpha = 0.5 }}");
        let model = common::model(&text, dim, 1);
        let theta = model.init(&mut latephase_core::rng::stream(seed, "model.init", 0));
        let problem = problem(model, "kind = 'exponential'", data(&x, &labels, dim, 2));
        let mut flow = common::algorithm("kind = 'bundle'\nkappa = 0.004").build();
        flow.begin(&problem, 0).unwrap();
        let mut at = Iterate::new(theta);
        while at.clocks.step < 6000
            && at.eval(&problem, &latephase_core::RowSet::Full).unwrap().ln_loss > -20_000.0
        {
            // A flow that f64 can no longer resolve has gone as far as it can.
            if flow.step(&problem, &mut at).is_err() {
                break;
            }
        }
        let reach = Reach { kink: 1e-2, ..Reach::default() };
        // A start of few neurons may never separate its data.
        let Some(near) = Point::at(&problem, at.theta(), reach).unwrap() else { continue };
        let Some(point) = near.polish().unwrap() else { continue };
        polished += 1;
        assert!(point.clarke().unwrap().epsilon <= 1e-9 * norm(point.theta()), "{seed}");
        let most = exact::two_layer::of(&problem.train, &Default::default()).unwrap().optimum;
        assert!(point.margin() <= 0.5 * most.bound * (1.0 + 1e-8), "{seed}: above every margin");
        let judged = point.judge().unwrap();
        match judged.verdict {
            Verdict::GlobalMaximum => {
                assert!(point.margin() >= 0.5 * most.value * (1.0 - 1e-6), "{seed}: not the largest margin");
            }
            Verdict::Saddle => {
                saddles += 1;
                let ascent = judged.ascent.unwrap();
                let risen = Point::at(&problem, &ascent.to, reach).unwrap().unwrap().margin();
                assert!(risen > point.margin() * (1.0 + 0.5 * ascent.gain), "{seed}: {ascent:?}");
                assert!(risen <= 0.5 * most.bound * (1.0 + 1e-8));
            }
            Verdict::StrictMaximum | Verdict::Undecided => {}
        }
    }
    assert!(polished >= 5 && saddles >= 1, "{polished} polished, {saddles} saddles");
}
