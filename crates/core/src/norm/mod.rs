//! Norms on parameter space: the geometries of steepest descent.

use std::fmt::Debug;

use crate::Layout;

mod l1;
mod l2;
mod linf;

pub use l1::L1;
pub use l2::L2;
pub use linf::Linf;

/// A norm: its value, and the linear minimisation oracle.
///
/// # Properties
/// ‖d‖ ≤ 1 and ⟨g, d⟩ = ‖g‖⋆ for d = `steepest(g)`; d(cg) = d(g) for c > 0; ⟨g, v⟩ ≤ ‖g‖⋆·‖v‖ for all v.
pub trait Norm: Send + Sync + Debug {
    /// ‖v‖.
    fn of(&self, v: &[f64], layout: &Layout) -> f64;
    /// Writes argmax ⟨g, d⟩ over ‖d‖ ≤ 1 and returns the maximum, the dual norm ‖g‖⋆.
    fn steepest(&self, g: &[f64], layout: &Layout, d: &mut [f64]) -> f64;
    /// The suffix of columns that divide by this norm.
    fn column(&self) -> String;
}

crate::catalogue! {
    /// The norm of a spec.
    pub AnyNorm: Norm, "norm" {
        "l2" => L2,
        "l1" => L1,
        "linf" => Linf,
    }
}

impl Default for AnyNorm {
    fn default() -> Self {
        L2 {}.into()
    }
}
