//! The short cut to KKT points: closed forms, certificates by finite differences, and what scaling may not change.

mod common;

use std::ops::ControlFlow;

use common::{assert_close, data, four_points, normals, problem};
use latephase_core::Problem;
use latephase_core::kkt::{Point, Reach, Verdict};
use latephase_core::limit::{Certificate, Ending, Found, Way, follow};
use latephase_core::numeric::{axpy, distance, dot, norm};

fn go(problem: &Problem, theta: &[f64]) -> Found {
    follow(problem, theta, &Way::short_cut(), &mut |_| ControlFlow::Continue(())).unwrap().unwrap()
}

fn certified(problem: &Problem, theta: &[f64]) -> Certificate {
    Certificate::at(problem, theta, 1e-6, true).unwrap().unwrap()
}

fn mlp(activation: &str, width: usize, x: &[f64], labels: &[u32]) -> Problem {
    let dim = x.len() / labels.len();
    let text = format!("kind = 'mlp'\nwidths = [{width}]\nactivation = '{activation}'");
    problem(common::model(&text, dim, 1), "kind = 'exponential'", data(x, labels, dim, 2))
}

/// θ of the neurons (v, a).
fn network(neurons: &[([f64; 2], f64)]) -> Vec<f64> {
    let inner = neurons.iter().flat_map(|(v, _)| *v);
    inner.chain(neurons.iter().map(|(_, a)| *a)).collect()
}

#[test]
fn a_linear_model_goes_to_the_largest_margin() {
    let problem = problem(common::model("kind = 'linear'", 2, 1), "kind = 'logistic'", four_points());
    let found = go(&problem, &[1.0, 0.1]);
    assert_close(found.margin, 1.5 * 2f64.sqrt(), 1e-12, "margin");
    assert_close(found.angle, std::f64::consts::FRAC_PI_4 - 0.1f64.atan(), 1e-9, "angle");
    let certificate = certified(&problem, &found.theta);
    assert!(certificate.fit.epsilon < 1e-9 && certificate.fit.delta < 1e-9);
    assert_eq!(certificate.judgement.unwrap().verdict, Verdict::GlobalMaximum);
}

#[test]
fn two_neurons_each_find_their_example() {
    // (±√15/4, ¼), both positive: the margin of a neuron for each is ¼.
    let side = 15f64.sqrt() / 4.0;
    let problem = mlp("relu", 2, &[side, 0.25, -side, 0.25], &[0, 0]);
    let found = go(&problem, &network(&[([1.0, 0.5], 0.8), ([-0.9, 0.6], 1.1)]));
    assert_close(found.margin, 0.25, 1e-12, "margin");
    assert_eq!(certified(&problem, &found.theta).judgement.unwrap().verdict, Verdict::GlobalMaximum);
    // One neuron, which both have to share.
    let shared = mlp("relu", 1, &[side, 0.25, -side, 0.25], &[0, 0]);
    let found = go(&shared, &network(&[([0.02, 1.0], 0.5)]));
    assert_close(found.margin, 0.125, 1e-12, "margin");
    assert_eq!(certified(&shared, &found.theta).judgement.unwrap().verdict, Verdict::StrictMaximum);
}

#[test]
fn kinks_that_attract_are_found_with_slopes_between() {
    // (1, 0) negative and (1, 2)/√5 positive: each neuron ends across the other's example.
    let root = 5f64.sqrt();
    let problem = mlp("relu", 2, &[1.0, 0.0, 1.0 / root, 2.0 / root], &[1, 0]);
    let exact = network(&[([0.0, 1.0], 1.0), ([2.0 / root, -1.0 / root], -1.0)]);
    for seed in 0..10 {
        let mut theta = exact.clone();
        axpy(0.2, &normals(seed, "limit.near", 6), &mut theta);
        let found = go(&problem, &theta);
        assert_close(found.margin, 0.5 / root, 1e-10, "margin");
        let certificate = certified(&problem, &found.theta);
        assert!(certificate.relative() < 1e-9, "{seed}: {:e}", certificate.relative());
        assert_eq!(certificate.kinks, 2);
        certificate.fit.slopes.iter().for_each(|s| assert_close(*s, 1.0 / root, 1e-6, "slope"));
    }
}

#[test]
fn scaling_theta_changes_nothing() {
    let (x, theta) = (normals(3, "limit.x", 24), normals(4, "limit.theta", 20));
    let labels: Vec<u32> = x.chunks(3).map(|x| u32::from(x[0] - 0.7 * x[1].abs() < 0.0)).collect();
    let problem = mlp("relu-power", 5, &x, &labels);
    // To a θ that separates, by the flow of another start: scale by 2, which is exact.
    let mut start = theta.clone();
    let mut flow = common::algorithm("kind = 'bundle'\nkappa = 0.01").build();
    flow.begin(&problem, 0).unwrap();
    let mut at = latephase_core::Iterate::new(start);
    for _ in 0..400 {
        flow.step(&problem, &mut at).unwrap();
    }
    start = at.theta().to_vec();
    let twice: Vec<f64> = start.iter().map(|t| 2.0 * t).collect();
    let (a, b) = (go(&problem, &start), go(&problem, &twice));
    assert!(distance(&a.theta, &b.theta) <= 1e-9 * norm(&a.theta));
    assert_close(a.margin, b.margin, 1e-12, "margin");
    assert_eq!(a.ending, Ending::Converged);
    // The certificate by central differences of the outputs: Σ λ ∇q = θ, q = 1 on the support.
    let certificate = certified(&problem, &a.theta);
    let mut rest = a.theta.clone();
    for (c, l) in certificate.support.iter().zip(&certificate.lambda) {
        let sign = if problem.train.labels()[c.example] == 0 { 1.0 } else { -1.0 };
        let q = |theta: &[f64]| {
            let row = problem.train.rows().slice(c.example, c.example + 1);
            sign * problem.outputs(theta, row).unwrap()[0]
        };
        assert_close(q(&a.theta), 1.0, 1e-9, "a margin of the support");
        for p in 0..rest.len() {
            let h = 1e-5;
            let side = |s: f64| {
                let mut moved = a.theta.clone();
                moved[p] += s * h;
                q(&moved)
            };
            rest[p] -= l * (side(1.0) - side(-1.0)) / (2.0 * h);
        }
    }
    assert!(norm(&rest) < 1e-8 * norm(&a.theta), "{:e}", norm(&rest));
    assert!(certificate.fit.epsilon < 1e-9 && certificate.fit.delta < 1e-9);
    // Euler: Σ λ L = ‖θ‖².
    let total: f64 = certificate.lambda.iter().sum();
    assert_close(3.0 * total, dot(&a.theta, &a.theta), 1e-9, "the sum of the multipliers");
}

#[test]
fn one_who_watches_may_end_it_and_keeps_what_there_is() {
    let side = 15f64.sqrt() / 4.0;
    let problem = mlp("relu", 2, &[side, 0.25, -side, 0.25], &[0, 0]);
    let start = network(&[([1.0, 0.5], 0.8), ([-0.9, 0.6], 1.1)]);
    let how = Way { kappa: 1e-3, ..Way::short_cut() };
    let mut looks = 0;
    let found = follow(&problem, &start, &how, &mut |_| {
        looks += 1;
        if looks == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let found = found.unwrap().unwrap();
    assert_eq!((found.ending, looks), (Ending::Stopped, 3));
    assert!(found.margin > found.margin_before);
}

#[test]
fn what_has_no_direction_to_speak_of_is_refused() {
    let problem = mlp("relu", 2, &[1.0, 0.0, 0.0, 1.0], &[0, 0]);
    let against = network(&[([1.0, 1.0], -1.0), ([1.0, 1.0], -1.0)]);
    let watch = &mut |_: &latephase_core::limit::Look| ControlFlow::Continue(());
    assert!(follow(&problem, &against, &Way::short_cut(), watch).unwrap().is_none());
    let curved = mlp("gelu", 2, &[1.0, 0.0, 0.0, 1.0], &[0, 0]);
    assert!(follow(&curved, &[1.0; 6], &Way::short_cut(), watch).unwrap().is_none());
}

#[test]
fn the_flow_ends_where_the_largest_margin_is() {
    let problem = problem(common::model("kind = 'linear'", 2, 1), "kind = 'logistic'", four_points());
    let mut turned = 0.0;
    let found = follow(&problem, &[1.0, 0.1], &Way::flow(), &mut |look| {
        turned = look.ln_rho;
        ControlFlow::Continue(())
    });
    let found = found.unwrap().unwrap();
    assert_eq!(found.ending, Ending::Converged);
    assert_close(found.margin, 1.5 * 2f64.sqrt(), 1e-5, "margin");
    assert!(found.ln_rho > 1.0 && found.ln_rho >= turned, "{}", found.ln_rho);
    // Steps of half the length lead the same way.
    let half = Way { kappa: 0.005, clock: 0.125, ..Way::flow() };
    let fine = follow(&problem, &[1.0, 0.1], &half, &mut |_| ControlFlow::Continue(())).unwrap().unwrap();
    assert!((fine.angle - found.angle).abs() < 1e-3);
    assert!((fine.ln_rho - found.ln_rho).abs() < 0.2 * found.ln_rho, "{} {}", fine.ln_rho, found.ln_rho);
}

/// Gaussian points labelled by three neurons, and a network that the flow has taken to a loss of 1e-40.
fn random(seed: u64, (n, dim, width): (usize, usize, usize)) -> (Problem, Vec<f64>) {
    let (x, teacher) = (normals(seed, "limit.x", n * dim), normals(seed, "limit.teacher", 3 * dim));
    let label = |x: &[f64]| {
        let neuron = |r: usize| dot(&teacher[r * dim..(r + 1) * dim], x).max(0.0);
        u32::from(neuron(0) - 1.5 * neuron(1) + neuron(2) <= 0.0)
    };
    let labels: Vec<u32> = x.chunks(dim).map(label).collect();
    let problem = mlp("relu", width, &x, &labels);
    let mut flow = common::algorithm("kind = 'bundle'\nkappa = 0.005\nepsilon = 0.02").build();
    flow.begin(&problem, 0).unwrap();
    let start = problem.model.init(&mut latephase_core::rng::stream(seed, "model.init", 0));
    let mut at = latephase_core::Iterate::new(start);
    while at.ln_loss(&problem).unwrap() > -92.1 {
        flow.step(&problem, &mut at).unwrap();
    }
    let theta = at.theta().to_vec();
    (problem, theta)
}

#[test]
fn random_problems_with_kinks_end_at_kkt_points() {
    let mut kinks = 0;
    for seed in 0..12 {
        let (problem, theta) = random(seed, (20, 5, 20));
        let found = go(&problem, &theta);
        let certificate = certified(&problem, &found.theta);
        let (epsilon, delta) = (certificate.fit.epsilon, certificate.fit.delta);
        assert!(epsilon < 1e-9 && delta < 1e-9, "{seed}: {epsilon:e} {delta:e} {:?}", found.ending);
        assert!(found.residual < 1e-10 && found.margin >= found.margin_before);
        assert_eq!(found.ending, Ending::Converged);
        kinks += certificate.kinks;
    }
    assert!(kinks > 100, "{kinks}");
}

#[test]
fn a_deep_network_that_is_linear_on_its_data_has_the_margin_of_a_linear_one() {
    // All inputs and weights are positive: σ is the identity. The nearest point of the hull of (1, 2) and (2, 1) is at 3/√2, and of
    // weights of norm w in three layers of rank one the least ‖θ‖² is 3w^{2/3}.
    let text = "kind = 'mlp'\nwidths = [3, 2]";
    let problem = problem(
        common::model(text, 2, 1),
        "kind = 'exponential'",
        data(&[1.0, 2.0, 2.0, 1.0], &[0, 0], 2, 2),
    );
    for seed in 0..5 {
        let start: Vec<f64> = normals(seed, "limit.deep", 14).iter().map(|x| 0.3 + x.abs()).collect();
        let found = go(&problem, &start);
        assert_close(found.margin, 3.0 / 2f64.sqrt() / 27f64.sqrt(), 1e-10, "margin");
        assert_eq!(found.ending, Ending::Converged);
        let certificate = certified(&problem, &found.theta);
        assert!(certificate.fit.epsilon < 1e-9 && certificate.fit.delta < 1e-9 && certificate.kinks == 0);
        certificate
            .lambda
            .iter()
            .for_each(|l| assert_close(*l, certificate.lambda[0], 1e-6, "λ by symmetry"));
    }
}

#[test]
fn two_hidden_layers_end_where_the_flow_goes_with_a_residual_that_sampled_gradients_confirm() {
    for seed in [0, 3, 5, 6, 7] {
        let (n, dim) = (8, 3);
        let x = normals(seed, "limit.deep.x", n * dim);
        let labels: Vec<u32> = x.chunks(dim).map(|x| u32::from(x[0] * x[1] + 0.3 * x[2] < 0.0)).collect();
        let model = common::model("kind = 'mlp'\nwidths = [8, 6]", dim, 1);
        let problem = problem(model, "kind = 'exponential'", data(&x, &labels, dim, 2));
        let margin = |theta: &[f64]| {
            let outputs = problem.outputs(theta, problem.train.rows()).unwrap();
            let signed = outputs.iter().zip(&labels).map(|(f, y)| if *y == 0 { *f } else { -f });
            signed.fold(f64::INFINITY, f64::min) / norm(theta).powi(3)
        };
        let mut flow = common::algorithm("kind = 'bundle'").build();
        flow.begin(&problem, 0).unwrap();
        let start = problem.model.init(&mut latephase_core::rng::stream(seed, "model.init", 0));
        let mut at = latephase_core::Iterate::new(start);
        let mut to = |ln_loss: f64| {
            while at.ln_loss(&problem).unwrap() > ln_loss {
                flow.step(&problem, &mut at).unwrap();
            }
            at.theta().to_vec()
        };
        let early = to(-230.0);
        let found = go(&problem, &early);
        let (before, flowed) = (margin(&early), margin(&to(-1e5)));
        assert_close(found.margin, margin(&found.theta), 1e-12, "the margin of what is returned");
        assert!(before < flowed && flowed < found.margin, "{seed}: {before} {flowed} {}", found.margin);
        assert!(found.margin - flowed < 0.5 * (found.margin - before), "{seed}: the flow goes elsewhere");
        // Gradients near θ, from the network itself.
        let reach = Reach { within: 1e-4, ..Reach::default() };
        let point = Point::at(&problem, &found.theta, reach).unwrap().unwrap();
        let sampled = point.goldstein(1e-4, 100, 0).unwrap() / norm(point.theta());
        assert!(sampled < 1e-5 && found.residual < 1e-5, "{seed}: {sampled:e} and {:e}", found.residual);
        let first = Point::at(&problem, &early, Reach::default()).unwrap().unwrap();
        assert!(
            first.goldstein(1e-4, 100, 0).unwrap() > 1e-2 * norm(first.theta()),
            "{seed}: nothing to show"
        );
    }
}
