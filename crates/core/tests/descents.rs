//! The optimisers at every loss: closed forms, an extended-precision reference, shifts of the loss, and each other.

mod common;

use common::{assert_close, data, model, normals, parse, problem};
use dashu_float::FBig;
use dashu_float::ops::SquareRoot;
use dashu_float::round::mode::HalfEven;
use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::descent::{AnyDescent, AnyOrthogonalize, Descent, Direction, Place};
use latephase_core::matrix::Svd;
use latephase_core::numeric::{distance, dot, norm};
use latephase_core::{Array, Breakdown, Frame, Iterate, Layout};

fn blocks() -> Layout {
    let mut layout = Layout::default();
    layout.push("0.weight", &[4, 3], 1.0);
    layout.push("0.bias", &[4], 1.0);
    layout.push("2.weight", &[2, 4], 1.0);
    layout
}

fn begun(text: &str, layout: &Layout) -> Box<dyn Descent> {
    let mut descent = parse::<AnyDescent>(text).build();
    descent.begin(layout).unwrap_or_else(|e| panic!("{text}: {e}"));
    descent
}

fn direction(descent: &mut dyn Descent, place: &Place) -> (Vec<f64>, Direction) {
    let mut d = vec![f64::NAN; place.grad.len()];
    let direction = descent.direction(place, &mut d).unwrap_or_else(|e| panic!("{descent:?}: {e}"));
    (d, direction)
}

/// Every entry with its smallest settings, and the settings that take another path.
fn variants() -> Vec<String> {
    let mut all: Vec<String> =
        AnyDescent::LIST.iter().map(|l| format!("kind = '{}'\n{}", l.name, l.example)).collect();
    for text in [
        "kind = 'momentum'\nnesterov = true\nnorm = 'linf'",
        "kind = 'momentum'\ndampening = 0.5\nnorm = 'l1'",
        "kind = 'normalized'\nmomentum = 0.9",
        "kind = 'normalized'\nmomentum = 0.5\nnesterov = true\nnorm = 'l1'",
        "kind = 'adam'\nepsilon = 0",
        "kind = 'adam'\nbias_correction = false\nweight_decay = 0.1",
        "kind = 'rmsprop'\ncentered = true\nmomentum = 0.9",
        "kind = 'rmsprop'\nepsilon = 0",
        "kind = 'adagrad'\nepsilon = 0\nlr_decay = 0.1",
        "kind = 'adagrad'\ninitial = 0.1",
        "kind = 'lion'\nweight_decay = 0.1",
        "kind = 'shampoo'\nepsilon = 0",
        "kind = 'shampoo'\nexponent = 0.5\nsequential = true\nevery = 3\nmomentum = 0.9\nvectors = 'diagonal'",
        "kind = 'shampoo'\naccumulate = false",
        "kind = 'shampoo'\naccumulate = false\nepsilon = 0\nvectors = 'diagonal'",
        "kind = 'shampoo'\naccumulate = false\nexponent = 0.5\nsequential = true\nepsilon = 1e-3",
        "kind = 'muon'\nbeta = 0",
        "kind = 'muon'\northogonalize = 'newton-schulz'\nscale = 'original'\nweight_decay = 0.1",
        "kind = 'muon'\nnesterov = false\northogonalize = { kind = 'newton-schulz', epsilon = 1e-7 }",
    ] {
        all.push(text.into());
    }
    all
}

/// What follows ∇ ln 𝓛 alone: no memory, no number with a unit.
const MEMORYLESS: [&str; 9] = [
    "kind = 'steepest'",
    "kind = 'normalized'",
    "kind = 'sign'",
    "kind = 'coordinate'",
    "kind = 'signum'\nbeta = 0",
    "kind = 'adam'\nbeta1 = 0\nbeta2 = 0\nepsilon = 0",
    "kind = 'shampoo'\naccumulate = false\nepsilon = 0",
    "kind = 'muon'\nbeta = 0",
    "kind = 'muon'\nbeta = 0\northogonalize = 'newton-schulz'",
];

/// What adds true gradients up and is scale-free all the same.
const SCALE_FREE: [&str; 13] = [
    "kind = 'normalized'\nmomentum = 0.9",
    "kind = 'normalized'\nmomentum = 0.9\nnesterov = true\nnorm = 'l1'",
    "kind = 'momentum'",
    "kind = 'signum'",
    "kind = 'adam'\nepsilon = 0",
    "kind = 'rmsprop'\nepsilon = 0",
    "kind = 'rmsprop'\nepsilon = 0\ncentered = true\nmomentum = 0.5",
    "kind = 'adagrad'\nepsilon = 0",
    "kind = 'lion'",
    "kind = 'shampoo'\nepsilon = 0",
    "kind = 'shampoo'\nepsilon = 0\nexponent = 0.5\nsequential = true",
    "kind = 'muon'",
    "kind = 'muon'\northogonalize = 'newton-schulz'",
];

/// (gradient, ln 𝓛) of the steps of a synthetic run; among them falls and rises by e^2000.
fn steps(dim: usize) -> Vec<(Vec<f64>, f64)> {
    let ln_loss =
        [1.0, -0.5, -3.25, -3.5, -40.0, -2040.0, -2041.0, -2039.5, -9000.0, -9001.0, -7001.0, -99000.0, -1e5];
    ln_loss.iter().enumerate().map(|(k, l)| (normals(k as u64, "steps", dim), *l)).collect()
}

// Test vectors: Adam with lr = 1e-3, β₁ = 0.9, β₂ = 0.99 on three gradients, from 80-digit arithmetic.

const GRADS: [[f64; 2]; 3] = [[1.0, -2.0], [0.5, 1.0], [-1.0, 0.25]];
const LN_LOSS: [f64; 3] = [-100.0, -101.5, -103.0];
const EXACT: [[f64; 2]; 3] = [
    [-0.001, 0.001],
    [-7.50129260175253e-4, 5.84666389568205e-4],
    [-5.48704463881639e-4, 4.48995664107157e-4],
];
const DAMPED: [[f64; 2]; 3] = [
    [-7.31058578630005e-4, 8.44637596503036e-4],
    [-4.94050817982478e-4, 4.6432974307183e-4],
    [-3.3547078074089e-4, 3.40611916259937e-4],
];

fn adam_rows(epsilon: f64, shift: f64) -> Vec<[f64; 2]> {
    let layout = Layout::vector(2);
    let mut adam = begun(&format!("kind = 'adam'\nbeta2 = 0.99\nepsilon = {epsilon:?}"), &layout);
    let rows = GRADS.iter().zip(LN_LOSS).map(|(grad, ln_loss)| {
        let (d, direction) = direction(adam.as_mut(), &Place::new(&[0.0; 2], grad, ln_loss + shift, &layout));
        assert_eq!(direction.ln_scale, 0.0, "an ordinary step is written as it is");
        [-1e-3 * d[0], -1e-3 * d[1]]
    });
    rows.collect()
}

#[test]
fn adam_takes_the_steps_of_the_test_vectors() {
    // Shifted by −1e5, the last digit of ln 𝓛 is worth 1e-11.
    let cases = [
        (0.0, 0.0, EXACT, 1e-13),
        ((-101f64).exp(), 0.0, DAMPED, 1e-13),
        (0.0, -1e5, EXACT, 3e-11),
        ((-601f64).exp(), -500.0, DAMPED, 1e-12),
    ];
    for (epsilon, shift, expected, tolerance) in cases {
        for (ours, theirs) in adam_rows(epsilon, shift).iter().zip(expected) {
            for (a, b) in ours.iter().zip(theirs) {
                assert_close(*a, b, tolerance, &format!("epsilon {epsilon:e}, shifted by {shift}"));
            }
        }
    }
}

#[test]
fn adams_moments_in_the_frame_of_the_step_are_those_of_the_test_vectors() {
    let m = [[0.1, -0.2], [0.453352016330426, -0.706704032660852], [1.72860449894341, -2.82550496522598]];
    let v = [[0.01, 0.04], [0.201346815539558, 0.805387262158232], [4.01371730890719, 16.0154942356287]];
    let layout = Layout::vector(2);
    let mut adam = begun("kind = 'adam'\nbeta2 = 0.99", &layout);
    for (k, (grad, ln_loss)) in GRADS.iter().zip(LN_LOSS).enumerate() {
        direction(adam.as_mut(), &Place::new(&[0.0; 2], grad, ln_loss, &layout));
        let state = adam.save();
        for (name, expected, power) in [("m", m[k], 1.0), ("v", v[k], 2.0)] {
            let (x, far) = (state.get(name).unwrap(), state.counts(&format!("{name}.k")).unwrap());
            for i in 0..2 {
                // A stored number is x·2^{512 k}; over 𝓛 or 𝓛² it is the row's.
                let ln = x[i].abs().ln() + 512.0 * far[i] as i64 as f64 * std::f64::consts::LN_2;
                assert_close((ln - power * ln_loss).exp(), f64::abs(expected[i]), 1e-12, name);
                assert_eq!(x[i].signum(), expected[i].signum());
            }
        }
    }
}

#[test]
fn far_below_epsilon_adam_is_gradient_descent_with_its_rate_over_epsilon() {
    let layout = Layout::vector(2);
    let mut adam = begun("kind = 'adam'\nbeta2 = 0.99", &layout);
    let (d, step) = direction(adam.as_mut(), &Place::new(&[0.0; 2], &GRADS[0], -1e5, &layout));
    let ln = 1e-3f64.ln() + step.ln_scale + d[0].ln();
    assert!((ln + 99988.487074535).abs() < 1e-9, "{ln}");
    assert_close(d[1], -2.0 * d[0], 1e-15, "the step is along the gradient");
}

// Extended precision: the rules as they are printed, on the true gradients, with 200 bits and any exponent.

type Big = FBig<HalfEven, 2>;

fn big(x: f64) -> Big {
    Big::try_from(x).expect("a finite number").with_precision(200).value()
}

fn abs(x: &Big) -> Big {
    x.clone().max(-x)
}

fn root(x: &Big) -> Big {
    if *x == big(0.0) { big(0.0) } else { x.sqrt() }
}

fn quotient(a: &Big, b: &Big) -> Big {
    if *a == big(0.0) { big(0.0) } else { a / b }
}

/// One entry's rule: (t, true gradient) to step.
type Rule = Box<dyn FnMut(i32, &Big) -> Big>;

/// The settings of a descent, and what makes an entry's rule anew.
type Reference = (&'static str, Box<dyn Fn() -> Rule>);

fn references() -> Vec<Reference> {
    fn adam(epsilon: f64) -> Rule {
        let (mut m, mut v) = (big(0.0), big(0.0));
        let (b1, b2) = (big(0.9), big(0.999));
        Box::new(move |t, g| {
            m = &b1 * &m + (big(1.0) - &b1) * g;
            v = &b2 * &v + (big(1.0) - &b2) * g * g;
            let hat = |x: &Big, b: &Big| x / (big(1.0) - b.powi(t.into()));
            quotient(&hat(&m, &b1), &(root(&hat(&v, &b2)) + big(epsilon)))
        })
    }
    fn rmsprop(epsilon: f64, momentum: f64) -> Rule {
        let (mut v, mut b) = (big(0.0), big(0.0));
        let alpha = big(0.99);
        Box::new(move |_, g| {
            v = &alpha * &v + (big(1.0) - &alpha) * g * g;
            b = big(momentum) * &b + quotient(g, &(root(&v) + big(epsilon)));
            b.clone()
        })
    }
    fn adagrad(epsilon: f64) -> Rule {
        let mut s = big(0.0);
        Box::new(move |_, g| {
            s = &s + g * g;
            quotient(g, &(root(&s) + big(epsilon)))
        })
    }
    fn lion() -> Rule {
        let mut m = big(0.0);
        Box::new(move |_, g| {
            let ahead = big(0.9) * &m + big(1.0 - 0.9) * g;
            m = big(0.99) * &m + big(1.0 - 0.99) * g;
            let sign = if ahead == big(0.0) { 0.0 } else { f64::from(i32::from(ahead > big(0.0)) * 2 - 1) };
            big(sign)
        })
    }
    fn momentum() -> Rule {
        let mut b = big(0.0);
        Box::new(move |_, g| {
            b = big(0.9) * &b + g;
            b.clone()
        })
    }
    vec![
        ("kind = 'adam'\nepsilon = 0", Box::new(|| adam(0.0))),
        ("kind = 'adam'", Box::new(|| adam(1e-8))),
        ("kind = 'rmsprop'", Box::new(|| rmsprop(1e-8, 0.0))),
        ("kind = 'rmsprop'\nepsilon = 0\nmomentum = 0.5", Box::new(|| rmsprop(0.0, 0.5))),
        ("kind = 'adagrad'", Box::new(|| adagrad(1e-10))),
        ("kind = 'adagrad'\nepsilon = 0", Box::new(|| adagrad(0.0))),
        ("kind = 'lion'", Box::new(lion)),
        ("kind = 'momentum'", Box::new(momentum)),
    ]
}

// 𝓛 = e^{ln 𝓛} is the same number on both sides: Frame::of is right to 2⁻⁵³, so nothing is lost to the size of ln 𝓛 but
// in reading a scale off its logarithm, 1e5·2⁻⁵³ = 1.1e-11.
#[test]
fn optimizers_agree_with_extended_precision_over_falls_and_rises_of_the_loss_by_e_to_the_2000() {
    const DIM: usize = 5;
    let layout = Layout::vector(DIM);
    let mut schedule = steps(DIM);
    for (k, (grad, _)) in schedule.iter_mut().enumerate() {
        // Entry 3 is first felt after the first fall by e^-2000, entry 4 only before it, entry 2 never.
        grad[2] = 0.0;
        (grad[3], grad[4]) = if k < 6 { (0.0, grad[4]) } else { (grad[3], 0.0) };
    }
    let losses: Vec<Big> = schedule.iter().map(|(_, ln)| big(*ln).exp()).collect();
    for (text, make) in references() {
        let mut ours = begun(text, &layout);
        let mut theirs: Vec<Rule> = (0..DIM).map(|_| make()).collect();
        let mut worst = 0.0f64;
        for (k, (grad, ln_loss)) in schedule.iter().enumerate() {
            let (d, step) = direction(ours.as_mut(), &Place::new(&[0.0; DIM], grad, *ln_loss, &layout));
            assert_close(step.slope, dot(grad, &d), 1e-15, text);
            let deltas: Vec<Big> = theirs
                .iter_mut()
                .zip(grad)
                .map(|(rule, g)| rule(k as i32 + 1, &(big(*g) * &losses[k])))
                .collect();
            // The step as it is told: a rate of 1 moves by e^{ln_scale}·d.
            let scale = big(step.ln_scale).exp();
            let ours: Vec<Big> = d.iter().map(|d| big(*d) * &scale).collect();
            let size = deltas.iter().fold(big(0.0), |m, d| m.max(abs(d)));
            for (ours, theirs) in ours.iter().zip(&deltas) {
                // Entry by entry where f64 can hold it beside the largest one.
                let own = abs(theirs).max(big(1e-290) * &size);
                worst = worst.max((abs(&(ours - theirs)) / own).to_f64().value());
            }
        }
        println!("{:40} largest relative difference {worst:.1e}", text.replace('\n', ", "));
        assert!(worst <= 1.2e-11, "{text}: {worst:e}");
    }
}

// Scale.

#[test]
fn without_memory_the_loss_does_not_enter_the_direction() {
    let layout = blocks();
    for text in MEMORYLESS {
        for (k, (grad, _)) in steps(layout.dim()).iter().enumerate() {
            let mut known: Option<(Vec<f64>, Direction)> = None;
            for ln_loss in [0.0, -1.0, -5000.0, -5000.7, -1e5] {
                let mut descent = begun(text, &layout);
                let theta = vec![0.0; layout.dim()];
                let (d, step) = direction(descent.as_mut(), &Place::new(&theta, grad, ln_loss, &layout));
                if let Some((known, at)) = &known {
                    assert_eq!((&d, step.slope), (known, at.slope), "{text}, step {k}, ln loss {ln_loss}");
                }
                known = Some((d, step));
            }
        }
    }
}

/// Blocks on which a descent is scale-free: Novik's Shampoo takes vectors to the power −1, and so is not on those.
fn blocks_of(text: &str) -> Layout {
    let mut layout = Layout::default();
    for block in blocks().blocks().iter().filter(|b| b.is_matrix() || !text.contains("sequential")) {
        layout.push(&block.name, &block.shape, 1.0);
    }
    layout
}

/// The directions of a run whose frames are moved by a power of two, and whose ln 𝓛 by `ln`.
fn run(text: &str, layout: &Layout, power: i64, ln: f64) -> Vec<(Vec<f64>, Direction)> {
    let mut descent = begun(text, layout);
    let theta = vec![0.0; layout.dim()];
    let all = steps(layout.dim()).into_iter().map(|(grad, ln_loss)| {
        let mut place = Place::new(&theta, &grad, ln_loss + ln, layout);
        place.frame.exponent += power;
        direction(descent.as_mut(), &place)
    });
    all.collect()
}

#[test]
fn moving_all_losses_by_a_power_of_two_changes_no_bit_of_a_scale_free_descent() {
    for text in SCALE_FREE.iter().chain(&MEMORYLESS) {
        let layout = blocks_of(text);
        let known = run(text, &layout, 0, 0.0);
        for power in [1, -1, -7, -2885, -144_270, 5000] {
            for (k, (ours, theirs)) in run(text, &layout, power, 0.0).iter().zip(&known).enumerate() {
                assert_eq!((&ours.0, ours.1.slope), (&theirs.0, theirs.1.slope), "{text}, {power}, step {k}");
            }
        }
    }
}

// ln 𝓛 near 1e5 resolves 𝓛 to 1.5e-11; the sums then differ by as much. A matrix function of them may amplify that by
// the ratio of its singular values, here below 100.
#[test]
fn moving_all_losses_by_e_to_the_5000_changes_a_scale_free_descent_by_rounding() {
    for text in SCALE_FREE {
        let layout = blocks_of(text);
        let known = run(text, &layout, 0, 0.0);
        let spectral = text.contains("shampoo") || text.contains("muon");
        let tolerance = if spectral { 1e-9 } else { 3e-11 };
        for (k, (ours, theirs)) in run(text, &layout, 0, -5000.0).iter().zip(&known).enumerate() {
            let off = distance(&ours.0, &theirs.0) / norm(&theirs.0);
            assert!(off <= tolerance, "{text}, step {k}: {off:e}");
        }
    }
}

// One and the same.

#[test]
fn adam_without_memory_and_epsilon_is_sign_descent() {
    let layout = blocks();
    let mut adam = begun("kind = 'adam'\nbeta1 = 0\nbeta2 = 0\nepsilon = 0", &layout);
    let mut sign = begun("kind = 'normalized'\nnorm = 'linf'", &layout);
    let theta = vec![0.0; layout.dim()];
    for (mut grad, ln_loss) in steps(layout.dim()) {
        (grad[0], grad[1], grad[2]) = (0.0, 1e-300, -5e-324);
        let place = Place::new(&theta, &grad, ln_loss, &layout);
        let ((a, at), (b, bt)) = (direction(adam.as_mut(), &place), direction(sign.as_mut(), &place));
        assert_eq!(a, b);
        assert_eq!((at.ln_scale, bt.ln_scale), (0.0, 0.0));
        assert_close(at.slope, bt.slope, 1e-15, "slopes");
    }
}

#[test]
fn lion_with_one_rate_of_forgetting_is_signum() {
    let layout = blocks();
    let (mut lion, mut signum) =
        (begun("kind = 'lion'\nbeta1 = 0.9\nbeta2 = 0.9", &layout), begun("kind = 'signum'", &layout));
    let theta = vec![0.0; layout.dim()];
    for (grad, ln_loss) in steps(layout.dim()) {
        let place = Place::new(&theta, &grad, ln_loss, &layout);
        assert_eq!(direction(lion.as_mut(), &place).0, direction(signum.as_mut(), &place).0);
    }
}

/// UVᵀ of a row-major 2-column or 2-row matrix in closed form: G(GᵀG)^{-1/2}, with the root of a 2 × 2 matrix M being
/// (M + √det·I)/√(tr + 2√det).
fn polar_of_two_columns(g: &[f64]) -> Vec<f64> {
    let m = |i: usize, j: usize| g.chunks(2).map(|r| r[i] * r[j]).sum::<f64>();
    let (a, b, c) = (m(0, 0), m(0, 1), m(1, 1));
    let s = (a * c - b * b).sqrt();
    let t = (a + c + 2.0 * s).sqrt();
    let (ra, rb, rc) = ((a + s) / t, b / t, (c + s) / t);
    let det = ra * rc - rb * rb;
    g.chunks(2).flat_map(|r| [(r[0] * rc - r[1] * rb) / det, (r[1] * ra - r[0] * rb) / det]).collect()
}

#[test]
fn shampoo_without_accumulation_is_muon_without_momentum_is_steepest_descent_in_the_spectral_norm() {
    let (mut layout, mut matrix) = (Layout::default(), Layout::default());
    layout.push("0.weight", &[5, 2], 1.0);
    layout.push("0.bias", &[3], 1.0);
    matrix.push("0.weight", &[5, 2], 1.0);
    let mut novik = begun(
        "kind = 'shampoo'\naccumulate = false\nepsilon = 0\nexponent = 0.5\nsequential = true",
        &matrix,
    );
    let theta = vec![0.0; layout.dim()];
    let mut all = [
        begun("kind = 'shampoo'\naccumulate = false\nepsilon = 0", &layout),
        begun("kind = 'muon'\nbeta = 0", &layout),
        begun("kind = 'muon'\nbeta = 0\nnesterov = false", &layout),
    ];
    for (grad, ln_loss) in steps(layout.dim()) {
        let mut oracle = polar_of_two_columns(&grad[..10]);
        let size = norm(&grad[10..]);
        oracle.extend(grad[10..].iter().map(|g| g / size));
        let place = Place::new(&theta[..10], &grad[..10], ln_loss, &matrix);
        assert!(distance(&direction(novik.as_mut(), &place).0, &oracle[..10]) <= 1e-13);
        for descent in &mut all {
            let (d, step) = direction(descent.as_mut(), &Place::new(&theta, &grad, ln_loss, &layout));
            // The closed form squares the condition number, at most 10 here.
            assert!(distance(&d, &oracle) <= 1e-13, "{descent:?}: {:e}", distance(&d, &oracle));
            assert_eq!(step.ln_scale, 0.0);
            // The slope is the dual norm, the nuclear norm and the l2 norm of the vector together.
            let svd = Svd::of(&grad[..10], 5, 2).unwrap();
            let nuclear = svd.sigma.iter().sum::<f64>() * 2f64.powi(svd.exponent as i32);
            assert_close(step.slope, nuclear + size, 1e-14, "slope");
        }
    }
}

#[test]
fn shampoo_that_has_seen_one_gradient_is_shampoo_without_accumulation() {
    let layout = blocks();
    let theta = vec![0.0; layout.dim()];
    for settings in [
        "epsilon = 0.01",
        "epsilon = 0.01\nexponent = 0.5",
        "epsilon = 0.01\nexponent = 0.5\nsequential = true",
        "epsilon = 0.01\nvectors = 'diagonal'",
        "epsilon = 1e-300\nexponent = 0.3",
    ] {
        for (grad, ln_loss) in steps(layout.dim()) {
            let place = Place::new(&theta, &grad, ln_loss, &layout);
            let mut added = begun(&format!("kind = 'shampoo'\n{settings}"), &layout);
            let mut alone = begun(&format!("kind = 'shampoo'\naccumulate = false\n{settings}"), &layout);
            let ((a, at), (b, bt)) = (direction(added.as_mut(), &place), direction(alone.as_mut(), &place));
            let scale = (at.ln_scale - bt.ln_scale).exp();
            let a: Vec<f64> = a.iter().map(|a| a * scale).collect();
            // GGᵀ squares the condition number: a relative 1e-16·κ², with κ below 100 here; then read off ln scales of 1e5.
            let off = distance(&a, &b) / norm(&b);
            assert!(off <= 1e-10, "{settings} at {ln_loss}: {off:e}");
        }
    }
}

#[test]
fn momentum_in_another_norm_is_steepest_descent_along_the_buffer() {
    let layout = blocks();
    let theta = vec![0.0; layout.dim()];
    for norm in ["l1", "l2", "linf"] {
        let mut momentum = begun(&format!("kind = 'momentum'\nnorm = '{norm}'\nbeta = 0.5"), &layout);
        let mut unit = begun(&format!("kind = 'normalized'\nnorm = '{norm}'\nmomentum = 0.5"), &layout);
        let mut steepest = begun(&format!("kind = 'steepest'\nnorm = '{norm}'"), &layout);
        let mut buffer = vec![0.0; layout.dim()];
        // At one and the same loss, the buffer can be kept in its frame.
        for (grad, _) in steps(layout.dim()) {
            buffer.iter_mut().zip(&grad).for_each(|(b, g)| *b = 0.5 * *b + g);
            let place = Place::new(&theta, &grad, -3000.0, &layout);
            let (d, step) = direction(momentum.as_mut(), &place);
            let (along, expected) = direction(steepest.as_mut(), &Place { grad: &buffer, ..place });
            assert!(distance(&d, &along) < 1e-14, "{norm}");
            assert!((step.ln_scale - expected.ln_scale).abs() < 1e-11, "{norm}");
            assert_close(step.slope, dot(&grad, &d), 1e-15, norm);
            let (d, step) = direction(unit.as_mut(), &place);
            assert!(distance(&d, &along) < 1e-14 && step.ln_scale == 0.0, "{norm}");
        }
    }
}

#[test]
fn muon_makes_singular_values_that_do_not_depend_on_the_size_of_the_gradient() {
    let mut layout = Layout::default();
    layout.push("0.weight", &[6, 4], 1.0);
    let theta = vec![0.0; layout.dim()];
    let grad = normals(3, "muon", layout.dim());
    let values = |text: &str, c: f64, ln_loss: f64| {
        let scaled: Vec<f64> = grad.iter().map(|g| c * g).collect();
        let mut muon = begun(text, &layout);
        let (d, step) = direction(muon.as_mut(), &Place::new(&theta, &scaled, ln_loss, &layout));
        assert_eq!(step.ln_scale, 0.0);
        let svd = Svd::of(&d, 6, 4).unwrap();
        svd.sigma.iter().map(|s| s * 2f64.powi(svd.exponent as i32)).collect::<Vec<f64>>()
    };
    for memory in ["beta = 0", "beta = 0.95"] {
        let ns = format!("kind = 'muon'\n{memory}\northogonalize = 'newton-schulz'");
        let known = values(&ns, 1.0, 0.0);
        assert!(known.iter().all(|s| *s > 0.5 && *s < 1.3), "{known:?}");
        assert!(known.iter().any(|s| (s - 1.0).abs() > 0.01), "five steps do not reach 1: {known:?}");
        for (c, ln_loss) in [(1e-100, 0.0), (1e-300, 0.0), (1.0, -230.0), (1.0, -1e5), (1e300, 1e5)] {
            for (a, b) in values(&ns, c, ln_loss).iter().zip(&known) {
                assert_close(*a, *b, 1e-12, &format!("{ns}, {c:e}, {ln_loss}"));
            }
            let svd = values(&format!("kind = 'muon'\n{memory}"), c, ln_loss);
            assert!(svd.iter().all(|s| (s - 1.0).abs() < 1e-12), "{svd:?}");
        }
    }
    // The coefficients of the convergent iteration reach 1.
    let long = "kind = 'muon'\nbeta = 0\northogonalize = { kind = 'newton-schulz', steps = 40, \
                coefficients = [1.875, -1.25, 0.375] }";
    assert!(values(long, 1e-300, -1e5).iter().all(|s| (s - 1.0).abs() < 1e-12));
}

#[test]
fn the_stock_epsilon_ends_newton_schulz_where_gradients_are_below_it() {
    let mut layout = Layout::default();
    layout.push("0.weight", &[6, 4], 1.0);
    let theta = vec![0.0; layout.dim()];
    let grad = normals(3, "muon", layout.dim());
    let text = "kind = 'muon'\nbeta = 0\northogonalize = { kind = 'newton-schulz', epsilon = 1e-7 }";
    for ln_loss in [-100.0, -170.0, -200.0, -5000.0, -1e5] {
        let mut muon = begun(text, &layout);
        let (d, step) = direction(muon.as_mut(), &Place::new(&theta, &grad, ln_loss, &layout));
        // X stays linear in G: a⁵·𝓛/ε times ∇ ln 𝓛.
        let ln = 5.0 * 3.4445f64.ln() + ln_loss - 1e-7f64.ln();
        for (d, g) in d.iter().zip(&grad) {
            assert_close((d / g).ln() + step.ln_scale, ln, 1e-13, &format!("{ln_loss}"));
        }
    }
}

#[test]
fn shampoo_adds_up_what_its_formula_says_over_a_fall_of_the_loss() {
    // Diagonal gradients: L = R = diag, and Δ_i = g_i/√(ε + Σ g_i²), entry by entry like AdaGrad without its own ε.
    let mut layout = Layout::default();
    layout.push("0.weight", &[2, 2], 1.0);
    let mut shampoo = begun("kind = 'shampoo'\nepsilon = 0", &layout);
    let mut adagrad = begun("kind = 'adagrad'\nepsilon = 0", &layout);
    for (grad, ln_loss) in [([1.0, 2.0], 0.0), ([3.0, -1.0], -2.0), ([0.5, 0.25], -1.0), ([7.0, -5.0], -20.0)]
    {
        let matrix = [grad[0], 0.0, 0.0, grad[1]];
        let place = Place::new(&[0.0; 4], &matrix, ln_loss, &layout);
        let ((a, at), (b, bt)) = (direction(shampoo.as_mut(), &place), direction(adagrad.as_mut(), &place));
        assert_eq!((at.ln_scale, bt.ln_scale), (0.0, 0.0));
        // The eigenvalues are known to 1e-16 of the largest.
        assert!(distance(&a, &b) <= 1e-13 * norm(&b), "{a:?} {b:?}");
    }
}

/// Long vectors go through in chunks of plain f64, short ones entry by entry.
#[test]
fn what_an_optimizer_remembers_of_an_entry_does_not_depend_on_the_entries_beside_it() {
    const DIM: usize = 330;
    let (long, short) = (Layout::vector(DIM), Layout::vector(10));
    let mut schedule = steps(DIM);
    schedule.extend((0..60).map(|k| (normals(100 + k, "steps", DIM), -1e5 - 0.3 * k as f64)));
    schedule.iter_mut().for_each(|(grad, _)| grad.iter_mut().skip(3).step_by(29).for_each(|g| *g = 0.0));
    for text in variants().iter().filter(|t| !t.contains("muon") && !t.contains("shampoo")) {
        let mut whole = begun(text, &long);
        let mut parts: Vec<_> = (0..DIM / 10).map(|_| begun(text, &short)).collect();
        let theta = vec![0.0; DIM];
        for (step, (grad, ln_loss)) in schedule.iter().enumerate() {
            direction(whole.as_mut(), &Place::new(&theta, grad, *ln_loss, &long));
            let mut joined: std::collections::BTreeMap<String, Vec<u64>> = Default::default();
            let bits = |array: &Array| match array {
                Array::F64(v) => v.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                Array::U64(v) => v.clone(),
            };
            for (part, grad) in parts.iter_mut().zip(grad.chunks(10)) {
                direction(part.as_mut(), &Place::new(&theta[..10], grad, *ln_loss, &short));
                for (name, array) in part.save().arrays {
                    joined.entry(name).or_default().extend(bits(&array));
                }
            }
            for (name, array) in whole.save().arrays {
                let (ours, theirs) = (bits(&array), &joined[&name]);
                // Counts of steps are one a descent.
                let theirs = if ours.len() == 1 { &theirs[..1] } else { theirs };
                assert!(ours == theirs, "{text}: {name} at step {step}");
            }
        }
    }
}

// Weight decay, multipliers, state, ends.

#[test]
fn a_decay_beside_a_step_that_vanishes_is_told_at_its_own_size() {
    let layout = blocks();
    let theta = normals(1, "theta", layout.dim());
    let grad = normals(2, "grad", layout.dim());
    let mut adam = begun("kind = 'adam'\nweight_decay = 0.25", &layout);
    assert_eq!(adam.weight_decay(), 0.25);
    let (d, step) = direction(adam.as_mut(), &Place::new(&theta, &grad, -1e5, &layout));
    assert_eq!(step.ln_scale, 0.0);
    d.iter().zip(&theta).for_each(|(d, t)| assert_eq!(*d, 0.25 * t));
    assert_close(step.slope, 0.25 * dot(&grad, &theta), 1e-13, "slope");
    for kind in ["adam", "lion", "muon"] {
        let text = |decay: f64| format!("kind = '{kind}'\nweight_decay = {decay:?}");
        let (mut with, mut without) = (begun(&text(0.5), &layout), begun(&text(0.0), &layout));
        assert_eq!((with.weight_decay(), without.weight_decay()), (0.5, 0.0));
        for (grad, ln_loss) in steps(layout.dim()).iter().take(4) {
            let place = Place::new(&theta, grad, *ln_loss, &layout);
            let ((a, _), (b, _)) = (direction(with.as_mut(), &place), direction(without.as_mut(), &place));
            for i in 0..a.len() {
                assert!((a[i] - b[i] - 0.5 * theta[i]).abs() < 1e-15 * (1.0 + theta[i].abs()), "{kind}");
            }
        }
    }
}

#[test]
fn the_multiplier_is_what_multiplies_the_gradient_in_a_step_without_momentum() {
    let layout = blocks();
    let theta = vec![0.0; layout.dim()];
    for text in [
        "kind = 'adam'\nbeta1 = 0",
        "kind = 'adam'\nbeta1 = 0\nepsilon = 0\nbias_correction = false",
        "kind = 'rmsprop'",
        "kind = 'rmsprop'\ncentered = true\nepsilon = 0",
        "kind = 'adagrad'",
        "kind = 'adagrad'\ninitial = 0.1\nlr_decay = 1.0",
    ] {
        let mut descent = begun(text, &layout);
        assert_eq!(descent.multiplier(), None, "{text}: no step yet");
        for (grad, ln_loss) in steps(layout.dim()) {
            let (d, _) = direction(descent.as_mut(), &Place::new(&theta, &grad, ln_loss, &layout));
            let told = descent.multiplier().expect("a step was taken");
            assert_eq!(told.iter().fold(0.0f64, |m, x| m.max(*x)), 1.0, "{text}");
            let found: Vec<f64> = d.iter().zip(&grad).map(|(d, g)| d / g).collect();
            let largest = found.iter().fold(0.0f64, |m, x| m.max(*x));
            for (a, b) in told.iter().zip(&found) {
                assert_close(*a, b / largest, 1e-14, text);
            }
        }
    }
    for text in ["kind = 'steepest'", "kind = 'lion'", "kind = 'muon'", "kind = 'shampoo'"] {
        let mut descent = begun(text, &layout);
        direction(descent.as_mut(), &Place::new(&theta, &normals(1, "grad", layout.dim()), 0.0, &layout));
        assert_eq!(descent.multiplier(), None, "{text}");
    }
}

#[test]
fn every_descent_goes_on_from_its_saved_state_with_the_same_bytes() {
    let layout = blocks();
    let theta = normals(1, "theta", layout.dim());
    let all = steps(layout.dim());
    for text in variants() {
        for half in [0, 1, 4, 7] {
            let mut whole = begun(&text, &layout);
            let mut parts = begun(&text, &layout);
            for (k, (grad, ln_loss)) in all.iter().enumerate() {
                if k == half {
                    let state = parts.save();
                    parts = begun(&text, &layout);
                    parts.load(&state).unwrap_or_else(|e| panic!("{text}: {e}"));
                    assert_eq!(parts.save(), state, "{text}");
                }
                let place = Place::new(&theta, grad, *ln_loss, &layout);
                assert_eq!(
                    direction(whole.as_mut(), &place),
                    direction(parts.as_mut(), &place),
                    "{text}, {k}"
                );
                assert_eq!(whole.multiplier(), parts.multiplier(), "{text}");
            }
            assert_eq!(whole.save(), parts.save(), "{text}");
            // Beginning again forgets.
            whole.begin(&layout).unwrap();
            assert_eq!(whole.save(), begun(&text, &layout).save(), "{text}");
        }
        let mut other = begun(&text, &layout);
        let mut small = Layout::default();
        small.push("0.weight", &[1, 2], 1.0);
        let foreign = begun(&text, &small).save();
        if foreign != other.save() {
            assert!(other.load(&foreign).is_err(), "{text} loads the state of another layout");
        }
    }
}

#[test]
fn at_a_loss_of_1e_minus_43429_every_direction_is_finite_and_of_ordinary_size() {
    let layout = blocks();
    let theta = normals(1, "theta", layout.dim());
    for text in variants() {
        let mut descent = begun(&text, &layout);
        for (k, ln_loss) in [-1e5, -1e5 - 1.0, -102_000.0].into_iter().enumerate() {
            let grad = normals(k as u64, "grad", layout.dim());
            let (d, step) = direction(descent.as_mut(), &Place::new(&theta, &grad, ln_loss, &layout));
            let largest = d.iter().fold(0.0f64, |m, d| m.max(d.abs()));
            assert!(d.iter().all(|d| d.is_finite()) && largest > 1e-2 && largest < 1e2, "{text}: {d:?}");
            assert!(step.slope.is_finite() && step.ln_scale.is_finite(), "{text}: {step:?}");
        }
    }
}

#[test]
fn what_is_not_finite_ends_a_run_and_is_not_taken_into_memory() {
    let layout = blocks();
    let theta = vec![0.0; layout.dim()];
    let good = normals(1, "grad", layout.dim());
    for text in variants().iter().filter(|t| !t.contains("'steepest'")) {
        let mut descent = begun(text, &layout);
        let before = descent.save();
        let mut d = vec![0.0; layout.dim()];
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut grad = good.clone();
            grad[5] = bad;
            let ended = descent.direction(&Place::new(&theta, &grad, 0.0, &layout), &mut d);
            assert!(matches!(ended, Err(Breakdown::Diverged { .. })), "{text}: {ended:?}");
        }
        assert_eq!(descent.save(), before, "{text}");
    }
    // v forgets the first gradient at once, m does not.
    let mut adam = begun("kind = 'adam'\nbeta2 = 0\nepsilon = 0", &layout);
    direction(adam.as_mut(), &Place::new(&theta, &good, 0.0, &layout));
    let mut d = vec![0.0; layout.dim()];
    let zero = vec![0.0; layout.dim()];
    let ended = adam.direction(&Place::new(&theta, &zero, 0.0, &layout), &mut d).unwrap_err();
    assert!(ended.to_string().contains("epsilon"), "{ended}");
}

#[test]
fn a_gradient_of_exactly_0_ends_a_run_and_a_run_through_every_descent_lowers_the_loss() {
    let examples = data(&[2.0, 1.0, 1.0, 3.0, -1.0, -2.0, -3.0, -0.5], &[0, 0, 1, 1], 2, 2);
    let net = "kind = 'mlp'\nwidths = [3]\nactivation = 'relu-power'\nbias = 'first'";
    for text in variants() {
        let table = text.trim().replace('\n', ", ");
        let spec = format!("kind = 'stepped'\ndescent = {{ {table} }}\npace = 'unit-decrease'");
        let problem = problem(model(net, 2, 1), "kind = 'logistic'", examples.clone());
        let mut algorithm = parse::<AnyAlgorithm>(&spec).build();
        algorithm.begin(&problem, 0).unwrap();
        // Every unit is off: θ = 0 in the first layer.
        let mut at = Iterate::new([&[0.0; 9][..], &[1.0; 3]].concat());
        let ended = algorithm.step(&problem, &mut at).unwrap_err();
        assert!(matches!(ended, Breakdown::Stationary { .. }), "{text}: {ended}");

        algorithm.begin(&problem, 0).unwrap();
        let mut at = Iterate::new(normals(4, "theta", problem.dim()));
        let rows = latephase_core::RowSet::Full;
        let before = at.eval(&problem, &rows).unwrap().ln_loss;
        for _ in 0..60 {
            algorithm.step(&problem, &mut at).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
        let after = at.eval(&problem, &rows).unwrap().ln_loss;
        assert!(after < before - 0.3, "{text}: {before} became {after}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_with_their_name() {
    let matrices = blocks();
    let bad = [
        ("kind = 'momentum'\nbeta = 1", "beta", "never forgets"),
        ("kind = 'momentum'\nbeta = -0.1", "beta", "-0.1"),
        ("kind = 'momentum'\nbeta = nan", "beta", "NaN"),
        ("kind = 'momentum'\ndampening = 2", "dampening", "2"),
        ("kind = 'momentum'\nnesterov = true\ndampening = 0.1", "nesterov", "dampening"),
        ("kind = 'momentum'\nnesterov = true\nbeta = 0", "nesterov", "beta"),
        ("kind = 'normalized'\nmomentum = 1", "momentum", "never forgets"),
        ("kind = 'normalized'\nnesterov = true", "nesterov", "momentum"),
        ("kind = 'signum'\nbeta = inf", "beta", "inf"),
        ("kind = 'adam'\nbeta1 = 1", "beta1", "below 1"),
        ("kind = 'adam'\nbeta2 = 1.5", "beta2", "1.5"),
        ("kind = 'adam'\nepsilon = -1e-8", "epsilon", "at least 0"),
        ("kind = 'adam'\nepsilon = inf", "epsilon", "finite"),
        ("kind = 'adam'\nweight_decay = -1", "weight_decay", "-1"),
        ("kind = 'rmsprop'\nalpha = 1", "alpha", "never forgets"),
        ("kind = 'rmsprop'\nmomentum = -1", "momentum", "-1"),
        ("kind = 'rmsprop'\nepsilon = nan", "epsilon", "NaN"),
        ("kind = 'adagrad'\nepsilon = -1", "epsilon", "-1"),
        ("kind = 'adagrad'\ninitial = -1", "initial", "-1"),
        ("kind = 'adagrad'\nlr_decay = -1", "lr_decay", "-1"),
        ("kind = 'lion'\nbeta1 = 1", "beta1", "never forgets"),
        ("kind = 'lion'\nbeta2 = 2", "beta2", "2"),
        ("kind = 'lion'\nweight_decay = nan", "weight_decay", "NaN"),
        ("kind = 'shampoo'\nepsilon = -1", "epsilon", "-1"),
        ("kind = 'shampoo'\nexponent = 0", "exponent", "above 0"),
        ("kind = 'shampoo'\nevery = 0", "every", "1 or more"),
        ("kind = 'shampoo'\nmomentum = 1", "momentum", "never forgets"),
        ("kind = 'muon'\nbeta = 1", "beta", "never forgets"),
        ("kind = 'muon'\nweight_decay = -0.5", "weight_decay", "-0.5"),
        (
            "kind = 'muon'\northogonalize = { kind = 'newton-schulz', steps = 0 }",
            "orthogonalize.steps",
            "1 to 100",
        ),
        (
            "kind = 'muon'\northogonalize = { kind = 'newton-schulz', coefficients = [1.0, nan, 0.0] }",
            "orthogonalize.coefficients",
            "three finite",
        ),
        (
            "kind = 'muon'\northogonalize = { kind = 'newton-schulz', epsilon = -1 }",
            "orthogonalize.epsilon",
            "-1",
        ),
    ];
    for (text, field, says) in bad {
        let error = parse::<AnyDescent>(text).build().begin(&matrices).expect_err(text);
        assert_eq!(error.field, field, "{text}: {error}");
        assert!(error.message.contains(says), "{text}: {error}");
    }
    for kind in ["muon", "shampoo"] {
        let error =
            parse::<AnyDescent>(&format!("kind = '{kind}'")).build().begin(&Layout::vector(3)).unwrap_err();
        assert!(error.message.contains("0.weight") && error.message.contains("matri"), "{error}");
    }
    let mut large = Layout::default();
    large.push("0.weight", &[2, 5000], 1.0);
    let error = parse::<AnyDescent>("kind = 'shampoo'").build().begin(&large).unwrap_err();
    assert!(error.message.contains("5000") && error.message.contains("accumulate = false"), "{error}");
    let unknown =
        toml::from_str::<AnyDescent>("kind = 'muon'\northogonalize = 'qr'").unwrap_err().to_string();
    assert!(unknown.contains("newton-schulz") && unknown.contains("svd"), "{unknown}");
    for name in AnyOrthogonalize::NAMES {
        let text = toml::to_string(&AnyOrthogonalize::example(name)).unwrap();
        assert_eq!(parse::<AnyOrthogonalize>(&text).name(), *name);
    }
    assert_eq!(Frame::number(0.0).factor, 0.0);
}
