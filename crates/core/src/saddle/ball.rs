//! Unit balls: what a proximal step asks of a norm.

use std::fmt::Debug;

use super::Pieces;
use super::blocks::Product;
use super::entries::{Cross, Cube, Sphere};
use super::matrices::Matrix;
use super::power::Power;
use crate::norm::{AnyNorm, Combine, L2};
use crate::{Block, Invalid, Layout};

/// A unit ball over vectors of `dim` numbers.
pub(crate) trait Ball: Send + Sync + Debug {
    /// Length of its vectors.
    fn dim(&self) -> usize;
    /// The ℓ2 length of a usual steepest direction.
    fn size(&self) -> f64;
    /// ‖v‖⋆, NaN where a decomposition failed.
    fn dual(&self, v: &[f64]) -> f64;
    /// Writes y = argmax ⟨v, y⟩ − ‖y − w‖²/2τ over the ball and returns the maximum. A smooth norm leaves out the second term.
    /// None where a decomposition failed.
    fn respond(&self, v: &[f64], w: &[f64], tau: f64, y: &mut [f64]) -> Option<(f64, Box<dyn Face>)>;
}

/// How y changes with v.
pub(crate) trait Face: Debug {
    /// Adds ⟨g_k, y'[g_l]⟩ to a matrix of as many rows as there are pieces.
    fn curvature(&self, pieces: &dyn Pieces, to: &mut [f64]);
}

/// ⟨v, y⟩ − ‖y − w‖²/2τ.
pub(super) fn height(v: &[f64], w: &[f64], tau: f64, y: &[f64]) -> f64 {
    let apart = crate::numeric::distance(y, w);
    crate::numeric::dot(v, y) - apart * apart / (2.0 * tau)
}

/// The ball of a norm over these blocks.
///
/// # Errors
/// A norm that does not fit the blocks, or one that has none here, with those that have.
pub(super) fn of(norm: &AnyNorm, layout: &Layout) -> Result<Box<dyn Ball>, Invalid> {
    norm.build().check(layout)?;
    let dim = layout.dim();
    Ok(match norm {
        AnyNorm::L1(_) => Box::new(Cross { dim }),
        AnyNorm::Linf(_) => Box::new(Cube { dim }),
        AnyNorm::L2(_) => Box::new(Sphere { dim }),
        AnyNorm::Lp(lp) if lp.p == 1.0 => Box::new(Cross { dim }),
        AnyNorm::Lp(lp) => Box::new(Power { p: lp.p, layout: layout.clone() }),
        AnyNorm::FrobeniusMax(_) => product(layout, |_| Ok(L2 {}.into()))?,
        AnyNorm::Spectral(_) | AnyNorm::Nuclear(_) if layout.blocks().len() == 1 => {
            let block = &layout.blocks()[0];
            match (block.rows.min(block.cols), norm) {
                // One row or column has one singular value, its length.
                (1, _) => Box::new(Sphere { dim }),
                (_, AnyNorm::Nuclear(_)) => Box::new(Matrix::nuclear(block.rows, block.cols)),
                _ => Box::new(Matrix::spectral(block.rows, block.cols)),
            }
        }
        AnyNorm::Spectral(_) => product(layout, |_| Ok(norm.clone()))?,
        AnyNorm::Blockwise(parts) if parts.combine == Combine::Max => product(layout, |block| {
            match parts.chosen(block) {
                // At a block where v is 0 the norm is not smooth.
                (AnyNorm::Lp(lp), at) if lp.p != 1.0 && lp.p != 2.0 => {
                    Err(Invalid::new(at, "lp of a block has no saddle solver; use l1, l2, linf or spectral"))
                }
                (norm, _) => Ok(norm.clone()),
            }
        })?,
        AnyNorm::Nuclear(_) | AnyNorm::Blockwise(_) | AnyNorm::External(_) => {
            return Err(Invalid::new(
                "",
                format!(
                    "`{}` has no saddle solver over these blocks; use l1, l2, linf, lp, spectral, frobenius-max, or blockwise \
                     with combine = \"max\" over l1, l2, linf and spectral",
                    norm.name()
                ),
            ));
        }
    })
}

/// The product of the balls of the blocks, each in the norm that `of_block` names.
fn product(
    layout: &Layout,
    of_block: impl Fn(&Block) -> Result<AnyNorm, Invalid>,
) -> Result<Box<dyn Ball>, Invalid> {
    let part = |block: &Block| of(&of_block(block)?, &block.alone());
    Ok(Box::new(Product { parts: layout.blocks().iter().map(part).collect::<Result<_, _>>()? }))
}
