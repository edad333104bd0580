//! Steepest descent in the spectral norm: the polar factor of the gradient.
//!
//! ‖θ‖ = max over blocks of σ_1(W_l). With G_l = U_l Σ_l V_lᵀ, argmax { ⟨g, d⟩ : ‖d‖ ≤ 1 } = (U_l V_lᵀ)_l and the maximum is
//! Σ_l Σ_i σ_i(G_l): every singular value of every block moves at the same speed (Shampoo without accumulation, Muon
//! without momentum).
//!
//! # Shapes
//! Every block has to be a matrix; a single row or column is one, and its spectral norm is ℓ2.
//! # Accuracy
//! Full decomposition, relative error about 1e-15 times the number of singular values. Singular values up to
//! σ_1·max(rows, cols)·2⁻⁵² are rounding: d is the partial isometry of the others. Where σ_r is small, d is as
//! ill-conditioned as the polar factor is, σ_1/σ_r-fold.

use faer::Mat;
use serde::{Deserialize, Serialize};

use super::Norm;
use super::matrix::{decompose_all, only_matrices, over_blocks};
use crate::catalogue::Entry;
use crate::cite::{BERNSTEIN_2024, Cite, TSILIVIS_2024};
use crate::matrix::{Svd, eigen, rounding};
use crate::numeric::{compensated_sum, project_on_simplex};
use crate::{Invalid, Layout};

/// The largest singular value of all blocks; its steepest direction is the polar factor U Vᵀ of each.
///
/// # Errors
/// [`Norm::check`] refuses vectors and names the blockwise norm that mixes.
///
/// # Examples
/// A gradient of rank one gives a direction of rank one:
/// ```
/// use latephase_core::Layout;
/// use latephase_core::norm::{Norm, Spectral};
/// let mut layout = Layout::default();
/// layout.push("0.weight", &[2, 2], 1.0);
/// let mut d = [0.0; 4];
/// assert!((Spectral {}.steepest(&[8.0, 6.0, 0.0, 0.0], &layout, &mut d) - 10.0).abs() < 1e-14);
/// d.iter().zip([0.8, 0.6, 0.0, 0.0]).for_each(|(d, e)| assert!((d - e).abs() < 1e-15));
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spectral {}

impl Norm for Spectral {
    fn of(&self, v: &[f64], layout: &Layout) -> f64 {
        // f64::max would drop a NaN.
        let larger = |m: f64, s: f64| if s > m || s.is_nan() { s } else { m };
        over_blocks(v, layout, |s| s.first().copied().unwrap_or(0.0)).into_iter().fold(0.0, larger)
    }

    fn steepest(&self, g: &[f64], layout: &Layout, d: &mut [f64]) -> f64 {
        d.fill(0.0);
        let Some(svds) = decompose_all(g, layout) else { return f64::NAN };
        for (block, svd) in layout.blocks().iter().zip(&svds) {
            svd.add(&vec![1.0; svd.rank()], block.of_mut(d));
        }
        compensated_sum(svds.iter().flat_map(Svd::values))
    }

    fn dual(&self, g: &[f64], layout: &Layout) -> f64 {
        compensated_sum(over_blocks(g, layout, |s| compensated_sum(s.iter().copied())))
    }

    /// ∂½‖v‖² = ‖v‖·{(U_l S_l V_lᵀ)_l : S_l ⪰ 0, Σ_l tr S_l = 1} over the pairs of largest singular value; those of at
    /// least (1 − `within`)‖v‖ count as largest, and what rounding cannot tell apart always does. The nearest point is
    /// the projection of sym(Uᵀ target V)/‖v‖ on matrices of that kind: its eigenvalues, of all blocks together, are
    /// projected on the simplex.
    fn subgradient(&self, v: &[f64], layout: &Layout, target: &[f64], within: f64, k: &mut [f64]) {
        k.fill(0.0);
        let Some(svds) = decompose_all(v, layout) else { return k.fill(f64::NAN) };
        let size = svds.iter().flat_map(Svd::values).fold(0.0f64, f64::max);
        if size == 0.0 {
            return;
        }
        let mut faces = Vec::new();
        for (l, (block, svd)) in layout.blocks().iter().zip(&svds).enumerate() {
            let band = (1.0 - within.max(rounding(block.rows, block.cols))) * size;
            let count = svd.values().filter(|s| *s >= band).count();
            if count == 0 {
                continue;
            }
            let t = svd.project(count, block.of(target));
            let symmetric = Mat::from_fn(count, count, |a, b| 0.5 * (t[(a, b)] + t[(b, a)]) / size);
            let Some((values, vectors)) = eigen(symmetric.as_ref()) else { return k.fill(f64::NAN) };
            faces.push((l, values, vectors));
        }
        let mut weights: Vec<f64> = faces.iter().flat_map(|(_, values, _)| values.iter().copied()).collect();
        project_on_simplex(&mut weights);
        let mut weights = weights.into_iter();
        for (l, values, q) in faces {
            let w: Vec<f64> = weights.by_ref().take(values.len()).collect();
            let s = Mat::from_fn(w.len(), w.len(), |a, b| {
                (0..w.len()).map(|c| q[(a, c)] * w[c] * q[(b, c)]).sum()
            });
            svds[l].add_congruence(&s, size, layout.blocks()[l].of_mut(k));
        }
    }

    fn column(&self) -> String {
        "spectral".into()
    }

    fn check(&self, layout: &Layout) -> Result<(), Invalid> {
        only_matrices("spectral", layout)
    }
}

impl Entry for Spectral {
    const ABOUT: &'static str = "largest singular value of all blocks, matrices only (Shampoo, Muon)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TSILIVIS_2024, BERNSTEIN_2024];
}
