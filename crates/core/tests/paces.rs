//! Paces: closed forms of their lengths, what they accept, what they detect, what a checkpoint keeps.

mod common;

use common::{algorithm, assert_close, data, four_points, model, normals, parse, problem};
use latephase_core::algorithm::Algorithm;
use latephase_core::norm::AnyNorm;
use latephase_core::numeric::dot;
use latephase_core::pace::{AnyPace, Pace, StepView, Trial};
use latephase_core::{Breakdown, Data, Iterate, Problem, RowSet, State};
use std::sync::Arc;

fn begin(text: &str, problem: &Problem) -> Box<dyn Algorithm> {
    let mut algorithm = algorithm(text).build();
    algorithm.begin(problem, 7).unwrap_or_else(|e| panic!("{text}: {e}"));
    algorithm
}

/// Gaussian points labelled by the sign of their first coordinate, which is kept away from 0.
fn separable(seed: u64, n: usize, dim: usize) -> Arc<Data> {
    let mut x = normals(seed, "paces", n * dim);
    let labels: Vec<u32> = (0..n).map(|i| u32::from(x[i * dim] < 0.0)).collect();
    for i in 0..n {
        x[i * dim] += 0.3 * x[i * dim].signum();
    }
    data(&x, &labels, dim, 2)
}

fn linear(data: Arc<Data>, loss: &str) -> Problem {
    let dim = data.dim();
    problem(model("kind = 'linear'", dim, 1), loss, data)
}

fn relu(seed: u64) -> (Problem, Vec<f64>) {
    let data = separable(seed, 20, 4);
    let net = model("kind = 'mlp'\nwidths = [6]", 4, 1);
    let theta = normals(seed, "theta", net.layout().dim()).iter().map(|t| 0.5 * t).collect();
    (problem(net, "kind = 'logistic'", data), theta)
}

// Lengths.

#[test]
fn normalized_steps_have_the_stated_length_in_the_descents_norm() {
    let (problem, theta) = relu(3);
    for norm in ["l2", "l1", "linf"] {
        for (c, a) in [(0.3, 0.5), (0.01, 0.0), (1.5, 1.0)] {
            let text = format!(
                "kind = 'stepped'\ndescent = {{ kind = 'steepest', norm = '{norm}' }}\n\
                 pace = {{ kind = 'normalized', c = {c}, a = {a} }}"
            );
            let mut steps = begin(&text, &problem);
            let by = AnyNorm::example(norm).build();
            let mut at = Iterate::new(theta.clone());
            for t in 1..=30 {
                let before = at.theta().to_vec();
                steps.step(&problem, &mut at).unwrap();
                let moved: Vec<f64> = at.theta().iter().zip(&before).map(|(a, b)| a - b).collect();
                // Differences of numbers of size 1 and roundings of θ.
                let length = by.of(&moved, problem.model.layout());
                assert!((length - c / f64::from(t).powf(a)).abs() < 1e-13, "{text} at {t}: {length}");
            }
        }
    }
}

#[test]
fn the_default_decay_is_the_inverse_root_of_the_step() {
    let mut pace = parse::<AnyPace>("kind = 'normalized'\nc = 2.0").build();
    let lengths = [0, 3, 8].map(|step| pace.length(&view(0.0, step)));
    assert_eq!(lengths, [2.0, 1.0, 2.0 / 3.0]);
}

/// A place with slope 2 whose true gradient is 𝓛 times that of ln 𝓛.
fn view(ln_loss: f64, step: u64) -> StepView {
    StepView { ln_loss, ln_loss_full: ln_loss, slope: 2.0, ln_scale: ln_loss + 2f64.ln(), step }
}

#[test]
fn decaying_rates_follow_their_closed_forms() {
    // η·(offset/(offset + k))^a on 𝓛: the length is the rate times 𝓛·slope.
    let mut on_loss =
        parse::<AnyPace>("kind = 'polynomial-decay'\neta = 0.7\na = 0.6\noffset = 10.0").build();
    let mut on_ln_loss = parse::<AnyPace>("kind = 'loss-scaled'\neta = 0.7\na = 0.5").build();
    let mut steady = parse::<AnyPace>("kind = 'loss-scaled'\neta = 0.7").build();
    for k in [0u64, 1, 9, 1000, 1_000_000] {
        for ln_loss in [1.0, -3.0, -300.0] {
            let view = view(ln_loss, k);
            let rate = 0.7 * (10.0 / (10.0 + k as f64)).powf(0.6);
            // An exponent of 300 carries 300 roundings.
            assert_close(on_loss.length(&view), rate * ln_loss.exp() * 2.0, 1e-12, "polynomial-decay");
            let rate = 0.7 / (k as f64 + 1.0).sqrt();
            assert_close(on_ln_loss.length(&view), rate * 2.0, 1e-12, "loss-scaled with a power");
            assert_close(steady.length(&view), 1.4, 1e-12, "loss-scaled");
        }
    }
}

#[test]
fn a_later_phase_goes_on_counting_the_steps_of_the_run() {
    let problem = linear(four_points(), "kind = 'logistic'");
    let mut first = begin("kind = 'stepped'\npace = { kind = 'loss-scaled', eta = 0.01 }", &problem);
    let mut second = begin("kind = 'stepped'\npace = { kind = 'normalized', c = 1.0, a = 1.0 }", &problem);
    let mut at = Iterate::new(vec![0.1, 0.0]);
    (0..9).for_each(|_| first.step(&problem, &mut at).unwrap());
    let before = at.theta().to_vec();
    second.step(&problem, &mut at).unwrap();
    let moved: Vec<f64> = at.theta().iter().zip(&before).map(|(a, b)| a - b).collect();
    assert_close(dot(&moved, &moved).sqrt(), 0.1, 1e-13, "the tenth step of the run");
}

#[test]
fn aggressive_steps_bring_a_linear_model_closer_to_its_margin_than_a_constant_rate() {
    // 4 points: the largest margin is 3/√2 (targets.md, four.linear.l2).
    let problem = linear(four_points(), "kind = 'exponential'");
    let gap = |pace: &str| {
        let mut steps = begin(&format!("kind = 'stepped'\npace = {pace}"), &problem);
        let mut at = Iterate::new(vec![0.3, 0.0]);
        (0..20_000).for_each(|_| steps.step(&problem, &mut at).unwrap());
        let full = at.eval(&problem, &RowSet::Full).unwrap();
        let q = problem.constraints(&full).iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
        4.5f64.sqrt() - q / dot(at.theta(), at.theta()).sqrt()
    };
    let constant = gap("{ kind = 'constant', eta = 0.1 }");
    let aggressive = gap("{ kind = 'loss-scaled', eta = 0.1, a = 0.5 }");
    // ln k/√k against 1/ln k: 0.07 against 0.1 here, up to constants; the directions of theory are what is tested.
    assert!(aggressive > 0.0 && aggressive < 0.2 * constant, "{aggressive} against {constant}");
}

#[test]
fn rates_that_make_no_sense_are_refused_with_their_name() {
    for (text, field) in [
        ("kind = 'normalized'\nc = 0", "c"),
        ("kind = 'normalized'\nc = 1\na = 1.5", "a"),
        ("kind = 'normalized'\nc = 1\na = -0.1", "a"),
        ("kind = 'polynomial-decay'\neta = -1\na = 0.5", "eta"),
        ("kind = 'polynomial-decay'\neta = 1\na = -1", "a"),
        ("kind = 'polynomial-decay'\neta = 1\na = inf", "a"),
        ("kind = 'polynomial-decay'\neta = 1\na = 1\noffset = 0", "offset"),
        ("kind = 'loss-scaled'\neta = 1\na = 2", "a"),
        ("kind = 'armijo'\neta = 1\nsufficient = 0", "sufficient"),
        ("kind = 'armijo'\neta = 1\nsufficient = 1", "sufficient"),
        ("kind = 'armijo'\neta = 1\nshrink = 1", "shrink"),
        ("kind = 'armijo'\neta = 1\ngrow = 0.9", "grow"),
        ("kind = 'edge'\neta = 1\nc = 0", "c"),
        ("kind = 'edge'\neta = nan", "eta"),
    ] {
        let error = parse::<AnyPace>(text).build().check().expect_err(text);
        assert_eq!(error.field, field, "{text}: {error}");
        assert!(error.message.contains("use"), "{error}");
    }
}

// Backtracking.

#[test]
fn backtracking_never_accepts_a_rise_and_always_comes_to_an_end() {
    for seed in 0..6 {
        let (problem, theta) = relu(seed);
        for eta in [1e-6, 1.0, 1e6] {
            for norm in ["l2", "linf", "l1"] {
                let text = format!(
                    "kind = 'stepped'\npace = {{ kind = 'armijo', eta = {eta:?} }}\n\
                     descent = {{ kind = 'steepest', norm = '{norm}' }}"
                );
                let mut steps = begin(&text, &problem);
                let mut at = Iterate::new(theta.clone());
                let mut last = at.eval(&problem, &RowSet::Full).unwrap().ln_loss;
                for _ in 0..60 {
                    match steps.step(&problem, &mut at) {
                        Ok(()) => {}
                        // A kink where no short step helps, or a rate that doubled beyond f64: an end with a name.
                        Err(
                            Breakdown::Chattering { .. }
                            | Breakdown::Diverged { .. }
                            | Breakdown::Precision { .. },
                        ) => break,
                        Err(other) => panic!("{text}: {other}"),
                    }
                    let now = at.eval(&problem, &RowSet::Full).unwrap().ln_loss;
                    assert!(now < last, "{text}: {now} after {last}");
                    last = now;
                }
                // A shrunk trial costs one evaluation: from 1e6 to 1e-16 there are about 70 halvings.
                assert!(at.clocks.evaluations < 600.0, "{text}: {}", at.clocks.evaluations);
            }
        }
    }
}

#[test]
fn a_trial_passes_exactly_when_it_falls_by_the_sufficient_part_of_the_prediction() {
    let mut pace =
        parse::<AnyPace>("kind = 'armijo'\neta = 1.0\nsufficient = 0.25\nshrink = 0.1\ngrow = 3.0").build();
    let at = view(-5.0, 0);
    assert_close(pace.length(&at), 2.0, 1e-14, "the first trial is eta on ln of the loss");
    assert!(!pace.accept(&Trial { predicted: 4.0, actual: 0.99 }));
    assert_close(pace.length(&at), 0.2, 1e-14, "a refusal shrinks");
    assert!(!pace.accept(&Trial { predicted: 0.4, actual: f64::NAN }));
    assert!(!pace.accept(&Trial { predicted: 0.04, actual: f64::NEG_INFINITY }));
    assert!(pace.accept(&Trial { predicted: 0.004, actual: 0.001 }));
    assert_close(pace.length(&at), 0.006, 1e-13, "the next step tries the accepted rate, grown");
    assert!(!pace.accept(&Trial { predicted: 0.0, actual: 0.0 }), "no fall is not a fall");
}

// The edge.

fn detector(eta: f64, c: f64) -> Box<dyn Pace> {
    parse::<AnyPace>(&format!("kind = 'edge'\neta = {eta:?}\nc = {c:?}")).build()
}

#[test]
fn the_stable_phase_begins_at_the_first_small_loss_after_which_it_never_rises() {
    // c/η = 0.5.
    let losses = [2.0, 0.4, 0.3, 0.6, 0.7, 0.45, 0.44, 0.48, 0.2, 0.1, 0.1, 0.05];
    let expected: [Option<u64>; 12] = [
        None,
        Some(1),
        Some(1),
        None, // rises, above the threshold
        None,
        Some(5),
        Some(5),
        Some(7), // rises, but from here on it falls and is small
        Some(7),
        Some(7),
        Some(7), // equal is no rise
        Some(7),
    ];
    let mut pace = detector(4.0, 2.0);
    for (step, (loss, expected)) in losses.iter().zip(expected).enumerate() {
        pace.length(&view(f64::ln(*loss), step as u64));
        let found = pace.counts().first().map(|(name, step)| {
            assert_eq!(*name, "stable_phase_from_step");
            *step
        });
        assert_eq!(found, expected, "step {step}");
        // A checkpoint in the middle changes nothing.
        let saved: State = pace.save();
        pace = detector(4.0, 2.0);
        pace.load(&saved).unwrap();
        assert_eq!(pace.save(), saved);
    }
    pace.length(&view(f64::NAN, 12));
    assert_eq!(pace.counts(), [], "a loss that is not a number is not a fall");
}

#[test]
fn a_large_constant_rate_on_logistic_data_is_unstable_first_and_stable_after() {
    // Wu et al. 2024, in words: with any rate the loss first may oscillate; once it is of the order 1/η it falls for good.
    // Two points of one class that disagree in the second coordinate, and their mirror images.
    let x = [0.2, 0.9, 0.2, -0.5, -0.2, -0.9, -0.2, 0.5];
    let problem = linear(data(&x, &[0, 0, 1, 1], 2, 2), "kind = 'logistic'\nreduction = 'mean'");
    for eta in [50.0, 100.0, 500.0] {
        let mut steps =
            begin(&format!("kind = 'stepped'\npace = {{ kind = 'edge', eta = {eta:?} }}"), &problem);
        let mut at = Iterate::new(vec![0.0, 3.0]);
        let mut losses = Vec::new();
        for _ in 0..3000 {
            losses.push(at.eval(&problem, &RowSet::Full).unwrap().ln_loss);
            steps.step(&problem, &mut at).unwrap();
        }
        let rises: Vec<usize> = (1..losses.len()).filter(|&k| losses[k] > losses[k - 1]).collect();
        let found = steps.counts().iter().find(|(name, _)| *name == "stable_phase_from_step").map(|c| c.1);
        let from = found.expect("the stable phase is reached") as usize;
        let last = *rises.last().expect("a large step is not monotone from the start");
        assert!(last <= from, "eta {eta}: a rise at {last} after {from}");
        assert!(losses[from] <= -f64::ln(eta), "eta {eta}: {} at {from}", losses[from]);
        // The first of its kind: the step before either rose into it or was above the threshold.
        assert!(from == last || losses[from - 1] > -f64::ln(eta), "eta {eta}: {from}, {last}");
    }
}

// Mini-batches.

#[test]
fn a_batch_of_easy_examples_leaves_theta_as_it_is_and_ends_nothing() {
    // The margin of (1000, 0) is a thousand times that of (1, 0): its steps underflow from the start.
    let problem = linear(data(&[1000.0, 0.0, -1.0, 0.0], &[0, 1], 2, 2), "kind = 'logistic'");
    let text =
        "kind = 'stepped'\npace = { kind = 'constant', eta = 0.5 }\nbatch = { kind = 'fresh', size = 1 }";
    let (mut steps, mut at) = (begin(text, &problem), Iterate::new(vec![1.0, 0.0]));
    let mut idle = 0;
    for _ in 0..2000 {
        let before = at.theta().to_vec();
        steps.step(&problem, &mut at).unwrap();
        idle += u32::from(at.theta() == before);
    }
    assert_eq!(at.clocks.step, 2000);
    assert!((850..1150).contains(&idle), "{idle} of 2000 draws are of the easy example");
    // θ(t) ≈ ln(1 + e + ηt) under the hard example alone.
    let expected = (1f64.exp() + 0.5 * f64::from(2000 - idle)).ln();
    assert!((at.theta()[0] - expected).abs() < 0.1, "{} {expected}", at.theta()[0]);
    // Where no example moves θ any more, the run ends: after 32 epochs of 2 batches.
    let (mut steps, mut at) = (begin(text, &problem), Iterate::new(vec![800.0, 0.0]));
    for _ in 0..64 {
        steps.step(&problem, &mut at).unwrap();
    }
    assert!(matches!(steps.step(&problem, &mut at), Err(Breakdown::Precision { .. })));
    // The full batch says so at once.
    let (mut steps, mut at) = (begin(&text.replace("{ kind = 'fresh', size = 1 }", "'full'"), &problem), at);
    assert!(matches!(steps.step(&problem, &mut at), Err(Breakdown::Precision { .. })));
}

// Checkpoints.

#[test]
fn a_resumed_run_takes_the_same_steps_to_the_last_bit() {
    let (problem, theta) = relu(2);
    for pace in [
        "{ kind = 'normalized', c = 0.05 }",
        "{ kind = 'polynomial-decay', eta = 0.01, a = 0.7, offset = 5.0 }",
        "{ kind = 'loss-scaled', eta = 0.01, a = 0.5 }",
        "{ kind = 'armijo', eta = 1.0 }",
        "{ kind = 'edge', eta = 0.02 }",
    ] {
        for batch in ["'full'", "{ kind = 'fresh', size = 5 }"] {
            let text = format!("kind = 'stepped'\npace = {pace}\nbatch = {batch}");
            for steps in [0, 1, 23] {
                let mut whole = begin(&text, &problem);
                let mut at = Iterate::new(theta.clone());
                let ended = (0..steps).any(|_| whole.step(&problem, &mut at).is_err());
                at.eval(&problem, &RowSet::Full).unwrap();
                let (parts, place) = (whole.save(), at.save());
                let mut resumed = begin(&text, &problem);
                resumed.load(&parts).unwrap();
                assert_eq!(resumed.save(), parts, "{text}");
                let mut other = Iterate::load(&problem, &place).unwrap();
                for _ in 0..(if ended { 0 } else { 30 }) {
                    let ends =
                        (whole.step(&problem, &mut at).err(), resumed.step(&problem, &mut other).err());
                    assert_eq!(ends.0, ends.1, "{text}");
                    assert_eq!(at.theta(), other.theta(), "{text}");
                }
                assert_eq!((whole.save(), whole.counts()), (resumed.save(), resumed.counts()), "{text}");
            }
        }
    }
}

#[test]
fn an_epoch_that_kills_the_network_is_taken_back() {
    // α = 1e4 moves every hidden neuron so far that none is active any more: the gradient is exactly 0 from then on.
    let (problem, theta) = relu(3);
    let text =
        "kind = 'stepped'\npace = { kind = 'lyu-li', alpha = 1e4 }\nbatch = { kind = 'shuffle', size = 5 }";
    let mut epochs = begin(text, &problem);
    let mut at = Iterate::new(theta.clone());
    let start = at.eval(&problem, &RowSet::Full).unwrap().ln_loss;
    epochs.step(&problem, &mut at).unwrap();
    assert_eq!((at.theta(), at.clocks.epoch), (&theta[..], 0), "the first epoch is refused");
    (0..400).for_each(|_| epochs.step(&problem, &mut at).unwrap());
    assert!(at.clocks.epoch > 0);
    assert!(at.eval(&problem, &RowSet::Full).unwrap().ln_loss < start);
}
