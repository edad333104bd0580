//! Steepest descent in the nuclear norm: the leading singular pair of the gradient.
//!
//! ‖θ‖ = Σ_l Σ_i σ_i(W_l) over all blocks. argmax { ⟨g, d⟩ : ‖d‖ ≤ 1 } = u_1 v_1ᵀ of the block whose σ_1(G_l) is largest (the
//! first of equal ones), 0 in the others, and the maximum is that σ_1: coordinate descent in the basis of singular
//! pairs. u_1 v_1ᵀ has no sign to choose; of several pairs that tie within a block, the decomposition's first is taken.
//!
//! # Shapes
//! Every block has to be a matrix; a single row or column is one, and its nuclear norm is ℓ2.

use serde::{Deserialize, Serialize};

use super::Norm;
use super::matrix::{decompose_all, only_matrices, over_blocks};
use crate::catalogue::Entry;
use crate::cite::{Cite, GUNASEKAR_2018, TSILIVIS_2024};
use crate::matrix::Svd;
use crate::numeric::compensated_sum;
use crate::{Invalid, Layout};

/// The sum of the singular values of all blocks; its steepest direction has rank one.
///
/// # Errors
/// [`Norm::check`] refuses vectors and names the blockwise norm that mixes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nuclear {}

impl Norm for Nuclear {
    fn of(&self, v: &[f64], layout: &Layout) -> f64 {
        compensated_sum(over_blocks(v, layout, |s| compensated_sum(s.iter().copied())))
    }

    fn steepest(&self, g: &[f64], layout: &Layout, d: &mut [f64]) -> f64 {
        d.fill(0.0);
        let Some(svds) = decompose_all(g, layout) else { return f64::NAN };
        let (mut largest, mut at) = (0.0, None);
        for (block, svd) in layout.blocks().iter().zip(&svds) {
            let top = svd.values().next().unwrap_or(0.0);
            if top > largest {
                (largest, at) = (top, Some((block, svd)));
            }
        }
        if let Some((block, svd)) = at {
            svd.add(&[1.0], block.of_mut(d));
        }
        largest
    }

    fn dual(&self, g: &[f64], layout: &Layout) -> f64 {
        let larger = |m: f64, s: f64| if s > m || s.is_nan() { s } else { m };
        over_blocks(g, layout, |s| s.first().copied().unwrap_or(0.0)).into_iter().fold(0.0, larger)
    }

    /// ∂½‖v‖² = ‖v‖·{(U_l V_lᵀ + Z_l)_l : Z_l orthogonal to the range and the row space of v_l, σ_1(Z_l) ≤ 1}. Singular values
    /// up to `within`·‖v‖ in sum, over all blocks and the smallest first, count as 0, and so does rounding. The nearest Z
    /// is what is left of target/‖v‖ there, its singular values cut at 1.
    fn subgradient(&self, v: &[f64], layout: &Layout, target: &[f64], within: f64, k: &mut [f64]) {
        k.fill(0.0);
        let Some(svds) = decompose_all(v, layout) else { return k.fill(f64::NAN) };
        let size = compensated_sum(svds.iter().flat_map(Svd::values));
        if size == 0.0 {
            return;
        }
        let mut ranks: Vec<usize> = svds.iter().map(Svd::rank).collect();
        let pairs =
            svds.iter().enumerate().flat_map(|(l, svd)| svd.values().take(ranks[l]).map(move |s| (s, l)));
        let mut pairs: Vec<(f64, usize)> = pairs.collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        // A pair whose sign turns from +1 to −1 costs twice its singular value in ⟨k, v⟩.
        let mut free = 0.5 * within * size;
        for (s, l) in pairs {
            free -= s;
            if free < 0.0 {
                break;
            }
            ranks[l] -= 1;
        }
        for ((block, svd), rank) in layout.blocks().iter().zip(&svds).zip(ranks) {
            let mut rest: Vec<f64> = block.of(target).iter().map(|t| t / size).collect();
            svd.remove_leading(rank, &mut rest);
            let Some(outside) = Svd::of(&rest, block.rows, block.cols) else { return k.fill(f64::NAN) };
            let cut: Vec<f64> = outside.values().take_while(|s| *s > 1.0).map(|s| 1.0 - s).collect();
            outside.add(&cut, &mut rest);
            let into = block.of_mut(k);
            into.iter_mut().zip(&rest).for_each(|(k, z)| *k = size * z);
            svd.add(&vec![size; rank], into);
        }
    }

    fn column(&self) -> String {
        "nuclear".into()
    }

    fn check(&self, layout: &Layout) -> Result<(), Invalid> {
        only_matrices("nuclear", layout)
    }
}

impl Entry for Nuclear {
    const ABOUT: &'static str = "sum of the singular values of all blocks, matrices only";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[GUNASEKAR_2018, TSILIVIS_2024];
}
