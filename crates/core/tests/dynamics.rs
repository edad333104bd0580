//! What the algorithms do: orders of accuracy, kinks, known limits, go-backs, checkpoints.

mod common;
#[path = "common/formula.rs"]
mod formula;

use std::sync::Arc;

use common::{algorithm, assert_close, data, four_points, model, normals, problem};
use formula::formula;
use latephase_core::algorithm::{Algorithm, Flow, Tableau};
use latephase_core::norm::L2;
use latephase_core::numeric::{angle, axpy, distance, dot, norm};
use latephase_core::pace::{Pace, Trial, UnitDecrease};
use latephase_core::rng::stream;
use latephase_core::{BatchStream, Batches, Breakdown, Data, Iterate, Problem, RowSet, State};

// Scaffolding.

fn begin(text: &str, problem: &Problem) -> Box<dyn Algorithm> {
    let mut algorithm = algorithm(text).build();
    algorithm.begin(problem, 7).unwrap_or_else(|e| panic!("{text}: {e}"));
    algorithm
}

fn ln_loss(problem: &Problem, at: &mut Iterate) -> f64 {
    at.eval(problem, &RowSet::Full).unwrap().ln_loss
}

/// Steps until ln 𝓛 is at most `target`; a breakdown is a failure of the test.
#[track_caller]
fn run_to(text: &str, problem: &Problem, theta: &[f64], target: f64) -> (Iterate, Box<dyn Algorithm>) {
    let mut algorithm = begin(text, problem);
    let mut at = Iterate::new(theta.to_vec());
    while ln_loss(problem, &mut at) > target {
        assert!(at.clocks.evaluations < 2e5, "{text} does not get to {target}");
        algorithm.step(problem, &mut at).unwrap_or_else(|e| panic!("{text}: {e}"));
    }
    (at, algorithm)
}

/// θ/‖θ‖ where ln 𝓛 is `target`, interpolated within the last step.
fn direction_at(text: &str, problem: &Problem, theta: &[f64], target: f64) -> Vec<f64> {
    let mut algorithm = begin(text, problem);
    let mut at = Iterate::new(theta.to_vec());
    loop {
        let before = (at.theta().to_vec(), ln_loss(problem, &mut at));
        algorithm.step(problem, &mut at).unwrap_or_else(|e| panic!("{text}: {e}"));
        let after = ln_loss(problem, &mut at);
        if after <= target {
            let part = (before.1 - target) / (before.1 - after);
            let mut theta = before.0;
            theta.iter_mut().zip(at.theta()).for_each(|(a, b)| *a += part * (b - *a));
            let rho = norm(&theta);
            return theta.iter().map(|t| t / rho).collect();
        }
    }
}

fn margin(problem: &Problem, at: &mut Iterate) -> f64 {
    let eval = at.eval(problem, &RowSet::Full).unwrap();
    let q_min = problem.constraints(&eval).iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
    q_min / norm(at.theta()).powf(problem.model.degree().order().unwrap())
}

fn unit(theta: &[f64]) -> Vec<f64> {
    let rho = norm(theta);
    theta.iter().map(|t| t / rho).collect()
}

fn count(algorithm: &dyn Algorithm, name: &str) -> u64 {
    algorithm.counts().iter().find(|(n, _)| *n == name).map_or(0, |(_, n)| *n)
}

/// Gaussian points with random labels.
fn random_data(seed: u64, n: usize, dim: usize) -> Arc<Data> {
    let labels: Vec<u32> = normals(seed, "labels", n).iter().map(|z| u32::from(*z < 0.0)).collect();
    data(&normals(seed, "data", n * dim), &labels, dim, 2)
}

fn random_problem(seed: u64, n: usize, activation: &str, width: usize) -> (Problem, Vec<f64>) {
    let text = format!("kind = 'mlp'\nwidths = [{width}]\nactivation = {activation}");
    let problem = problem(model(&text, 5, 1), "kind = 'exponential'", random_data(seed, n, 5));
    let theta = problem.model.init(&mut stream(seed, "model.init", 0));
    (problem, theta)
}

// Evaluation.

#[test]
fn one_thread_and_two_give_the_same_bits() {
    let n = 3000;
    for (text, outputs, loss) in [
        ("kind = 'mlp'\nwidths = [60, 30]\nbias = 'first'", 1, "kind = 'logistic'"),
        (
            "kind = 'mlp'\nwidths = [50]\nactivation = 'relu-power'",
            3,
            "kind = 'cross-entropy'\nreduction = 'mean'",
        ),
    ] {
        let classes = outputs.max(2);
        let labels: Vec<u32> = (0..n).map(|i| (i * i % classes) as u32).collect();
        let data = data(&normals(1, "data", n * 6), &labels, 6, classes);
        let problem = problem(model(text, 6, outputs), loss, data);
        let theta = normals(2, "theta", problem.dim());
        let rows = RowSet::Batch(0, Arc::new((0..n).rev().collect()));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                [problem.eval(&theta, &RowSet::Full).unwrap(), problem.eval(&theta, &rows).unwrap()]
            })
        };
        let alone = with(1);
        for threads in [2, 3, 5] {
            assert!(alone == with(threads), "{text}: {threads} threads give other bits");
        }
        // The order of the examples changes the roundings and nothing else.
        assert_close(alone[0].ln_loss, alone[1].ln_loss, 1e-13, text);
        assert!(distance(&alone[0].grad, &alone[1].grad) <= 1e-11 * norm(&alone[0].grad), "{text}");
    }
}

#[test]
fn nothing_is_evaluated_twice_and_batches_count_as_their_share() {
    let (problem, theta) = random_problem(1, 20, "'relu'", 4);
    let mut at = Iterate::new(theta.clone());
    at.eval(&problem, &RowSet::Full).unwrap();
    at.eval(&problem, &RowSet::Full).unwrap();
    assert_eq!(at.clocks.evaluations, 1.0);
    let batch = RowSet::Batch(3, Arc::new(vec![1, 4, 5, 7, 9]));
    at.eval(&problem, &batch).unwrap();
    at.eval(&problem, &batch).unwrap();
    assert_eq!(at.clocks.evaluations, 1.25);
    at.move_to(theta, None);
    at.eval(&problem, &RowSet::Full).unwrap();
    assert_eq!(at.clocks.evaluations, 2.25, "moving θ drops what was known");
}

// Smooth fields.

const SMOOTH: [&str; 2] = [
    "kind = 'deep-linear'\nwidths = [3]",
    "kind = 'mlp'\nwidths = [8]\nactivation = { kind = 'relu-power', p = 3 }",
];

/// The flow with `steps` equal steps up to time `end` on the clock of ∇ ln 𝓛.
fn equal_steps(problem: &Problem, theta: &[f64], tableau: Tableau, end: f64, steps: u32) -> Vec<f64> {
    let mut flow = Flow::new(L2 {}.into(), tableau, 1e9);
    flow.floor = Some(0.0);
    flow.begin(problem, 0).unwrap();
    let mut at = Iterate::new(theta.to_vec());
    for _ in 0..steps {
        // The next length is part of the state; no error is too large for this tolerance.
        let mut state = flow.save();
        state.put("numbers", &[end / f64::from(steps), 0.0, 0.0, 0.0, 0.0]);
        flow.load(&state).unwrap();
        flow.step(problem, &mut at).unwrap();
    }
    assert_close(at.clocks.clock, end, 1e-12, "clock");
    at.theta().to_vec()
}

#[test]
fn the_tableaux_have_order_two_and_five() {
    // Linear layers: the field is analytic.
    let problem = problem(model(SMOOTH[0], 2, 1), "kind = 'exponential'", four_points());
    let theta = problem.model.init(&mut stream(2, "model.init", 0));
    let exact = equal_steps(&problem, &theta, Tableau::DormandPrince, 0.5, 2000);
    for (tableau, steps, order) in [(Tableau::Heun, 100, 2), (Tableau::DormandPrince, 60, 5)] {
        let error = |n| distance(&equal_steps(&problem, &theta, tableau, 0.5, n), &exact);
        let (coarse, fine) = (error(steps), error(2 * steps));
        let found = (coarse / fine).log2();
        // The next term of the error is one power of h smaller.
        assert!(
            (found - f64::from(order)).abs() < 0.5,
            "{tableau:?}: order {found} from {coarse:e}, {fine:e}"
        );
    }
}

#[test]
fn descent_bundle_and_flow_agree_where_the_field_is_smooth() {
    for text in SMOOTH {
        let problem = problem(model(text, 2, 1), "kind = 'exponential'", four_points());
        let theta = problem.model.init(&mut stream(4, "model.init", 0));
        let target = -4.0;
        let at = |algorithm: &str| direction_at(algorithm, &problem, &theta, target);
        // Short steps: what is interpolated linearly within the last one is of second order.
        let exact = at("kind = 'flow'\nrtol = 1e-14");
        let heun = distance(&at("kind = 'flow'\ntableau = 'heun'\nrtol = 1e-8"), &exact);
        assert!(heun < 1e-5, "{text}: Heun and Dormand-Prince differ by {heun:e}");
        // Errors of first order shrink with the step, and are small.
        type Method = fn(f64) -> String;
        let methods: [(&str, Method); 3] = [
            ("bundle", |part| format!("kind = 'bundle'\nkappa = {}", 0.004 * part)),
            ("unit-decrease", |part| {
                format!("kind = 'stepped'\npace = {{ kind = 'unit-decrease', eta = {} }}", 0.02 * part)
            }),
            ("loss-scaled", |part| {
                format!("kind = 'stepped'\npace = {{ kind = 'loss-scaled', eta = {} }}", 4e-4 * part)
            }),
        ];
        for (name, method) in methods {
            let gap = |part: f64| distance(&at(&method(part)), &exact);
            let (one, half, quarter) = (gap(1.0), gap(0.5), gap(0.25));
            assert!(one < 0.05, "{text} {name}: a gap of {one:e}");
            // Terms of first order may cancel at one step size, so the law is asked of two halvings together.
            assert!(half < one && quarter < 0.5 * one, "{text} {name}: {one:e}, {half:e}, {quarter:e}");
        }
    }
}

#[test]
fn every_clock_tells_the_flows_time() {
    // One example with the exponential loss: q' = 1 in s, dt = e^{q} ds.
    let problem = problem(model("kind = 'linear'", 1, 1), "kind = 'exponential'", data(&[1.0], &[0], 1, 2));
    for text in [
        "kind = 'flow'",
        "kind = 'bundle'",
        "kind = 'implicit'",
        "kind = 'stepped'\npace = { kind = 'loss-scaled', eta = 0.01 }",
        "kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 0.01 }",
    ] {
        let (at, _) = run_to(text, &problem, &[1.0], -30.0);
        let q = at.theta()[0];
        assert_close(at.clocks.clock, q - 1.0, 1e-12, text);
        // The flow's time is exact where ln 𝓛 is linear; a descent's is Σ η_k, first order in its step.
        let allowed = if text.contains("stepped") { 0.02 } else { 1e-9 };
        let exact = q + (-(1.0 - q).exp()).ln_1p();
        assert!((at.clocks.ln_time - exact).abs() < allowed, "{text}: ln t = {} at {q}", at.clocks.ln_time);
    }
    // η‖∇𝓛‖ with the true gradient: t is η times the number of steps.
    let mut constant = begin("kind = 'stepped'\npace = { kind = 'constant', eta = 0.5 }", &problem);
    let mut at = Iterate::new(vec![1.0]);
    (0..100).for_each(|_| constant.step(&problem, &mut at).unwrap());
    assert_close(at.clocks.ln_time.exp(), 50.0, 1e-12, "constant rate");
}

#[test]
fn the_account_bounds_the_bundles_error_and_keeps_the_tolerance() {
    for text in SMOOTH {
        let problem = problem(model(text, 2, 1), "kind = 'exponential'", four_points());
        let theta = problem.model.init(&mut stream(4, "model.init", 0));
        for tolerance in [0.04, 0.02, 0.01] {
            let mut bundle = begin(&format!("kind = 'bundle'\ntolerance = {tolerance}"), &problem);
            let mut at = Iterate::new(theta.clone());
            let (mut path, mut last) = (0.0, unit(&theta));
            while ln_loss(&problem, &mut at) > -20.0 {
                bundle.step(&problem, &mut at).unwrap();
                let now = unit(at.theta());
                path += distance(&last, &now);
                last = now;
            }
            let target = ln_loss(&problem, &mut at);
            let exact = direction_at("kind = 'flow'\nrtol = 1e-12", &problem, &theta, target);
            let (error, account) = (distance(&last, &exact), bundle.direction_error());
            assert!(error <= account, "{text} {tolerance}: {error:e} against an account of {account:e}");
            assert!(account <= tolerance * path, "{text}: {account:e} over {path} is more than {tolerance}");
            assert_eq!(count(bundle.as_ref(), "tolerance_exceeded"), 0);
            // An account that bounds anything by being huge would be worth nothing.
            assert!(account > 0.1 * tolerance * path, "{text}: {account:e} over {path}");
        }
    }
}

#[test]
fn the_implicit_flow_has_order_two_and_its_account_the_size_of_its_error() {
    for text in SMOOTH {
        let problem = problem(model(text, 2, 1), "kind = 'exponential'", four_points());
        let theta = problem.model.init(&mut stream(4, "model.init", 0));
        let at =
            |settings: &str| direction_at(&format!("kind = 'implicit'\n{settings}"), &problem, &theta, -20.0);
        let [a, b, c, d] = [0.016, 0.008, 0.004, 0.002].map(|kappa| at(&format!("kappa = {kappa}")));
        let order = 0.5 * (distance(&a, &b) / distance(&c, &d)).log2();
        assert!(order > 1.5, "{text}: order {order}");
        let euler = at("kappa = 0.004\norder = 1");
        assert!(distance(&euler, &d) > 4.0 * distance(&c, &d), "{text}: the first order is worse");
        // What is interpolated within the flow's own last step is of second order in that.
        let flow = direction_at("kind = 'flow'\nrtol = 1e-14", &problem, &theta, -20.0);
        assert!(distance(&d, &flow) < 1e-3, "{text}: off the flow by {:e}", distance(&d, &flow));
        let way = distance(&unit(&theta), &d);
        for tolerance in [0.02, 0.005] {
            let (end, implicit) =
                run_to(&format!("kind = 'implicit'\ntolerance = {tolerance}"), &problem, &theta, -20.0);
            let (error, account) =
                (distance(&at(&format!("tolerance = {tolerance}")), &d), implicit.direction_error());
            assert!(error < 5.0 * account.max(0.1 * tolerance * way), "{text}: {error:e}, {account:e}");
            assert!(account < 3.0 * tolerance * way.max(0.1), "{text}: {account:e} over a way of {way}");
            assert!(end.clocks.step < 400, "{text}: {} steps", end.clocks.step);
        }
    }
}

#[test]
fn a_tolerance_and_a_step_exclude_each_other() {
    let (problem, _) = random_problem(2, 5, "'relu'", 3);
    for kind in ["bundle", "implicit"] {
        let text = format!("kind = '{kind}'\nkappa = 0.01\ntolerance = 0.1");
        let refused = algorithm(&text).build().begin(&problem, 0);
        assert!(refused.is_err_and(|e| e.field == "tolerance" && e.message.contains("kappa")));
    }
}

#[test]
fn the_implicit_flow_refuses_kinks_that_it_does_not_know() {
    let begins = |model_text: &str, inputs: usize| {
        let problem =
            problem(model(model_text, inputs, 1), "kind = 'exponential'", random_data(2, 6, inputs));
        algorithm("kind = 'implicit'").build().begin(&problem, 0)
    };
    let refused = begins("kind = 'mlp'\nwidths = [4, 3]", 5);
    assert!(refused.is_err_and(|e| e.field == "kind" && e.message.contains("bundle")));
    for known in
        ["kind = 'mlp'\nwidths = [4]", "kind = 'mlp'\nwidths = [4, 3]\nactivation = 'relu-power'", SMOOTH[0]]
    {
        assert!(begins(known, 5).is_ok(), "{known}");
    }
}

#[test]
fn held_at_a_temperature_the_flow_is_that_of_the_margin() {
    for activation in ["'relu'", "{ kind = 'relu-power', p = 2 }"] {
        let (problem, theta) = random_problem(3, 12, activation, 12);
        let degree = problem.model.degree().order().unwrap();
        // Up to the same ln ρ, once with the temperature held early and once never.
        let at_the_end = |hold: &str, end: f64| {
            let text = format!("kind = 'bundle'\nkappa = 0.01\nhold = {hold}");
            let (mut bundle, mut at) = (begin(&text, &problem), Iterate::new(theta.clone()));
            let (mut path, mut start, mut best) = (0.0, None, 0.0f64);
            while norm(at.theta()).ln() + at.beyond < end {
                let before = unit(at.theta());
                let radius = norm(at.theta());
                bundle.step(&problem, &mut at).unwrap();
                path += distance(&before, &unit(at.theta()));
                if norm(at.theta()).ln() + at.beyond > end - 0.5 {
                    best = best.max(margin(&problem, &mut at));
                }
                if at.beyond > 0.0 {
                    let held = *start.get_or_insert(radius);
                    assert_close(norm(at.theta()), held, 1e-13, "θ stays where it is");
                }
            }
            (at, path, best)
        };
        let end = if degree == 2.0 { 9.0 } else { 7.5 };
        let (mut never, _, best) = at_the_end("inf", end);
        let (mut held, path, best_held) = at_the_end("1e5", end);
        assert_eq!(never.beyond, 0.0);
        assert!(held.beyond > 1.0 && path > 0.0);
        let loss = ln_loss(&problem, &mut held);
        let (a, b) = (ln_loss(&problem, &mut never), held.ln_loss_beyond(loss, Some(degree)));
        // The last steps end at slightly different radii, and at different places beside the ridge that they slide along: the margin
        // of a single step falls short of the ridge's by up to some 2e-3, and ln of the loss by as much.
        let (m, m_held) = (margin(&problem, &mut never), margin(&problem, &mut held));
        let ln_radius = norm(never.theta()).ln() - norm(held.theta()).ln() - held.beyond;
        assert_close(a / m, b * (degree * ln_radius).exp() / m_held, 1e-4, "ln of the loss");
        assert_close(best, best_held, 5e-4, "margin");
        assert!(distance(&unit(never.theta()), &unit(held.theta())) < 5e-3, "{activation}");
        assert_close(never.clocks.ln_time, held.clocks.ln_time, 5e-2, "ln of the time");
    }
}

// Kinks.

/// Two examples whose softmin has a kink that attracts: min(⟨(1,2),θ⟩, ⟨(1,−1),θ⟩).
fn valley(theta: &[f64], i: usize) -> (f64, Vec<f64>) {
    let g = [[1.0, 2.0], [1.0, -1.0]][i];
    (dot(&g, theta), g.to_vec())
}

#[test]
fn the_bundle_slides_along_a_kink_that_attracts() {
    let problem = formula(2, 2, valley);
    let mut bundle = begin("kind = 'bundle'\nkappa = 0.005", &problem);
    let mut at = Iterate::new(vec![2000.0, 1500.0]);
    while norm(at.theta()) < 1e6 {
        bundle.step(&problem, &mut at).unwrap();
    }
    // Every element of the hull has first entry 1.
    assert_close(at.theta()[0] - 2000.0, at.clocks.clock, 1e-9, "speed");
    assert!(at.theta()[1].abs() / at.theta()[0] < 1e-3, "slides along (1, 0), not {:?}", at.theta());
    let field = bundle.field().unwrap();
    assert!(distance(&field.direction, &[1.0, 0.0]) < 1e-6, "{:?}", field.direction);
    assert_eq!(field.active, 2);
    assert_close(margin(&problem, &mut at), 1.0, 1e-2, "margin");
    // Explicit steps of the same relative length chatter about the same line.
    assert!(at.clocks.evaluations < 3000.0);
}

/// max(⟨a,θ⟩, ⟨b,θ⟩), as a ReLU: ⟨a,θ⟩ + σ(⟨b − a,θ⟩).
fn larger(theta: &[f64], a: &[f64], b: &[f64]) -> (f64, Vec<f64>) {
    let (p, q) = (dot(a, theta), dot(b, theta));
    if p >= q { (p, a.to_vec()) } else { (q, b.to_vec()) }
}

/// The flow from (1, −0.05) follows a = (1, 0) up to the kink at (5, −0.05) and leaves it along b.
fn ridge(theta: &[f64], _: usize) -> (f64, Vec<f64>) {
    larger(theta, &[1.0, 0.0], &[1.01, 1.0])
}

/// The same with a third direction along the kink, in which θ̂ moves faster than away from the kink.
fn slanted_ridge(theta: &[f64], _: usize) -> (f64, Vec<f64>) {
    larger(theta, &[1.0, 0.0, 0.1], &[1.01, 1.0, 0.1])
}

#[test]
fn the_bundle_leaves_a_kink_that_repels_with_one_gradient() {
    for (dim, pieces, b) in
        [(2, ridge as fn(&[f64], usize) -> _, vec![1.01, 1.0]), (3, slanted_ridge, vec![1.01, 1.0, 0.1])]
    {
        let problem = formula(dim, 1, pieces);
        let run = |kappa: f64, repel: &str| {
            // So many members that none is dropped for its age.
            let text = format!("kind = 'bundle'\nkappa = {kappa}\nmembers = 1000{repel}");
            let mut bundle = begin(&text, &problem);
            let mut at = Iterate::new([1.0, -0.05, 0.0][..dim].to_vec());
            while norm(at.theta()) < 50.0 {
                bundle.step(&problem, &mut at).unwrap();
            }
            assert_close(margin(&problem, &mut at), norm(&b), 2e-2, "the flow turns to b");
            // It crosses at time 4, and from there the second entry grows at rate 1.
            let lag = at.clocks.clock - 4.0 - 0.05 - at.theta()[1];
            (lag, count(bundle.as_ref(), "members_left_out_as_repelling"))
        };
        let (ours, repelled) = run(0.005, "");
        assert!(repelled > 0, "the members behind the kink are left out");
        // Kept, they hold the direction on a: conv{a, b} has a as its shortest element. The step's own |e_k|/h lets go
        // of them at a distance of order κ.
        let (naive, none) = run(0.005, "\nrepel = inf");
        assert_eq!(none, 0);
        assert!(ours > -1e-9 && ours < 0.8 * naive, "a lag of {ours}, and of {naive} without the test");
        let halved = run(0.0025, "\nrepel = inf").0 / naive;
        assert!((0.4..0.6).contains(&halved), "the lag is of first order in κ: {halved}");
        if dim == 3 {
            // Passed at a slant, the kink is nearer than half the distance to every member behind it.
            let (half, _) = run(0.005, "\nrepel = 0.5");
            assert!(ours < 0.2 * half, "half of the distance is too much to ask: {half}");
        }
    }
}

#[test]
fn the_implicit_flow_slides_along_ties_and_kinks_that_attract() {
    let problem = formula(2, 2, valley);
    let (at, _) = run_to("kind = 'implicit'\nkappa = 0.01", &problem, &[2000.0, 1500.0], -1e6);
    // Every element of the hull has first entry 1, and the two weights end at 1/3 and 2/3.
    assert_close(at.theta()[0] - 2000.0, at.clocks.clock, 1e-9, "speed");
    assert!((3.0 * at.theta()[1] - 2f64.ln()).abs() < 1e-3, "e^(−q) in the ratio 1 : 2, at {:?}", at.theta());
    assert!(at.clocks.step < 1000, "{} steps", at.clocks.step);

    // Half of the kinks of a ReLU network attract: an oracle of another kind, the bundle at short steps.
    for seed in [0, 1, 3] {
        let (problem, theta) = random_problem(seed, 12, "'relu'", 20);
        let target = -200.0;
        let to = |kappa: f64| {
            direction_at(&format!("kind = 'implicit'\nkappa = {kappa}"), &problem, &theta, target)
        };
        let fine = to(5e-4);
        let bundle = direction_at("kind = 'bundle'\nkappa = 0.0005", &problem, &theta, target);
        let (far, near) = (distance(&to(4e-3), &fine), distance(&to(1e-3), &fine));
        assert!(
            distance(&fine, &bundle) < 0.02,
            "seed {seed}: off the bundle by {}",
            distance(&fine, &bundle)
        );
        assert!(near < 0.01 && far < 0.04, "seed {seed}: {far}, {near}");
    }
}

#[test]
fn where_there_are_kinks_no_implicit_step_turns_by_more_than_a_part_of_the_tolerance() {
    let (problem, theta) = random_problem(1, 30, "'relu'", 40);
    let mut implicit = begin("kind = 'implicit'\ntolerance = 0.05", &problem);
    let mut at = Iterate::new(theta);
    let mut turns = Vec::new();
    while ln_loss(&problem, &mut at) > -30.0 {
        let before = at.theta().to_vec();
        implicit.step(&problem, &mut at).unwrap();
        turns.push(angle(&before, at.theta()));
    }
    // The bound is planned from the last step, and the direction may turn faster in the next.
    let far = turns.iter().filter(|turn| **turn > 1.2 * 0.005).count();
    assert!(20 * far <= turns.len(), "{far} of {}", turns.len());
    assert!(turns.iter().any(|turn| *turn > 0.5 * 0.005), "the bound is never near");
}

#[test]
fn the_implicit_flow_leaves_a_kink_that_repels_with_one_gradient() {
    let problem = formula(2, 1, ridge);
    let lag = |kappa: f64| {
        let mut implicit = begin(&format!("kind = 'implicit'\nkappa = {kappa}"), &problem);
        let mut at = Iterate::new(vec![1.0, -0.05]);
        while norm(at.theta()) < 50.0 {
            implicit.step(&problem, &mut at).unwrap();
        }
        (at.clocks.clock - 4.0 - 0.05 - at.theta()[1]).abs()
    };
    // It crosses at time 4, and from there the second entry grows at rate 1; a step that crosses is off by a part of itself.
    let lags = [0.02, 0.01, 0.005].map(lag);
    assert!(lags[0] < 0.1 && lags[1] < 0.05 && lags[2] < 0.025, "{lags:?}");
}

#[test]
fn leaving_out_what_repels_brings_the_bundle_closer_to_the_flow() {
    let (mut with, mut without) = (0.0, 0.0);
    for seed in [2, 3, 5, 8] {
        let (problem, theta) = random_problem(seed, 12, "'relu'", 20);
        let target = -3.0;
        let flow = "kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 1e-3 }";
        let exact = run_to(flow, &problem, &theta, target).0.clocks.clock;
        let off = |repel: &str| {
            let (at, bundle) =
                run_to(&format!("kind = 'bundle'\nkappa = 0.002{repel}"), &problem, &theta, target);
            ((at.clocks.clock - exact).abs() / exact, count(bundle.as_ref(), "members_left_out_as_repelling"))
        };
        let (ours, repelled) = off("");
        assert!(repelled > 0, "half of all ReLU kinks repel: seed {seed} meets some");
        with += ours;
        without += off("\nrepel = inf").0;
    }
    assert!(with < 0.9 * without, "relative errors of the clock add up to {with:e}, naively {without:e}");
}

#[test]
fn the_flow_chatters_at_relu_kinks_and_not_without_them() {
    let (kinked, theta) = random_problem(0, 40, "'relu'", 20);
    let mut flow = begin("kind = 'flow'", &kinked);
    let mut at = Iterate::new(theta);
    let ended = (0..20_000).find_map(|_| flow.step(&kinked, &mut at).err());
    assert!(matches!(ended, Some(Breakdown::Chattering { .. })), "{ended:?} after {} steps", at.clocks.step);
    let advice = ended.map(|b| b.to_string()).unwrap_or_default();
    assert!(advice.contains("bundle"), "{advice}");
    let (smooth, theta) = random_problem(0, 12, "'relu-power'", 20);
    let (at, _) = run_to("kind = 'flow'", &smooth, &theta, -200.0);
    assert!(at.clocks.step > 200, "the test looks back over 200 steps");
}

#[test]
fn a_plateau_is_not_called_chattering() {
    // No quadratic form separates four points whose classes alternate three times within half a turn.
    let text = "kind = 'mlp'\nwidths = [4]\nactivation = 'quadratic'";
    let problem = problem(model(text, 2, 1), "kind = 'exponential'", four_points());
    let theta = problem.model.init(&mut stream(4, "model.init", 0));
    let mut flow = begin("kind = 'flow'", &problem);
    let mut at = Iterate::new(theta);
    let ended = (0..30_000).find_map(|_| flow.step(&problem, &mut at).err());
    assert!(matches!(ended, Some(Breakdown::Stationary { .. })), "{ended:?}");
    let grad = at.eval(&problem, &RowSet::Full).unwrap().grad.clone();
    assert!(norm(&grad) * norm(at.theta()) < 0.3, "stopped where ln of the loss still falls");
    // A start near the saddle at 0: ln 𝓛 stands still for long, and the flow gets away.
    let problem = common::problem(model(SMOOTH[0], 2, 1), "kind = 'exponential'", four_points());
    let small: Vec<f64> =
        problem.model.init(&mut stream(4, "model.init", 0)).iter().map(|t| 1e-4 * t).collect();
    for tableau in ["heun", "dormand-prince"] {
        run_to(&format!("kind = 'flow'\ntableau = '{tableau}'"), &problem, &small, -1.0);
    }
}

#[test]
fn a_descent_that_refuses_every_disagreement_stops_at_a_kink_and_says_so() {
    let (problem, theta) = random_problem(0, 40, "'relu'", 20);
    let run = |floor: &str| {
        let text = format!("kind = 'stepped'\npace = {{ kind = 'unit-decrease', eta = 2e-3{floor} }}");
        let mut descent = begin(&text, &problem);
        let mut at = Iterate::new(theta.clone());
        let ended = (0..20_000).find_map(|_| descent.step(&problem, &mut at).err());
        (ended, ln_loss(&problem, &mut at))
    };
    let (ended, stuck) = run(", floor = 1e-300");
    assert!(matches!(ended, Some(Breakdown::Chattering { .. })), "{ended:?}");
    let (ended, reached) = run("");
    assert_eq!(ended, None, "a floor lets it cross");
    assert!(reached < stuck - 0.1, "and go on: {reached} against {stuck}");
}

// Known limits.

#[test]
fn the_four_points_have_their_linear_margin() {
    let problem = problem(model("kind = 'linear'", 2, 1), "kind = 'exponential'", four_points());
    let text = "kind = 'stepped'\npace = { kind = 'loss-scaled', eta = 0.1 }";
    let (mut at, _) = run_to(text, &problem, &[0.1, -0.2], -1e4);
    let found = margin(&problem, &mut at);
    let best = 4.5f64.sqrt();
    // The direction is within O(1/F²) of a margin's worth here: both support vectors carry equal weight.
    assert!(found <= best * (1.0 + 1e-14) && best - found < 1e-6, "{found} against {best}");
    assert_close(at.theta()[0], at.theta()[1], 1e-3, "w along (1, 1)");
}

#[test]
fn the_four_points_have_their_two_layer_margin_by_the_bundle() {
    let problem = problem(model("kind = 'mlp'\nwidths = [10]", 2, 1), "kind = 'exponential'", four_points());
    let theta = problem.model.init(&mut stream(1, "model.init", 0));
    let best = 0.554471840315681;
    let run = |kappa: f64| {
        let text = format!("kind = 'bundle'\nkappa = {kappa}");
        let (mut at, _) = run_to(&text, &problem, &theta, -1e4);
        assert!(at.clocks.evaluations < 10.0 / kappa, "loss e^-F costs O(log F), not O(F)");
        best - margin(&problem, &mut at)
    };
    let (coarse, fine) = (run(0.005), run(0.001));
    // γ_gl/2 is the most that any two-layer ReLU network reaches; the radius ε = 4κ holds the margin down by O(ε).
    assert!(fine > -1e-12 && fine < 1e-3 && coarse < 4e-3, "below the optimum by {coarse:e}, {fine:e}");
}

// Paces.

#[test]
fn a_constant_rate_ends_when_its_steps_underflow() {
    let problem = problem(model("kind = 'linear'", 2, 1), "kind = 'exponential'", four_points());
    // 𝓛 = 1e-400 is no f64.
    let scale = 400.0 * std::f64::consts::LN_10 / 3.0;
    let mut descent = begin("kind = 'stepped'\npace = { kind = 'constant', eta = 1 }", &problem);
    let mut at = Iterate::new(vec![scale, scale]);
    assert!((ln_loss(&problem, &mut at) + 921.0).abs() < 1.0);
    let ended = descent.step(&problem, &mut at).unwrap_err();
    assert!(matches!(ended, Breakdown::Precision { .. }), "{ended}");
    assert!(ended.to_string().contains("loss-scaled"), "the outcome advises: {ended}");
    assert_eq!(at.clocks.step, 0);
    // With a rate on ln 𝓛 the same start goes on.
    let mut scaled = begin("kind = 'stepped'\npace = { kind = 'loss-scaled', eta = 0.1 }", &problem);
    let before = ln_loss(&problem, &mut at);
    scaled.step(&problem, &mut at).unwrap();
    assert!(ln_loss(&problem, &mut at) < before - 0.1);
}

#[test]
fn the_loss_based_rate_is_the_papers_algorithm() {
    let text = "kind = 'mlp'\nwidths = [6]";
    let problem = problem(model(text, 5, 1), "kind = 'logistic'\nreduction = 'mean'", random_data(3, 22, 5));
    let mut theta = problem.model.init(&mut stream(3, "model.init", 0));
    let mut ours = begin(
        "kind = 'stepped'\npace = { kind = 'lyu-li', alpha = 4 }\nbatch = { kind = 'shuffle', size = 5 }",
        &problem,
    );
    let mut at = Iterate::new(theta.clone());

    // The paper, line by line: η = α/𝓛̄(t−1); an epoch; keep and α·2^{1/5}, or restore, α/2^{1/10}, a new permutation.
    let mut batches = BatchStream::new(Batches::Shuffle { size: 5, seed: None }, 7, 22);
    let (mut alpha, mut kept, mut refused) = (4.0, 0u64, 0u64);
    for epoch in 0..60 {
        let before = problem.eval(&theta, &RowSet::Full).unwrap().ln_loss;
        let mut trial = theta.clone();
        for _ in 0..4 {
            let rows = batches.current();
            batches.advance();
            let eval = problem.eval(&trial, &rows).unwrap();
            axpy(-alpha * (eval.ln_loss - before).exp(), &eval.grad, &mut trial);
        }
        let clocks = at.clocks.clone();
        ours.step(&problem, &mut at).unwrap();
        if problem.eval(&trial, &RowSet::Full).unwrap().ln_loss < before {
            theta = trial;
            alpha *= 2f64.powf(0.2);
            kept += 1;
            assert_eq!(at.clocks.step, clocks.step + 4);
        } else {
            alpha /= 2f64.powf(0.1);
            refused += 1;
            let restored = (at.clocks.step, at.clocks.epoch, at.clocks.clock, at.clocks.ln_time);
            assert_eq!(restored, (clocks.step, clocks.epoch, clocks.clock, clocks.ln_time), "clocks go back");
            assert!(at.clocks.evaluations > clocks.evaluations, "the work was done all the same");
        }
        // The two arrange the same products differently: roundings grow with the curvature of each epoch.
        let gap = distance(at.theta(), &theta);
        assert!(gap <= 1e-9 * norm(&theta), "epoch {epoch}: off by {gap:e}");
        assert_close(ours.save().number("pace.alpha").unwrap(), alpha, 1e-13, "alpha");
        theta.copy_from_slice(at.theta());
    }
    assert!(kept > 5 && refused > 5, "both branches are met: {kept} kept, {refused} refused");
    assert_eq!(at.clocks.epoch, kept);
    assert_eq!(count(ours.as_ref(), "refused_epochs"), refused);
}

#[test]
fn a_rate_that_never_helps_is_given_up() {
    // At a minimum of ln 𝓛 nothing lowers the loss: two equal points of opposite classes, w = 0.
    let data = data(&[1.0, 1.0], &[0, 1], 1, 2);
    let problem = problem(model("kind = 'linear'", 1, 1), "kind = 'logistic'", data);
    let mut ours =
        begin("kind = 'stepped'\npace = 'lyu-li'\nbatch = { kind = 'shuffle', size = 1 }", &problem);
    let mut at = Iterate::new(vec![0.0]);
    let ended = (0..5000).find_map(|_| ours.step(&problem, &mut at).err());
    assert!(matches!(ended, Some(Breakdown::Precision { .. })), "{ended:?}");
    assert_eq!(at.theta(), [0.0], "the last epoch is taken back too");
}

#[test]
fn unit_decrease_halves_what_disagrees_and_recovers() {
    let mut pace = UnitDecrease::new(0.5, 3.0);
    let view = |slope| latephase_core::pace::StepView {
        ln_loss: 0.0,
        ln_loss_full: 0.0,
        slope,
        ln_scale: 0.0,
        step: 0,
    };
    assert_eq!(pace.length(&view(4.0)), 0.125);
    for (actual, ok) in
        [(0.5, true), (1.49, true), (1.51, false), (0.16, false), (-1.0, false), (f64::NAN, false)]
    {
        let mut fresh = UnitDecrease::new(0.5, 3.0);
        assert_eq!(fresh.accept(&Trial { predicted: 0.5, actual }), ok, "{actual}");
        assert_eq!(fresh.length(&view(1.0)), if ok { 0.5 } else { 0.25 });
    }
    (0..3).for_each(|_| assert!(!pace.accept(&Trial { predicted: 0.5, actual: f64::NEG_INFINITY })));
    assert_eq!(pace.length(&view(1.0)), 0.0625);
    // 2^{1/4} up: twelve accepted steps undo three halvings, and no more.
    (0..12).for_each(|_| assert!(pace.accept(&Trial { predicted: 0.5, actual: 0.5 })));
    assert_close(pace.length(&view(1.0)), 0.5, 1e-14, "recovered");
    pace.accept(&Trial { predicted: 0.5, actual: 0.5 });
    assert!(pace.length(&view(1.0)) <= 0.5);

    // At the floor a step is taken whatever it does, unless it diverges.
    let mut low: UnitDecrease = common::parse("eta = 0.5\nfloor = 0.25");
    let disagrees = Trial { predicted: 0.5, actual: -2.0 };
    assert!(!low.accept(&disagrees) && !low.accept(&disagrees) && low.accept(&disagrees));
    assert_eq!(low.length(&view(1.0)), 0.125);
    assert!(!low.accept(&Trial { predicted: 0.5, actual: f64::NEG_INFINITY }));

    // In a run every accepted step has the fall it predicted, within the factor.
    let (problem, theta) = random_problem(1, 12, "'relu-power'", 10);
    let mut descent = begin(
        "kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 40, factor = 2, floor = 1e-9 }",
        &problem,
    );
    let mut at = Iterate::new(theta);
    for _ in 0..50 {
        let before = at.eval(&problem, &RowSet::Full).unwrap();
        let clock = at.clocks.clock;
        descent.step(&problem, &mut at).unwrap();
        let predicted = (at.clocks.clock - clock) * dot(&before.grad, &before.grad);
        let actual = before.ln_loss - ln_loss(&problem, &mut at);
        assert!((0.5 - 1e-9..=2.0 + 1e-9).contains(&(actual / predicted)), "{actual} against {predicted}");
    }
    assert!(count(descent.as_ref(), "refused_trials") > 0);
}

// Checkpoints.

#[test]
fn a_run_resumed_from_a_checkpoint_has_the_bits_of_one_that_was_not() {
    let mut all: Vec<String> = Vec::new();
    for pace in [
        "{ kind = 'constant', eta = 1e-4 }",
        "{ kind = 'loss-scaled', eta = 0.01 }",
        "'unit-decrease'",
        "'lyu-li'",
    ] {
        for batch in ["'full'", "'shuffle', size = 5", "'fresh', size = 7", "'shuffle', size = 3, seed = 11"]
        {
            for norm in ["l2", "l1", "linf"] {
                all.push(format!(
                    "kind = 'stepped'\npace = {pace}\nbatch = {{ kind = {batch} }}\ndescent = {{ kind = 'steepest', norm = '{norm}' }}"
                ));
            }
        }
    }
    all.push("kind = 'bundle'\nkappa = 0.01".into());
    all.push("kind = 'bundle'\ntolerance = 0.2".into());
    all.push("kind = 'bundle'\nkappa = 0.02\nhold = 5".into());
    all.push("kind = 'bundle'\nkappa = 0.02\nmembers = 5\nepsilon = 0.5".into());
    for norm in ["'l1'", "'linf'", "{ kind = 'lp', p = 3 }", "'frobenius-max'"] {
        all.push(format!("kind = 'bundle'\nkappa = 0.02\nhold = 5\nnorm = {norm}"));
    }
    all.push("kind = 'implicit'\nkappa = 0.01".into());
    all.push("kind = 'implicit'\ntolerance = 0.1".into());
    all.push("kind = 'implicit'\nkappa = 0.02\nhold = 5\norder = 1".into());
    all.push("kind = 'flow'\nrtol = 1e-4\nfloor = 0".into());
    all.push("kind = 'flow'\nrtol = 1e-3\nfloor = 0\ntableau = 'heun'\nnorm = 'linf'".into());
    let (problem, theta) = random_problem(2, 23, "'relu'", 7);
    // A moderate start, so that constant rates are stable.
    let theta: Vec<f64> = theta.iter().map(|t| 0.3 * t).collect();
    for text in all {
        for steps in [0, 1, 17, 60] {
            let mut whole = begin(&text, &problem);
            let mut at = Iterate::new(theta.clone());
            // Some end early, at a kink: then both have to end alike.
            (0..steps).all(|_| whole.step(&problem, &mut at).is_ok());
            // A look at the full set, as a run takes before it writes a checkpoint.
            at.eval(&problem, &RowSet::Full).unwrap();
            let (parts, place): (State, State) = (whole.save(), at.save());
            let mut resumed = begin(&text, &problem);
            resumed.load(&parts).unwrap_or_else(|e| panic!("{text}: {e}"));
            let mut other = Iterate::load(&problem, &place).unwrap();
            assert_eq!(resumed.save(), parts, "{text}: what is loaded is what was saved");
            assert_eq!(resumed.field(), whole.field(), "{text}: the field of the iterate survives");
            for step in 0..40 {
                let ends = (whole.step(&problem, &mut at).err(), resumed.step(&problem, &mut other).err());
                assert_eq!(ends.0, ends.1, "{text}");
                assert_eq!(at.theta(), other.theta(), "{text}: step {step} after {steps}");
                assert_eq!(at.clocks, other.clocks, "{text}: step {step} after {steps}");
            }
            assert_eq!(whole.save(), resumed.save(), "{text}");
            assert_eq!(whole.counts(), resumed.counts(), "{text}");
            assert_eq!(at.save(), other.save(), "{text}");
        }
    }
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let (problem, theta) = random_problem(2, 23, "'relu'", 7);
    let (other, _) = random_problem(2, 23, "'relu'", 8);
    for text in
        ["kind = 'bundle'", "kind = 'implicit'", "kind = 'flow'", "kind = 'stepped'\npace = 'unit-decrease'"]
    {
        assert!(begin(text, &problem).load(&State::default()).is_err(), "{text}: an empty checkpoint");
        let mut algorithm = begin(text, &problem);
        let mut at = Iterate::new(theta.clone());
        (0..5).for_each(|_| algorithm.step(&problem, &mut at).unwrap());
        assert!(Iterate::load(&other, &at.save()).is_err(), "θ of another model");
        if text.contains("bundle") || text.contains("implicit") {
            assert!(begin(text, &other).load(&algorithm.save()).is_err(), "{text}: members of another model");
        }
    }
}

// Symmetries.

/// Neuron 0 of a two-layer net split in two copies, each scaled by 1/√2: the same function, norm and flow.
fn split(theta: &[f64], dim: usize, width: usize) -> Vec<f64> {
    let s = 0.5f64.sqrt();
    let (v, a) = theta.split_at(dim * width);
    let half: Vec<f64> = v[..dim].iter().map(|v| s * v).collect();
    let weights = half.iter().chain(&half).chain(&v[dim..]);
    weights.chain([s * a[0], s * a[0]].iter()).chain(&a[1..]).copied().collect()
}

#[test]
fn splitting_a_neuron_maps_trajectories_to_trajectories() {
    for activation in ["'relu'", "'leaky-relu'", "'identity'"] {
        let text = |w: usize| format!("kind = 'mlp'\nwidths = [{w}]\nactivation = {activation}");
        // Five points in five dimensions: also the linear nets separate them.
        let data = random_data(6, 5, 5);
        let narrow = problem(model(&text(10), 5, 1), "kind = 'logistic'", data.clone());
        let wide = problem(model(&text(11), 5, 1), "kind = 'logistic'", data);
        let theta = narrow.model.init(&mut stream(6, "model.init", 0));
        for (algorithm, steps) in [
            ("kind = 'stepped'\npace = { kind = 'constant', eta = 0.05 }", 200),
            ("kind = 'stepped'\npace = { kind = 'loss-scaled', eta = 0.002 }", 200),
            ("kind = 'stepped'\npace = { kind = 'unit-decrease', factor = inf }", 200),
            ("kind = 'bundle'\nkappa = 0.005", 60),
            ("kind = 'flow'\nrtol = 1e-5\nfloor = 0", 40),
        ] {
            let (mut a, mut b) = (begin(algorithm, &narrow), begin(algorithm, &wide));
            let (mut at, mut by) = (Iterate::new(theta.clone()), Iterate::new(split(&theta, 5, 10)));
            for step in 0..steps {
                a.step(&narrow, &mut at).unwrap();
                b.step(&wide, &mut by).unwrap();
                // Roundings of 1e-16 grow a thousandfold on the way, and more at a kink that is crossed.
                let gap = distance(&split(at.theta(), 5, 10), by.theta());
                assert!(gap <= 1e-8 * norm(by.theta()), "{activation} {algorithm}: {gap:e} at step {step}");
            }
            assert_close(at.clocks.clock, by.clocks.clock, 1e-8, algorithm);
        }
    }
}

#[test]
fn a_permutation_of_the_examples_does_not_change_the_path() {
    let (problem_a, theta) = random_problem(4, 12, "'relu-power'", 8);
    let order: Vec<usize> = (0..12).map(|i| (5 * i + 2) % 12).collect();
    let model = model("kind = 'mlp'\nwidths = [8]\nactivation = 'relu-power'", 5, 1);
    let problem_b = problem(model, "kind = 'exponential'", Arc::new(random_data(4, 12, 5).select(&order)));
    for text in
        ["kind = 'bundle'", "kind = 'implicit'", "kind = 'flow'", "kind = 'stepped'\npace = 'unit-decrease'"]
    {
        let (a, _) = run_to(text, &problem_a, &theta, -10.0);
        let (b, _) = run_to(text, &problem_b, &theta, -10.0);
        assert!(distance(a.theta(), b.theta()) <= 1e-8 * norm(a.theta()), "{text}");
    }
}

// Batches.

fn indices(rows: RowSet) -> (u64, Vec<usize>) {
    match rows {
        RowSet::Batch(id, indices) => (id, indices.to_vec()),
        RowSet::Full => panic!("a mini-batch is not the full set"),
    }
}

#[test]
fn fresh_batches_are_uniform_subsets_without_repeats() {
    let (n, size, draws) = (10, 3, 6000);
    let mut batches = BatchStream::new(Batches::Fresh { size, seed: None }, 5, n);
    let (mut single, mut pairs) = (vec![0.0; n], vec![0.0; n * n]);
    let mut last = None;
    for _ in 0..draws {
        let (id, batch) = indices(batches.current());
        assert_eq!((id, batch.clone()), indices(batches.current()), "looking does not draw");
        assert!(Some(id) != last, "each step has a batch of its own");
        last = Some(id);
        assert!(batch.len() == size && batch.windows(2).all(|w| w[0] < w[1]) && batch[size - 1] < n);
        for &i in &batch {
            single[i] += 1.0;
            batch.iter().filter(|&&j| j > i).for_each(|&j| pairs[i * n + j] += 1.0);
        }
        batches.advance();
    }
    // Binomial counts: five standard deviations.
    let within =
        |count: f64, p: f64| (count - draws as f64 * p).abs() < 5.0 * (draws as f64 * p * (1.0 - p)).sqrt();
    assert!(single.iter().all(|c| within(*c, 0.3)), "{single:?}");
    for i in 0..n {
        assert!((i + 1..n).all(|j| within(pairs[i * n + j], 6.0 / 90.0)), "{pairs:?}");
    }
    assert_eq!(batches.per_epoch(), 4, "an epoch is as many batches as the set fills");
}

#[test]
fn a_shuffle_visits_every_example_once_an_epoch_and_drops_the_rest() {
    for (n, size) in [(12, 4), (13, 4), (5, 5), (7, 1)] {
        let mut batches = BatchStream::new(Batches::Shuffle { size, seed: None }, 5, n);
        let mut orders = Vec::new();
        for _ in 0..20 {
            assert!(batches.at_epoch_start());
            let mut seen = Vec::new();
            loop {
                seen.extend(indices(batches.current()).1);
                if batches.advance() {
                    break;
                }
            }
            orders.push(seen.clone());
            seen.sort_unstable();
            assert!(seen.windows(2).all(|w| w[0] < w[1]), "no example twice");
            assert_eq!(seen.len(), n / size * size);
        }
        orders.dedup();
        assert!(orders.len() > 15, "epochs have permutations of their own");
    }
}

#[test]
fn an_epoch_begun_anew_has_a_new_permutation() {
    let mut batches = BatchStream::new(Batches::Shuffle { size: 4, seed: None }, 5, 12);
    let first = indices(batches.current());
    batches.advance();
    batches.restart_epoch();
    let second = indices(batches.current());
    assert!(first != second && first.0 != second.0);
    assert!(batches.at_epoch_start());
    batches.restart_epoch();
    assert_eq!(indices(batches.current()), second, "an epoch that has not begun need not begin anew");
    // Seeds name streams: another seed, other batches.
    let mut other = BatchStream::new(Batches::Shuffle { size: 4, seed: None }, 6, 12);
    assert!(indices(other.current()).1 != first.1);
}

#[test]
fn a_clone_of_running_steps_is_their_settings() {
    use latephase_core::algorithm::Stepped;
    let problem = problem(model(SMOOTH[0], 2, 1), "kind = 'exponential'", four_points());
    let mut stepped =
        Stepped::new(Default::default(), UnitDecrease::new(0.1, 3.0).into(), Default::default());
    stepped.begin(&problem, 0).unwrap();
    let mut at = Iterate::new(problem.model.init(&mut stream(4, "model.init", 0)));
    stepped.step(&problem, &mut at).unwrap();
    let mut clone = stepped.clone();
    clone.begin(&problem, 0).unwrap();
    clone.step(&problem, &mut at).unwrap();
    assert_eq!(at.clocks.step, 2);
}
