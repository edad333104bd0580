//! What the losses of the usual libraries make of the same network: their values and gradients, emulated in their own precision.
//!
//! `cross_entropy` of PyTorch takes log-softmax ℓ_j = z_j − max − ln Σ e^{z − max} and gives the gradient e^{ℓ_j} − [j = y]; for the
//! right class that is p_y − 1, which is exactly 0 once 1 + e^{−m} rounds to 1: past a margin of ln 2²⁴ = 16.6 in
//! float32 and ln 2⁵³ = 36.7 in float64. The gradients of the wrong classes live on until e^{−m} underflows (104, 745): the
//! gradient is not small, it points elsewhere. `binary_cross_entropy_with_logits` gives σ(z) − t, exactly 0 for target 1
//! and right for target 0: it trains on one class only. The exponential loss only underflows.
//!
//! The outputs are the exact ones, rounded once to the precision; a forward pass in float32 adds errors of its own.

use latephase_core::model::Tape;
use latephase_core::numeric::{dot, norm};
use latephase_core::{Breakdown, Eval, Problem};
use serde::Serialize;

/// Cosines below this count as wrong.
const RIGHT: f64 = 0.99;

/// What a stock loss makes of a network in one precision.
#[derive(Clone, Debug, Serialize)]
pub struct Stock {
    /// `float32` or `float64`.
    pub precision: &'static str,
    /// The function that is emulated.
    pub function: &'static str,
    /// Its value, the mean over the training set.
    pub value: f64,
    /// Share of the training examples whose gradient with respect to the outputs is 0.
    pub zero: f64,
    /// Share whose gradient is 0 or at a cosine below 0.99 to the true one.
    pub wrong: f64,
    /// Cosine of the gradient with respect to θ to the true one; NaN where the stock one is 0.
    pub cosine: f64,
}

/// A loss and its gradient with respect to the outputs of one example, in a stock formula.
type Formula = fn(&[f64], usize) -> (f64, Vec<f64>);

/// The stock form of a loss by its name in a spec, in both precisions; nothing for a loss that has none.
///
/// # Errors
/// Only models that run foreign code fail.
pub fn stock(loss: &str, problem: &Problem, theta: &[f64], full: &Eval) -> Result<Vec<Stock>, Breakdown> {
    let (function, formulas): (_, [Formula; 2]) = match loss {
        "cross-entropy" => ("cross_entropy", [cross_entropy::<f32>, cross_entropy::<f64>]),
        "logistic" => ("binary_cross_entropy_with_logits", [binary::<f32>, binary::<f64>]),
        "exponential" => ("exp(-margin)", [exponential::<f32>, exponential::<f64>]),
        _ => return Ok(Vec::new()),
    };
    let precisions = ["float32", "float64"].into_iter().zip(formulas);
    precisions.map(|(name, formula)| measure(name, function, formula, problem, theta, full)).collect()
}

fn measure(
    precision: &'static str,
    function: &'static str,
    formula: Formula,
    problem: &Problem,
    theta: &[f64],
    full: &Eval,
) -> Result<Stock, Breakdown> {
    let (n, k) = (problem.train.n(), problem.model.outputs());
    let mut cotangent = vec![0.0; n * k];
    let (mut value, mut zero, mut wrong) = (0.0, 0, 0);
    for (i, &label) in problem.train.labels().iter().enumerate() {
        let span = i * k..(i + 1) * k;
        let (loss, gradient) = formula(&full.outputs[span.clone()], label as usize);
        value += loss / n as f64;
        let (size, cosine) = (norm(&gradient), cosine(&gradient, &full.cotangent[span.clone()]));
        zero += usize::from(size == 0.0);
        // A true gradient too small for f64 beside the largest has no direction to compare; it is 0 there as well.
        wrong += usize::from(size == 0.0 || cosine < RIGHT);
        cotangent[span].copy_from_slice(&gradient);
    }
    // Only the direction is of interest, so the largest entry may be 1: nothing underflows on the way back.
    let largest = cotangent.iter().fold(0.0f64, |m, c| m.max(c.abs()));
    let cosine = if largest > 0.0 {
        cotangent.iter_mut().for_each(|c| *c /= largest);
        cosine(&pulled_back(problem, theta, &cotangent)?, &full.grad)
    } else {
        f64::NAN
    };
    let share = |count: usize| count as f64 / n as f64;
    Ok(Stock { precision, function, value, zero: share(zero), wrong: share(wrong), cosine })
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    dot(a, b) / (norm(a) * norm(b))
}

/// Jᵀ·cot over the training set.
fn pulled_back(problem: &Problem, theta: &[f64], cotangent: &[f64]) -> Result<Vec<f64>, Breakdown> {
    const ROWS: usize = 256;
    let (n, k, x) = (problem.train.n(), problem.model.outputs(), problem.train.rows());
    let (mut grad, mut tape) = (vec![0.0; theta.len()], Tape::default());
    for from in (0..n).step_by(ROWS) {
        let to = (from + ROWS).min(n);
        let (rows, mut out) = (x.slice(from, to), vec![0.0; (to - from) * k]);
        problem.model.forward(theta, rows, &mut out, &mut tape)?;
        let cot = &cotangent[from * k..to * k];
        problem.model.pullback(theta, rows, &mut tape, cot, Some(&mut grad), None)?;
    }
    Ok(grad)
}

/// Arithmetic of one precision, every operation rounded to it.
trait Float: Copy + PartialOrd + std::ops::Sub<Output = Self> + std::ops::Add<Output = Self> {
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn ln_1p(self) -> Self;
    fn recip(self) -> Self;
}

macro_rules! float {
    ($($ty:ident),+) => {$(impl Float for $ty {
        fn of(x: f64) -> Self {
            x as $ty
        }
        fn wide(self) -> f64 {
            f64::from(self)
        }
        fn exp(self) -> Self {
            self.exp()
        }
        fn ln(self) -> Self {
            self.ln()
        }
        fn ln_1p(self) -> Self {
            self.ln_1p()
        }
        fn recip(self) -> Self {
            self.recip()
        }
    })+};
}

float!(f32, f64);

fn cross_entropy<T: Float>(out: &[f64], y: usize) -> (f64, Vec<f64>) {
    let z: Vec<T> = out.iter().map(|o| T::of(*o)).collect();
    let top = z.iter().fold(z[0], |m, z| if *z > m { *z } else { m });
    let sum = z.iter().fold(T::of(0.0), |sum, z| sum + (*z - top).exp());
    let log_softmax: Vec<T> = z.iter().map(|z| *z - top - sum.ln()).collect();
    let gradient = log_softmax.iter().enumerate().map(|(j, l)| {
        let hot = T::of(if j == y { 1.0 } else { 0.0 });
        (l.exp() - hot).wide()
    });
    (-log_softmax[y].wide(), gradient.collect())
}

fn binary<T: Float>(out: &[f64], label: usize) -> (f64, Vec<f64>) {
    let (z, zero, one) = (T::of(out[0]), T::of(0.0), T::of(1.0));
    // The first class is target 1: its logit is the positive one.
    let target = if label == 0 { one } else { zero };
    let sigmoid = (one + (zero - z).exp()).recip();
    let (size, linear) = (if z > zero { zero - z } else { z }, if z > zero { z } else { zero });
    let part = if label == 0 { z } else { zero };
    ((linear - part + size.exp().ln_1p()).wide(), vec![(sigmoid - target).wide()])
}

fn exponential<T: Float>(out: &[f64], label: usize) -> (f64, Vec<f64>) {
    let (z, zero) = (T::of(out[0]), T::of(0.0));
    let value = (if label == 0 { zero - z } else { z }).exp().wide();
    (value, vec![if label == 0 { -value } else { value }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_loses_the_right_class_past_the_margins_of_the_theory() {
        // One dominant rival: the true direction is (−1, 1), and (0, 1) is at 45 degrees to it.
        for (margin, gradient) in [
            (16.0, cross_entropy::<f32> as Formula),
            (17.5, cross_entropy::<f32>),
            (36.0, cross_entropy::<f64>),
            (37.5, cross_entropy::<f64>),
        ] {
            let (value, g) = gradient(&[margin, 0.0, -1e4], 0);
            let is_past = margin == 17.5 || margin == 37.5;
            assert_eq!(g[0] == 0.0, is_past, "{margin}");
            assert_eq!(value == 0.0, is_past, "{margin}");
            assert!(g[1] > 0.0);
            let cosine = cosine(&g, &[-1.0, 1.0, 0.0]);
            assert!(if is_past { (cosine - 0.5f64.sqrt()).abs() < 1e-12 } else { cosine > 0.9 }, "{cosine}");
        }
        // Nine equal rivals: 1/√10.
        let out: Vec<f64> = [79.0].into_iter().chain([0.0; 9]).collect();
        let truth: Vec<f64> = [-9.0].into_iter().chain([1.0; 9]).collect();
        assert!((cosine(&cross_entropy::<f64>(&out, 0).1, &truth) - 0.1f64.sqrt()).abs() < 1e-12);
        // Past 745 nothing is left.
        assert_eq!(norm(&cross_entropy::<f64>(&[750.0, 0.0], 0).1), 0.0);
    }

    #[test]
    fn binary_cross_entropy_trains_on_one_class_only() {
        let (value, gradient) = binary::<f32>(&[17.5], 0);
        assert!((value / f64::exp(-17.5) - 1.0).abs() < 1e-6 && gradient == [0.0], "{value}");
        assert_eq!(binary::<f64>(&[37.5], 0).1, [0.0]);
        for (one, margin) in [(binary::<f32>(&[-17.5], 1), 17.5), (binary::<f64>(&[-700.0], 1), 700.0)] {
            assert!((one.1[0] / f64::exp(-margin) - 1.0).abs() < 1e-5, "{one:?}");
        }
        assert_eq!(exponential::<f32>(&[104.5], 0).0, 0.0);
        assert!(exponential::<f64>(&[104.5], 0).0 > 0.0);
    }
}
