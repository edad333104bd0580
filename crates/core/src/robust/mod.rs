//! How far an input must move before a network calls it something else, in ℓ2, from both sides.
//!
//! For an example x with label y let q(x) = min_j s_j(x) be its least margin: y·f(x) for two classes, f_y(x) − f_j(x) over the
//! rivals j for more. Its robustness is
//!
//! > R(x) = min ‖δ‖₂ subject to q(x + δ) ≤ 0, x + δ ∈ B,
//!
//! B a box such as [0, 1]^d or the whole space; 0 where q(x) ≤ 0 already.
//!
//! | side | here |
//! |---|---|
//! | R(x) ≤ ‖δ‖ for any δ with q(x + δ) ≤ 0 | [`Attack`]: finds a short one and verifies it |
//! | R(x) ≥ min_j s_j(x)/Lip(s_j) | [`Bounds`]: from the norms of the layers (Lyu & Li 2020, section 1 and appendix L) |
//!
//! # Properties
//! Both are unchanged when all margins are multiplied by one positive number, and so under θ → cθ for a homogeneous network:
//! only the signs of margins, their ratios and normalised gradients decide. An attack on a loss loses its gradient once the
//! loss is below the smallest f64; this one works at ln 𝓛 = −100000 as at −1.

mod attack;
mod bound;
mod project;
mod walk;

pub use attack::{Adversary, Attack};
pub use bound::Bounds;
pub use project::{Cut, project};

use crate::loss::{Constraint, Loss};
use crate::model::Model;

/// A network at one θ, seen as margins that are functions of the input.
#[derive(Clone, Copy, Debug)]
pub struct Margins<'a> {
    /// θ and inputs to outputs.
    pub model: &'a dyn Model,
    /// What the margins of a label are.
    pub loss: &'a dyn Loss,
    /// θ.
    pub theta: &'a [f64],
}

impl Margins<'_> {
    /// Writes the margins of an example to `list`, given its outputs.
    pub(crate) fn list(&self, label: u32, out: &[f64], list: &mut Vec<Constraint>) {
        list.clear();
        // Weights are of no interest here, so any cotangent will do.
        self.loss.constraints(0, label, out, out, list);
    }
}

/// The least of some margins and its rival; NaN, so that no answer is drawn from it, where one of them is NaN.
fn least(list: &[Constraint]) -> (f64, usize) {
    list.iter().fold((f64::INFINITY, 0), |(q, rival), c| match c.value.is_nan() || q.is_nan() {
        true => (f64::NAN, rival),
        false if c.value < q => (c.value, c.rival),
        false => (q, rival),
    })
}
