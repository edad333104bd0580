//! Cross-entropy over k classes: ℓ = ln(1 + Σ_{j≠y} e^{−s_j}), s_j = out_y − out_j.
//!
//! ∂ℓ/∂out_j = e^{−s_j}/(1 + Σ e^{−s}) for j ≠ y; for the right class it is minus their *sum*, never p_y − 1, which is
//! exactly 0 from a margin of 37 on.

use serde::{Deserialize, Serialize};

use super::{Constraint, Loss, Reduction};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::numeric::{Scaled, exact_difference, logistic_inverse};

/// ℓ = −ln softmax(out)_y for k ≥ 2 classes, one output for each.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossEntropy {
    /// `sum` (default) or `mean`.
    #[serde(default)]
    pub reduction: Reduction,
}

/// The larger number, NaN if either is: a diverged output must not hide.
fn nan_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// −s_j as an exact pair: logits of size 10⁶ differ by more digits than one f64 holds.
fn rise(out: &[f64], y: usize, j: usize) -> (f64, f64) {
    exact_difference(out[j], out[y])
}

/// max_{j≠y} −s_j, and the anchor in which the example's loss is of moderate size.
fn anchor(out: &[f64], y: usize) -> (f64, f64) {
    let top = (0..out.len()).filter(|&j| j != y).map(|j| rise(out, y, j).0).fold(f64::NEG_INFINITY, nan_max);
    // Below −37 − ln k, ln(1 + r) = r and softplus(r) = 0 to rounding, so the example is a plain sum of exponentials.
    let late = top < -(37.0 + (out.len() as f64).ln());
    (
        top,
        if late {
            top
        } else if top.is_nan() {
            f64::NAN
        } else {
            0.0
        },
    )
}

impl Loss for CrossEntropy {
    fn outputs(&self, classes: usize) -> Result<usize, Invalid> {
        if classes >= 2 {
            return Ok(classes);
        }
        Err(Invalid::new("kind", format!("cross-entropy needs at least 2 classes; the data have {classes}")))
    }

    fn accumulate(&self, out: &[f64], labels: &[u32], into: &mut Scaled, cot: &mut [f64]) -> f64 {
        let k = out.len() / labels.len().max(1);
        let row = |i: usize| &out[i * k..(i + 1) * k];
        let shift = (0..labels.len()).map(|i| anchor(row(i), labels[i] as usize).1);
        let factor = into.raise(shift.fold(f64::NEG_INFINITY, nan_max));
        for (i, &label) in labels.iter().enumerate() {
            let (out, cot, y) = (row(i), &mut cot[i * k..(i + 1) * k], label as usize);
            let (top, anchor) = anchor(out, y);
            let wrong = || (0..k).filter(|&j| j != y);
            // M = max(0, top) keeps every exponential of an early example at most 1.
            let m = if anchor == 0.0 { top.max(0.0) } else { into.shift };
            let mut total = 0.0;
            for j in wrong() {
                let (hi, lo) = rise(out, y, j);
                cot[j] = ((hi - m) + lo).exp();
                total += cot[j];
            }
            if anchor == 0.0 {
                let scale = (-into.shift).exp();
                let (z, value) = if m > 0.0 {
                    let z = (-m).exp() + total;
                    (z, m + z.ln())
                } else {
                    (1.0 + total, total.ln_1p())
                };
                into.sum += value * scale;
                wrong().for_each(|j| cot[j] *= scale / z);
                cot[y] = -(total * (scale / z));
            } else {
                into.sum += total;
                cot[y] = -total;
            }
        }
        factor
    }

    fn constraints(&self, example: usize, label: u32, out: &[f64], cot: &[f64], to: &mut Vec<Constraint>) {
        let y = label as usize;
        for j in (0..out.len()).filter(|&j| j != y) {
            to.push(Constraint { example, rival: j, value: out[y] - out[j], weight: cot[j] });
        }
    }

    fn constraint_cotangent(&self, label: u32, rival: usize, cot: &mut [f64]) {
        cot.fill(0.0);
        cot[label as usize] = 1.0;
        cot[rival] = -1.0;
    }

    fn is_correct(&self, label: u32, out: &[f64]) -> bool {
        let y = label as usize;
        (0..out.len()).all(|j| j == y || out[y] > out[j])
    }

    fn inverse(&self, u: f64) -> f64 {
        logistic_inverse(u)
    }

    fn ln_threshold(&self) -> f64 {
        std::f64::consts::LN_2.ln()
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}

impl Entry for CrossEntropy {
    const ABOUT: &'static str = "-ln softmax(out)_y, k classes";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
