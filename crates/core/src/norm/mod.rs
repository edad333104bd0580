//! Norms on parameter space: the geometries of steepest descent.

use std::fmt::Debug;

use crate::numeric::{compensated_sum, distance, norm};
use crate::{Invalid, Layout};

mod blockwise;
mod faces;
mod frobenius_max;
mod l1;
mod l2;
mod linf;
mod lp;
mod matrix;
mod nuclear;
mod spectral;

pub use blockwise::{Blockwise, Combine};
pub use frobenius_max::FrobeniusMax;
pub use l1::L1;
pub use l2::L2;
pub use linf::Linf;
pub use lp::Lp;
pub use nuclear::Nuclear;
pub use spectral::Spectral;

/// A norm: its value, and the linear minimisation oracle.
///
/// # Properties
/// ‖d‖ ≤ 1 and ⟨g, d⟩ = ‖g‖⋆ for d = `steepest(g)`; d(cg) = d(g) for c > 0; ⟨g, v⟩ ≤ ‖g‖⋆·‖v‖ for all v.
pub trait Norm: Send + Sync + Debug {
    /// ‖v‖.
    fn of(&self, v: &[f64], layout: &Layout) -> f64;
    /// Writes argmax ⟨g, d⟩ over ‖d‖ ≤ 1 and returns the maximum, the dual norm ‖g‖⋆ (NaN when a matrix kernel failed).
    fn steepest(&self, g: &[f64], layout: &Layout, d: &mut [f64]) -> f64;
    /// ‖g‖⋆ and the c with `steepest(g)` = c·g to the last bit, where there is one: such a direction needs no memory.
    fn multiple(&self, _g: &[f64]) -> Option<(f64, f64)> {
        None
    }
    /// Writes the element of ∂½‖v‖² that is nearest to `target` in ℓ2, the face that supports ‖v‖ widened by a relative
    /// `within`: parts of v that are within that of supporting the norm count as supporting it.
    ///
    /// With `within` = 0, k ∈ ∂½‖v‖² means ⟨k, v⟩ = ‖v‖² and ‖k‖⋆ = ‖v‖; widened, ‖k‖⋆ = ‖v‖ still and
    /// ⟨k, v⟩ ≥ (1 − `within`)‖v‖².
    fn subgradient(&self, v: &[f64], layout: &Layout, target: &[f64], within: f64, k: &mut [f64]);
    /// The suffix of columns that divide by this norm.
    fn column(&self) -> String;
    /// Checks the settings against the blocks.
    ///
    /// # Errors
    /// A power below 1; a matrix norm of blocks that are not matrices.
    fn check(&self, _layout: &Layout) -> Result<(), Invalid> {
        Ok(())
    }
    /// 1 − ⟨v, y⟩/(‖v‖·‖y‖⋆), between 0 and 2: 0 where y is a multiple of an element of ∂½‖v‖². NaN where v or y is 0.
    ///
    /// The default subtracts from 1 and has an absolute error of a few 2⁻⁵³; a norm that knows better sums what is left.
    fn misalignment(&self, v: &[f64], y: &[f64], layout: &Layout) -> f64 {
        let inner = compensated_sum(v.iter().zip(y).map(|(v, y)| v * y));
        1.0 - inner / (self.of(v, layout) * self.dual(y, layout))
    }
    /// The share of y off the face of the dual ball that supports ‖v‖, widened by `within` as in [`Norm::subgradient`]:
    /// 0 on the face, whatever the length of y.
    ///
    /// By default the ℓ2 distance to the face over ‖y‖₂, for y made as long as ∂½‖v‖²; a norm with a better measure of mass
    /// has its own.
    fn off_face(&self, v: &[f64], y: &[f64], layout: &Layout, within: f64) -> f64 {
        let length = self.of(v, layout) / self.dual(y, layout);
        let scaled: Vec<f64> = y.iter().map(|y| length * y).collect();
        let mut k = vec![0.0; v.len()];
        self.subgradient(v, layout, &scaled, within, &mut k);
        distance(&scaled, &k) / norm(&scaled)
    }
    /// ‖g‖⋆.
    fn dual(&self, g: &[f64], layout: &Layout) -> f64 {
        self.steepest(g, layout, &mut vec![0.0; g.len()])
    }
}

/// The Bregman divergence D^m(y, z) = ½‖y‖⋆² − ½‖z‖⋆² − ⟨m, y − z⟩ of ½‖·‖⋆², for m ∈ ∂½‖z‖⋆² (Tsilivis et al. 2024,
/// Definition 26). Never negative; 0 says that y, too, supports m.
pub fn bregman(norm: &dyn Norm, layout: &Layout, y: &[f64], z: &[f64], m: &[f64]) -> f64 {
    let (a, b) = (norm.dual(y, layout), norm.dual(z, layout));
    let inner = compensated_sum(m.iter().zip(y.iter().zip(z)).map(|(m, (y, z))| m * (y - z)));
    0.5 * (a - b) * (a + b) - inner
}

crate::catalogue! {
    /// The norm of a spec.
    pub AnyNorm: Norm, "norm" {
        "l2" => L2,
        "l1" => L1,
        "linf" => Linf,
        "lp" => Lp,
        "spectral" => Spectral,
        "nuclear" => Nuclear,
        "blockwise" => Blockwise,
        "frobenius-max" => FrobeniusMax,
    }
}

impl Default for AnyNorm {
    fn default() -> Self {
        L2 {}.into()
    }
}
