//! ln 𝓛 and ∂ ln 𝓛/∂out against extended precision, given the outputs, at margins from −10³ to 10⁶.

mod common;

use std::collections::HashMap;

use common::{data, model, parse};
use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;
use latephase_core::loss::{AnyLoss, Loss, Reduction};
use latephase_core::numeric::Scaled;
use latephase_core::{Problem, RowSet, rng::stream};
use rand::Rng;

type Big = FBig<HalfEven, 2>;

/// 200 bits hold any difference of two outputs met here exactly, and 147 bits more than f64 resolves.
const BITS: usize = 200;

fn big(x: f64) -> Big {
    Big::try_from(x).expect("a finite number").with_precision(BITS).value()
}

fn double(x: &Big) -> f64 {
    x.to_f64().value()
}

/// ln(1 + x) for x > 0, to a relative 2^-190 whatever the size of x.
fn ln_1p(x: &Big) -> Big {
    if *x < big(2f64.powi(-64)) {
        return x * (big(1.0) - x / big(2.0) + x * x / big(3.0));
    }
    // 1 + x needs up to 64 bits more than x.
    let wide = |x: &Big| x.clone().with_precision(BITS + 64).value();
    (wide(&big(1.0)) + wide(x)).ln().with_precision(BITS).value()
}

struct Truth {
    ln_loss: Big,
    cotangent: Vec<Big>,
}

/// The definition of each loss, read off its formula.
fn truth(kind: &str, out: &[f64], labels: &[u32]) -> Truth {
    let k = out.len() / labels.len();
    let (mut total, mut slopes) = (big(0.0), Vec::with_capacity(out.len()));
    // Margins repeat, and an exponential takes a tenth of a millisecond.
    let mut known: HashMap<(u64, u64), Big> = HashMap::new();
    let mut exp = |a: f64, b: f64| {
        known.entry((a.to_bits(), b.to_bits())).or_insert_with(|| (big(a) - big(b)).exp()).clone()
    };
    for (row, &y) in out.chunks(k).zip(labels) {
        if kind == "cross-entropy" {
            let y = y as usize;
            let e: Vec<Big> = row.iter().map(|o| exp(*o, row[y])).collect();
            let wrong = (0..k).filter(|&j| j != y).fold(big(0.0), |sum, j| sum + &e[j]);
            let whole = big(1.0) + &wrong;
            for (j, e) in e.iter().enumerate() {
                slopes.push(if j == y { -(&wrong / &whole) } else { e / &whole });
            }
            total += ln_1p(&wrong);
        } else {
            let sign = if y == 0 { 1.0 } else { -1.0 };
            let e = exp(-sign * row[0], 0.0);
            if kind == "exponential" {
                slopes.push(&e * big(-sign));
                total += e;
            } else {
                slopes.push(&e / (big(1.0) + &e) * big(-sign));
                total += ln_1p(&e);
            }
        }
    }
    let cotangent = slopes.iter().map(|s| s / &total).collect();
    Truth { ln_loss: total.ln(), cotangent }
}

/// The spacing of f64 at max(1, |x|).
fn ulp(x: f64) -> f64 {
    let x = x.abs().max(1.0);
    f64::from_bits(x.to_bits() + 1) - x
}

#[track_caller]
fn check(what: &str, truth: &Truth, ln_loss: f64, cotangent: &[f64]) {
    let off = double(&(big(ln_loss) - &truth.ln_loss)).abs();
    // 4 ulp for the formula, and the roundings of a plain sum over the examples, which walk at random.
    let examples = (cotangent.len() as f64 / 2.0).max(1.0);
    let allowed = 4.0 * ulp(double(&truth.ln_loss))
        + if examples > 100.0 { examples.sqrt() * f64::EPSILON } else { 0.0 };
    assert!(off <= allowed, "{what}: ln of the loss {ln_loss} is off by {off:e}, allowed {allowed:e}");
    let smallest = big(1e-300);
    for (i, (ours, exact)) in cotangent.iter().zip(&truth.cotangent).enumerate() {
        let size = if *exact < big(0.0) { -exact } else { exact.clone() };
        if size < smallest {
            assert!(ours.abs() < 1.1e-300, "{what}: entry {i} is {ours:e} and should vanish");
            continue;
        }
        let off = double(&((big(*ours) - exact) / exact)).abs();
        assert!(off <= 1e-13, "{what}: entry {i} is {ours:e}, a relative {off:e} off");
    }
}

fn loss(kind: &str, reduction: &str) -> Box<dyn Loss> {
    parse::<AnyLoss>(&format!("kind = '{kind}'\nreduction = '{reduction}'")).build()
}

/// Loss::accumulate on all rows at once.
fn accumulated(loss: &dyn Loss, out: &[f64], labels: &[u32]) -> (f64, Vec<f64>) {
    let (mut total, mut cot) = (Scaled::ZERO, vec![0.0; out.len()]);
    loss.accumulate(out, labels, &mut total, &mut cot);
    cot.iter_mut().for_each(|c| *c /= total.sum);
    (total.ln() - loss.reduction().ln_divisor(labels.len()), cot)
}

/// Problem::eval on a linear model whose weight is the identity, so that the outputs are the inputs.
fn evaluated(loss: Box<dyn Loss>, out: &[f64], labels: &[u32], k: usize) -> (f64, Vec<f64>, Vec<f64>) {
    let classes = k.max(2);
    let model = model("kind = 'linear'", k, loss.outputs(classes).unwrap());
    let problem = Problem::new(model, loss, data(out, labels, k, classes), None);
    let identity: Vec<f64> = (0..k * k).map(|i| if i % (k + 1) == 0 { 1.0 } else { 0.0 }).collect();
    let eval = problem.eval(&identity, &RowSet::Full).unwrap();
    assert_eq!(eval.outputs, out, "a product with the identity is exact");
    (eval.ln_loss, eval.cotangent, eval.grad)
}

/// (kind, outputs) for every loss, cross-entropy with 2, 3 and 10 classes.
const KINDS: &[(&str, usize)] =
    &[("exponential", 1), ("logistic", 1), ("cross-entropy", 2), ("cross-entropy", 3), ("cross-entropy", 10)];

/// Margins where a formula could change its branch or lose its digits.
const MARGINS: &[f64] = &[
    -1000.0,
    -745.2,
    -709.0,
    -100.25,
    -37.5,
    -5.0,
    -1.0,
    -1e-9,
    0.0,
    1e-300,
    1e-9,
    0.3,
    1.0,
    5.0,
    16.6,
    33.2,
    36.7,
    36.99,
    37.0,
    37.01,
    38.1,
    40.0,
    79.0,
    87.3,
    104.0,
    700.0,
    708.4,
    745.0,
    746.0,
    1000.0,
    1234.5,
    1e4,
    1e5,
    123_456.789,
    1e6,
];

/// Outputs of `n` examples with margins drawn from the list; the rivals of a row lie at, near or far above its margin.
fn outputs(seed: u64, k: usize, n: usize, margins: &[f64]) -> (Vec<f64>, Vec<u32>) {
    let mut rng = stream(seed, "losses", 0);
    let (mut out, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let y = rng.random_range(0..k.max(2));
        labels.push(y as u32);
        let margin = margins[rng.random_range(0..margins.len())];
        if k == 1 {
            out.push(if y == 0 { margin } else { -margin });
            continue;
        }
        // A common offset that does not change the loss, but costs the logits their last digits.
        let top = [0.0, 0.1, -777.7, 1e6 / 3.0][rng.random_range(0..4)];
        let row: Vec<f64> =
            (0..k).map(|_| [0.0, 0.0, 1e-3, 0.7, 30.0, 500.0][rng.random_range(0..6)]).collect();
        out.extend(row.iter().enumerate().map(|(j, gap)| if j == y { top } else { top - margin - gap }));
    }
    (out, labels)
}

#[test]
fn one_example_is_right_at_every_margin() {
    for &(kind, k) in KINDS {
        for &margin in MARGINS {
            for label in 0..k.max(2) {
                let out: Vec<f64> = if k == 1 {
                    vec![if label == 0 { margin } else { -margin }]
                } else {
                    // The nearest rival at the margin, the others tied or further away.
                    let rival = |j: usize| -margin - [0.0, 0.0, 1.0, 40.0][j % 4];
                    (0..k).map(|j| if j == label { 0.0 } else { rival(j) }).collect()
                };
                let labels = [label as u32];
                let (ln_loss, cot) = accumulated(loss(kind, "sum").as_ref(), &out, &labels);
                check(&format!("{kind} {k} at {margin}"), &truth(kind, &out, &labels), ln_loss, &cot);
                if label > 2 {
                    break;
                }
            }
        }
    }
}

#[test]
fn many_examples_of_mixed_margins_are_right_for_sum_and_mean() {
    let sets: [(&str, &[f64]); 6] = [
        ("all scales", MARGINS),
        ("misfitted", &[-1000.0, -999.5, -37.0, 3.0]),
        ("around the branch", &[36.5, 36.9, 37.0, 37.1, 38.0, 39.2, 40.0]),
        ("late", &[1e6, 1_000_000.25, 1_000_001.5, 1_000_600.0]),
        ("tied", &[1e5]),
        ("separated late", &[100.0, 123.25, 800.0, 1e6]),
    ];
    for &(kind, k) in KINDS {
        for (name, margins) in sets {
            for seed in 0..3 {
                let (out, labels) = outputs(seed, k, 40, margins);
                let sum = truth(kind, &out, &labels);
                let (ln_loss, cot) = accumulated(loss(kind, "sum").as_ref(), &out, &labels);
                check(&format!("{kind} {k}, {name}, sum"), &sum, ln_loss, &cot);
                let mean = Truth { ln_loss: &sum.ln_loss - big(labels.len() as f64).ln(), ..sum };
                let (ln_loss, cot) = accumulated(loss(kind, "mean").as_ref(), &out, &labels);
                check(&format!("{kind} {k}, {name}, mean"), &mean, ln_loss, &cot);
            }
        }
    }
}

#[test]
fn chunks_that_are_merged_lose_nothing() {
    // With one output a chunk has at most 4096 rows, with ten at most 1333: these are several chunks.
    for (kind, k, n) in [
        ("exponential", 1, 9001),
        ("logistic", 1, 4101),
        ("cross-entropy", 3, 4101),
        ("cross-entropy", 10, 1401),
    ] {
        for (seed, margins) in
            [MARGINS, &[1e6, 1_000_000.25, 1_000_300.0], &[20.0, 36.9, 37.0, 37.1, 50.0]].iter().enumerate()
        {
            let (out, labels) = outputs(seed as u64, k, n, margins);
            let exact = truth(kind, &out, &labels);
            let (ln_loss, cot, grad) = evaluated(loss(kind, "sum"), &out, &labels, k);
            check(&format!("{kind} {k}, {n} rows"), &exact, ln_loss, &cot);
            for (entry, ours) in grad.iter().enumerate() {
                // The weight's gradient is Σ cot·x: here only rounding of the sum is added.
                let (a, b) = (entry / k, entry % k);
                let terms = (0..n).map(|i| &exact.cotangent[i * k + a] * big(out[i * k + b]));
                let (mut sum, mut size) = (big(0.0), 0.0);
                for term in terms {
                    size += double(&term).abs();
                    sum += term;
                }
                let off = double(&(big(*ours) - sum)).abs();
                assert!(off <= 2e-13 * size, "{kind} {k}: gradient {entry} is off by {off:e} of {size:e}");
            }
        }
    }
}

#[test]
fn accumulating_piece_by_piece_is_accumulating_at_once() {
    for &(kind, k) in KINDS {
        let (out, labels) = outputs(7, k, 60, &[-3.0, 20.0, 36.9, 50.0, 400.0, 1e5]);
        let loss = loss(kind, "sum");
        let exact = truth(kind, &out, &labels);
        // From the latest examples to the earliest, so that the scale is raised again and again.
        let mut order: Vec<usize> = (0..labels.len()).collect();
        let own = |i: usize| accumulated(loss.as_ref(), &out[i * k..(i + 1) * k], &labels[i..=i]).0;
        order.sort_by(|&a, &b| own(a).total_cmp(&own(b)));
        let (mut total, mut cot) = (Scaled::ZERO, vec![0.0; out.len()]);
        let mut done: Vec<usize> = Vec::new();
        for i in order {
            let span = i * k..(i + 1) * k;
            let factor = loss.accumulate(&out[span.clone()], &labels[i..=i], &mut total, &mut cot[span]);
            assert!((0.0..=1.0).contains(&factor), "{kind}: raising a scale cannot enlarge: {factor}");
            done.iter().for_each(|&j| cot[j * k..(j + 1) * k].iter_mut().for_each(|c| *c *= factor));
            done.push(i);
        }
        cot.iter_mut().for_each(|c| *c /= total.sum);
        check(&format!("{kind} {k}, one by one"), &exact, total.ln(), &cot);
    }
}

#[test]
fn a_diverged_output_does_not_hide() {
    for &(kind, k) in KINDS {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for place in 0..3 * k {
                let (mut out, labels) = outputs(1, k, 3, &[5.0, 100.0]);
                out[place] = bad;
                let (ln_loss, cot) = accumulated(loss(kind, "sum").as_ref(), &out, &labels);
                let finite = ln_loss.is_finite() && cot.iter().all(|c| c.is_finite());
                // An infinite margin of the right sign is a limit that has a meaning: that example weighs nothing.
                let vanishes = bad.is_infinite() && cot[place].abs() == 0.0 && ln_loss.is_finite();
                assert!(!finite || vanishes, "{kind} {k}: {bad} at {place} gives ln loss {ln_loss}, {cot:?}");
            }
        }
    }
}

#[test]
fn stock_formulas_lose_the_gradient_where_ours_does_not() {
    // One dominant wrong logit, as far as p_y − 1 is exactly 0: true (−1, +1)/√2 against stock (0, +1).
    let out = [79.0f64, 0.0, -79.0, -79.0];
    let whole: f64 = out.iter().map(|o| (o - 79.0).exp()).sum();
    let stock: Vec<f64> =
        (0..4).map(|j| (out[j] - 79.0).exp() / whole - if j == 0 { 1.0 } else { 0.0 }).collect();
    assert_eq!(stock[0], 0.0);
    assert_eq!(-(1.0f64 / whole).ln(), 0.0, "the stock loss is 0");
    let (ln_loss, ours) = accumulated(loss("cross-entropy", "sum").as_ref(), &out, &[0]);
    assert_eq!(ln_loss, -79.0);
    let dot: f64 = stock.iter().zip(&ours).map(|(a, b)| a * b).sum();
    let size = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let cosine = dot / size(&stock) / size(&ours);
    assert!((cosine - 0.5f64.sqrt()).abs() < 1e-12, "{cosine}");
    // Where e^{-m} itself is 0 in f64 there is nothing left of the stock formulas, and nothing is missing here.
    for kind in ["exponential", "logistic"] {
        let (ln_loss, cot) = accumulated(loss(kind, "sum").as_ref(), &[800.0, -801.0], &[0, 1]);
        assert!((ln_loss + 800.0 - (-1.0f64).exp().ln_1p()).abs() < 1e-12);
        assert!(cot[0] < 0.0 && cot[1] > 0.0);
    }
}

#[test]
fn the_logistic_loss_has_the_tabulated_values() {
    let table: [[f64; 4]; 7] = [
        [-1000.0, 6.9077552789821371, 0.0, -1.0],
        [-5.0, 1.6107800810205641, -0.0067153484891180686, -0.99197485770333091],
        [0.0, -0.36651292058166433, -std::f64::consts::LN_2, 0.0],
        [5.0, -5.0033595532399083, -5.0067153484891181, 4.9832491456923871],
        [40.0, -40.0, -40.0, 40.0],
        [1000.0, -1000.0, -1000.0, 1000.0],
        [100000.0, -100000.0, -100000.0, 100000.0],
    ];
    for kind in ["logistic", "cross-entropy"] {
        for [q, ln_loss, ln_slope, pull] in table {
            // Cross-entropy of two classes is the logistic loss of the difference.
            let out = if kind == "logistic" { vec![q] } else { vec![q, 0.0] };
            let (ours, cot) = accumulated(loss(kind, "sum").as_ref(), &out, &[0]);
            assert!((ours - ln_loss).abs() <= 4.0 * ulp(ln_loss), "{kind} at {q}: {ours} against {ln_loss}");
            let slope = (-cot[0]).ln() + ours;
            assert!((slope - ln_slope).abs() <= 8.0 * ulp(ours), "{kind} at {q}: {slope} against {ln_slope}");
            assert!((-cot[0] * q - pull).abs() <= 1e-14 * pull.abs(), "{kind} at {q}: {cot:?}");
        }
    }
    let inverse = [
        (-1.0, -2.6500157972111685),
        (0.1, -0.38630271945708442),
        (1.0, 0.81042765524927552),
        (5.0, 4.9966291348374328),
        (36.0, 36.0),
        (100.0, 100.0),
        (100000.0, 100000.0),
    ];
    for (u, q) in inverse {
        for kind in ["logistic", "cross-entropy"] {
            assert!((loss(kind, "sum").inverse(u) - q).abs() <= 2.0 * ulp(q), "{kind} at {u}");
        }
        assert_eq!(loss("exponential", "sum").inverse(u), u);
    }
}

#[test]
fn the_inverse_undoes_one_examples_loss_and_the_threshold_is_its_value_at_zero() {
    for kind in ["exponential", "logistic", "cross-entropy"] {
        let loss = loss(kind, "sum");
        let outputs = if kind == "cross-entropy" { 2 } else { 1 };
        let at = |q: f64| accumulated(loss.as_ref(), &[q, 0.0][..outputs], &[0]).0;
        for q in [-30.0, -2.0, 0.0, 0.5, 10.0, 36.9, 37.2, 1e3, 1e6] {
            // For q < 0 the inverse is ill-conditioned: an ulp of u moves q by 1/(f'(q)) ulps, f' = ℓ'/ℓ ~ 1/|q|.
            let allowed = 8.0 * ulp(q) * (1.0 + q.min(0.0).abs());
            assert!((loss.inverse(-at(q)) - q).abs() <= allowed, "{kind} at {q}: {}", loss.inverse(-at(q)));
        }
        assert!((at(0.0) - loss.ln_threshold()).abs() <= 1e-15, "{kind}");
    }
}

#[test]
fn constraints_carry_the_margins_and_their_multipliers() {
    let (out, labels) = outputs(3, 3, 5, &[2.0, 40.0]);
    let loss = loss("cross-entropy", "mean");
    assert_eq!(loss.reduction(), Reduction::Mean);
    let (_, cot) = accumulated(loss.as_ref(), &out, &labels);
    let mut list = Vec::new();
    for (i, &y) in labels.iter().enumerate() {
        loss.constraints(i, y, &out[3 * i..3 * i + 3], &cot[3 * i..3 * i + 3], &mut list);
    }
    assert_eq!(list.len(), 10);
    // Σ weight·∂(margin)/∂out is −∂ ln 𝓛/∂out, row by row.
    let (mut back, mut one) = (vec![0.0; out.len()], [0.0; 3]);
    for c in &list {
        loss.constraint_cotangent(labels[c.example], c.rival, &mut one);
        let span = 3 * c.example..3 * c.example + 3;
        let value: f64 = one.iter().zip(&out[span.clone()]).map(|(a, b)| a * b).sum();
        assert!((value - c.value).abs() <= 1e-9, "{c:?}");
        back[span].iter_mut().zip(&one).for_each(|(b, o)| *b -= c.weight * o);
    }
    back.iter().zip(&cot).for_each(|(a, b)| assert!((a - b).abs() <= 1e-15 * b.abs().max(1e-3), "{a} {b}"));
}
