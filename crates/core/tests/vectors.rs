//! Tiny problems whose exact values are known from 80-digit arithmetic, at an ordinary scale and at a loss of
//! 10^−227695.

mod common;

use std::sync::Arc;

use common::{assert_close, data, model, parse, problem};
use latephase_core::loss::Constraint;
use latephase_core::norm::AnyNorm;
use latephase_core::numeric::{axpy, dot, norm};
use latephase_core::{Eval, Layout, Problem, RowSet};

/// The numbers are printed to 15 digits; every q is exact in f64.
const TOLERANCE: f64 = 1e-12;
const T: f64 = 1.0 / 1_048_576.0;

struct Expected {
    q: &'static [f64],
    ln_loss: f64,
    log10_loss: f64,
    loss_inverse: f64,
    /// 0 where the number is too small for f64.
    weight: &'static [f64],
    g: &'static [f64],
    slope: f64,
    nu: f64,
    rho: f64,
    margin: f64,
    margin_product: f64,
    smooth_margin: f64,
    beta: f64,
    direction_speed: f64,
    margin_linf: f64,
    margin_l1: f64,
}

fn inputs() -> Vec<f64> {
    vec![1.0, 1.0, -1.0, 1.0 + T, 2.0, -0.5]
}

fn two_layer(loss: &str) -> Problem {
    problem(model("kind = 'mlp'\nwidths = [2]", 2, 1), loss, data(&inputs(), &[0, 0, 1], 2, 2))
}

fn theta(c: f64) -> Vec<f64> {
    [0.5, 1.0, 1.0, -0.5, 1.0, -2.0].iter().map(|t| c * t).collect()
}

fn three_classes(loss: &str) -> Problem {
    // Classes 1, 1, 2 of the table are indices 0, 0, 1.
    problem(model("kind = 'mlp'\nwidths = [2]", 2, 3), loss, data(&inputs(), &[0, 0, 1], 2, 3))
}

fn theta_of_three_classes(c: f64) -> Vec<f64> {
    let small = 1.0 / 2_097_152.0;
    [0.5, 1.0, 1.0, -0.5, 1.0, 0.0, 0.0, 1.0, small, -0.25].iter().map(|t| c * t).collect()
}

#[track_caller]
fn close_all(ours: &[f64], expected: &[f64], what: &str) {
    assert_eq!(ours.len(), expected.len(), "{what}");
    for (k, (a, b)) in ours.iter().zip(expected).enumerate() {
        assert_close(*a, *b, TOLERANCE, &format!("{what}[{k}]"));
    }
}

fn q_min(list: &[Constraint]) -> f64 {
    list.iter().map(|c| c.value).fold(f64::INFINITY, f64::min)
}

fn check(problem: &Problem, theta: &[f64], e: &Expected) {
    let eval: Eval = problem.eval(theta, &RowSet::Full).unwrap();
    let list = problem.constraints(&eval);
    let g: Vec<f64> = eval.grad.iter().map(|g| -g).collect();
    let (rho, size) = (norm(theta), norm(&g));
    close_all(&list.iter().map(|c| c.value).collect::<Vec<_>>(), e.q, "q");
    assert_close(eval.ln_loss, e.ln_loss, TOLERANCE, "ln_loss");
    assert_eq!(eval.ln_loss, eval.ln_loss_sum);
    assert_close(eval.ln_loss / std::f64::consts::LN_10, e.log10_loss, TOLERANCE, "log10_loss");
    let inverse = problem.loss.inverse(-eval.ln_loss_sum);
    assert_close(inverse, e.loss_inverse, TOLERANCE, "loss_inverse");
    close_all(&list.iter().map(|c| c.weight).collect::<Vec<_>>(), e.weight, "weight");
    // The first entry is a difference of numbers of size 1: it has their absolute accuracy.
    let largest = e.g.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    for (k, (ours, exact)) in g.iter().zip(e.g).enumerate() {
        let allowed = (TOLERANCE * exact.abs()).max(4.0 * f64::EPSILON * largest);
        assert!((ours - exact).abs() <= allowed, "g[{k}]: {ours:e} against {exact:e}");
    }
    assert_close(dot(&g, &g), e.slope, TOLERANCE, "slope");
    let nu: f64 = list.iter().map(|c| c.weight * c.value).sum();
    assert_close(nu, e.nu, TOLERANCE, "nu_rel");
    // Euler's identity ties the gradient to the margins.
    assert_close(dot(theta, &g), 2.0 * nu, TOLERANCE, "<theta, g> = L sum w q");
    assert_close(rho, e.rho, TOLERANCE, "rho");
    assert_close(q_min(&list) / rho.powi(2), e.margin, TOLERANCE, "margin");
    let layout = problem.model.layout();
    let product: f64 = layout.blocks().iter().map(|b| norm(b.of(theta))).product();
    assert_close(q_min(&list) / product, e.margin_product, TOLERANCE, "margin_product");
    assert_close(inverse / rho.powi(2), e.smooth_margin, TOLERANCE, "smooth_margin");
    let beta = dot(theta, &g) / (rho * size);
    assert_close(beta, e.beta, TOLERANCE, "beta");
    assert_close((beta.powi(-2) - 1.0).sqrt(), e.direction_speed, TOLERANCE, "direction_speed");
    for (name, expected) in [("linf", e.margin_linf), ("l1", e.margin_l1)] {
        let by = AnyNorm::example(name).build().of(theta, layout);
        assert_close(q_min(&list) / by.powi(2), expected, TOLERANCE, name);
    }
}

const EXP_2: Expected = Expected {
    q: &[2.0, 2.00000381469727, 16.0],
    ln_loss: -1.3068543110218,
    log10_loss: -0.567559615928245,
    loss_inverse: 1.3068543110218,
    weight: &[0.50000074579143, 0.49999883844359, 4.15764979698776e-7],
    g: &[
        2.15163576080774e-6,
        2.00000053790712,
        -1.99999965704588,
        -2.00000381469568,
        2.000001613725,
        0.499998874849021,
    ],
    slope: 16.2500213683672,
    nu: 2.00000772805392,
    rho: 5.47722557505166,
    margin: 0.0666666666666667,
    margin_product: 0.14142135623731,
    smooth_margin: 0.0435618103673934,
    beta: 0.18116490637322,
    direction_speed: 5.42849469029867,
    margin_linf: 0.125,
    margin_l1: 0.0138888888888889,
};

const LOGISTIC_2: Expected = Expected {
    ln_loss: -1.37098936281909,
    log10_loss: -0.595413115020387,
    loss_inverse: 1.24137785060354,
    weight: &[0.469569647090938, 0.469568069351329, 4.43303699566423e-7],
    g: &[
        1.3822644212905e-6,
        1.87827677181825,
        -1.87827504193416,
        -1.87827947497115,
        1.87827746295046,
        0.46956765222429,
    ],
    slope: 14.3321945586476,
    nu: 1.87828431700376,
    smooth_margin: 0.0413792616867848,
    beta: 0.181165022842895,
    direction_speed: 5.42849108192961,
    ..EXP_2
};

const LATE: Expected = Expected {
    q: &[524288.0, 524289.0, 4194304.0],
    ln_loss: -524287.686738312,
    log10_loss: -227695.24928027,
    loss_inverse: 524287.686738312,
    weight: &[0.731058578630005, 0.268941421369995, 0.0],
    g: &[
        473.20796903425,
        1024.00026263811,
        -1497.20796903425,
        -1497.20796903425,
        1260.60424715523,
        374.301992258562,
    ],
    slope: 7484990.7742743,
    nu: 524288.268941421,
    rho: 2804.33949442645,
    margin: 0.0666666666666667,
    margin_product: 0.14142135623731,
    smooth_margin: 0.0666666268333832,
    beta: 0.136670226142851,
    direction_speed: 7.24822537071829,
    margin_linf: 0.125,
    margin_l1: 0.0138888888888889,
};

const CE_2: Expected = Expected {
    q: &[4.0, 6.49999713897705, 2.00000381469727, 2.00000286102113, 7.0, 11.2499990463257],
    ln_loss: -1.3467131037671,
    log10_loss: -0.584870069672852,
    loss_inverse: 1.21384911341397,
    weight: &[
        0.069050846664691,
        0.00566805486986207,
        0.409493288164338,
        0.409493678688501,
        0.00350273440106639,
        4.99638704671468e-5,
    ],
    g: &[
        -1.50254668321801,
        1.79091563736389,
        -0.12100690893785,
        -0.138832855133601,
        1.0396424991491,
        0.0589565967297543,
        -0.613093910933341,
        -0.0530637044427901,
        -0.426548588215762,
        -0.00589289228696423,
    ],
    slope: 7.14395332005524,
    nu: 1.97610362876767,
    rho: 4.27200187265887,
    margin: 0.109589197864166,
    margin_product: 0.22019306801332,
    smooth_margin: 0.0665122801870636,
    beta: 0.346129785208623,
    direction_speed: 2.71050536608237,
    margin_linf: 0.500000715255283,
    margin_l1: 0.0181406122241828,
};

const CE_LATE: Expected = Expected {
    q: &[1048576.0, 1703935.25, 524289.0, 524288.749999523, 1835008.0, 2949119.75],
    ln_loss: -524288.174060312,
    log10_loss: -227695.460921525,
    loss_inverse: 524288.174060312,
    weight: &[0.0, 0.0, 0.437823381748329, 0.562176618251671, 0.0, 0.0],
    g: &[
        -1023.9997254997,
        1024.00070206194,
        0.0,
        0.0,
        512.0009765625,
        0.0,
        -224.165999017041,
        0.0,
        -287.834977545459,
        0.0,
    ],
    slope: 2492397.24506165,
    nu: 524288.859455577,
    rho: 2187.26495880134,
    margin: 0.109589197864166,
    margin_product: 0.22019306801332,
    smooth_margin: 0.109589077478756,
    beta: 0.303662105219912,
    direction_speed: 3.1376315067747,
    margin_linf: 0.500000715255283,
    margin_l1: 0.0181406122241828,
};

#[test]
fn a_two_layer_net_has_the_tabulated_values_at_an_ordinary_scale() {
    check(&two_layer("kind = 'exponential'"), &theta(2.0), &EXP_2);
    check(&two_layer("kind = 'logistic'"), &theta(2.0), &LOGISTIC_2);
}

#[test]
fn a_two_layer_net_has_the_tabulated_values_at_a_loss_of_1e_minus_227695() {
    // Far out the two losses are one.
    check(&two_layer("kind = 'exponential'"), &theta(1024.0), &LATE);
    check(&two_layer("kind = 'logistic'"), &theta(1024.0), &LATE);
}

#[test]
fn three_classes_have_the_tabulated_values() {
    check(&three_classes("kind = 'cross-entropy'"), &theta_of_three_classes(2.0), &CE_2);
    check(&three_classes("kind = 'cross-entropy'"), &theta_of_three_classes(1024.0), &CE_LATE);
}

#[test]
fn at_scale_one_the_loss_is_above_the_threshold() {
    let problem = two_layer("kind = 'exponential'");
    let eval = problem.eval(&theta(1.0), &RowSet::Full).unwrap();
    assert_close(eval.ln_loss_sum, 0.208132551795303, TOLERANCE, "ln_loss_sum");
    assert!(eval.ln_loss_sum > problem.loss.ln_threshold());
}

#[test]
fn the_mean_differs_from_the_sum_by_ln_n_alone() {
    type Build = fn(&str) -> Problem;
    type Theta = fn(f64) -> Vec<f64>;
    let cases: [(&str, Build, Theta); 3] = [
        ("exponential", two_layer, theta),
        ("logistic", two_layer, theta),
        ("cross-entropy", three_classes, theta_of_three_classes),
    ];
    for (kind, build, theta) in cases {
        for c in [2.0, 1024.0] {
            let sum = build(&format!("kind = '{kind}'")).eval(&theta(c), &RowSet::Full).unwrap();
            let mean = build(&format!("kind = '{kind}'\nreduction = 'mean'"));
            let mean = mean.eval(&theta(c), &RowSet::Full).unwrap();
            assert_close(mean.ln_loss, sum.ln_loss - 3f64.ln(), 1e-15, kind);
            assert_eq!((&mean.grad, mean.ln_loss_sum), (&sum.grad, sum.ln_loss_sum), "{kind}");
        }
    }
}

#[test]
fn a_gradient_step_satisfies_the_certificate_with_the_tabulated_numbers() {
    let problem = two_layer("kind = 'exponential'");
    let (theta, h) = (theta(2.0), 0.05);
    let before = problem.eval(&theta, &RowSet::Full).unwrap();
    let mut next = theta.clone();
    axpy(-h, &before.grad, &mut next);
    let after = problem.eval(&next, &RowSet::Full).unwrap();
    let q: Vec<f64> = problem.constraints(&after).iter().map(|c| c.value).collect();
    close_all(&q, &[3.33000117753199, 2.31000412501731, 15.2962502598747], "q'");
    let squared = dot(&before.grad, &before.grad);
    let r = (1.0 - (after.ln_loss - before.ln_loss).exp()) / (h * squared);
    assert_close(r, 0.616661312251481, TOLERANCE, "r");
    let s = -dot(&theta, &before.grad);
    assert_close(s, 4.00001545610784, TOLERANCE, "S");
    let denominator = 1.0 + h * s / (2.0 * dot(&theta, &theta));
    assert_close(denominator, 1.00333334621342, TOLERANCE, "denominator");
    let growth = (norm(&next) / norm(&theta)).ln();
    // A logarithm of a ratio near 1 has an absolute error of an ulp.
    assert!((growth - 0.00729036792227796).abs() < 1e-15, "ln(rho'/rho) = {growth}");
    let fall = before.ln_loss - after.ln_loss;
    assert_close(fall, 0.695225288444376, TOLERANCE, "ln(L/L')");
    let right = r * s / denominator * growth;
    assert_close(right, 0.0179230770637649, TOLERANCE, "right side");
    assert!(fall >= right);
}

#[test]
fn a_mini_batch_step_changes_the_norm_by_the_identity_with_the_tabulated_numbers() {
    let problem = two_layer("kind = 'exponential'\nreduction = 'mean'");
    let theta = theta(2.0);
    let rows = RowSet::Batch(0, Arc::new(vec![0, 2]));
    let eval = problem.eval(&theta, &rows).unwrap();
    assert_close(dot(&theta, &theta), 30.0, TOLERANCE, "|w|^2");
    // γ = 1: the true gradient is e^{ln 𝓛}·∇ ln 𝓛, an ordinary number here.
    let loss = eval.ln_loss.exp();
    let first = -2.0 * loss * dot(&theta, &eval.grad);
    assert_close(first, 0.541344734072042, TOLERANCE, "first order");
    assert_close(loss * loss * dot(&eval.grad, &eval.grad), 0.228945200547393, TOLERANCE, "second order");
    let mut next = theta.clone();
    axpy(-loss, &eval.grad, &mut next);
    assert_close(dot(&next, &next), 30.7702899346194, TOLERANCE, "|w'|^2");
    // Degree 2 and the exponential loss: γ̄ = (γ/n)·Σ e^{−q}, the mean loss of the full set.
    let full = problem.eval(&theta, &RowSet::Full).unwrap();
    assert_close(full.ln_loss, -2.40546659968991, TOLERANCE, "ln_effective_step");
    assert_close(full.ln_loss.exp(), 0.0902233875820833, TOLERANCE, "effective_step");
}

#[test]
fn norms_duals_and_oracles_of_a_block_have_the_tabulated_values() {
    let g = [1.0, -2.0, 2.0, 3.0, 0.0, -1.0];
    let mut layout = Layout::default();
    layout.push("0.weight", &[2, 3], 1.0);
    let (root, nuclear) = (19f64.sqrt(), 6.15369500902614);
    let cases: [(&str, f64, f64, [f64; 6]); 6] = [
        ("kind = 'l2'", 4.35889894354067, 4.35889894354067, g.map(|x| x / root)),
        ("kind = 'linf'", 3.0, 9.0, [1.0, -1.0, 1.0, 1.0, 0.0, -1.0]),
        ("kind = 'l1'", 9.0, 3.0, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        (
            "kind = 'lp'\np = 3",
            3.55689330449006,
            5.48701931108671,
            [
                0.426905505538646,
                -0.603735555784496,
                0.603735555784496,
                0.739422025623812,
                0.0,
                -0.426905505538646,
            ],
        ),
        ("kind = 'spectral'", 3.2585324900559, nuclear, POLAR),
        (
            "kind = 'nuclear'",
            nuclear,
            3.2585324900559,
            [
                0.496552970911804,
                -0.169642747521158,
                0.0323988818040826,
                0.803439584150037,
                -0.27448773143415,
                0.0524224919564962,
            ],
        ),
    ];
    for (text, value, dual, oracle) in cases {
        let norm = parse::<AnyNorm>(text).build();
        let mut d = [f64::NAN; 6];
        assert_close(norm.steepest(&g, &layout, &mut d), dual, 1e-14, text);
        assert_close(norm.dual(&g, &layout), dual, 1e-14, text);
        assert_close(norm.of(&g, &layout), value, 1e-14, text);
        assert_close(norm.of(&d, &layout), 1.0, 1e-15, text);
        close_all(&d, &oracle, text);
    }
    // The largest of the spectral norm of G and the ℓ2 norm of b = (3, −4).
    layout.push("0.bias", &[2], 1.0);
    let both = [1.0, -2.0, 2.0, 3.0, 0.0, -1.0, 3.0, -4.0];
    let norm = parse::<AnyNorm>("kind = 'blockwise'\ncombine = 'max'\ninner = 'spectral'").build();
    let mut d = [f64::NAN; 8];
    assert_close(norm.steepest(&both, &layout, &mut d), 11.1536950090261, 1e-14, "max_spectral");
    assert_close(norm.of(&both, &layout), 5.0, 1e-15, "max_spectral");
    close_all(&d[..6], &POLAR, "max_spectral");
    close_all(&d[6..], &[0.6, -0.8], "max_spectral");
}

/// UVᵀ of G = [[1, −2, 2], [3, 0, −1]].
const POLAR: [f64; 6] = [
    0.283081711630056,
    -0.669515755000789,
    0.686741143624235,
    0.935372078007398,
    0.0344507772468922,
    -0.35198326612384,
];

#[test]
fn two_orthogonal_gradients_have_the_midpoint_as_their_shortest_mixture() {
    use latephase_core::quadratic::{Gram, MinNorm};
    let mut solver = MinNorm::new();
    let answer = solver.solve(Gram::new(&[1.0, 0.0, 0.0, 1.0], 2, 2), &[], &[]);
    assert_close(answer.lambda[0], 0.5, 1e-15, "lambda");
    assert_close(answer.lambda[1], 0.5, 1e-15, "lambda");
}
