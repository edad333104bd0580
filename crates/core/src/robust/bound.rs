//! A lower bound on robustness from the norms of the layers.

use super::Margins;
use crate::loss::Constraint;
use crate::matrix::spectral_norm;
use crate::numeric::norm;
use crate::problem::outputs;
use crate::{Breakdown, Rows};

/// Relative rounding of a sum such as an output, of the largest: some hundred additions of 2⁻⁵³ each.
const ROUNDING: f64 = 3e-14;

/// Lipschitz constants of the margins as functions of the input, in ℓ2.
///
/// |s_j(x + δ) − s_j(x)| ≤ Lip(s_j)·‖δ‖, so no δ shorter than min_j s_j(x)/Lip(s_j) changes the class. Lip(s_j) is at most the
/// product of the Lipschitz constants of the layers; a run of affine layers at the end counts as the one covector that it
/// makes of s_j, so that the last layer enters as the length of a difference of two rows of W. For a linear network the
/// bound is the robustness itself.
///
/// Where a layer has no Lipschitz constant that is known (ReLU² has none), the bound is 0.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// By label: (rival, Lip(s_rival)).
    of: Vec<Vec<(usize, f64)>>,
}

impl Bounds {
    /// For every label, from θ, with each matrix as large as its largest singular value.
    pub fn new(margins: &Margins<'_>) -> Bounds {
        let k = margins.model.outputs();
        let (mut pairs, mut covectors) = (Vec::new(), Vec::new());
        for label in 0..k.max(2) {
            for rival in margins.rivals(label as u32) {
                let mut covector = vec![0.0; k];
                margins.loss.constraint_cotangent(label as u32, rival, &mut covector);
                pairs.push((label, rival));
                covectors.push(covector);
            }
        }
        let constants = margins.model.lipschitz_along(margins.theta, &covectors);
        let mut of = vec![Vec::new(); k.max(2)];
        for ((label, rival), constant) in pairs.into_iter().zip(constants) {
            of[label].push((rival, constant * (1.0 + ROUNDING)));
        }
        Bounds { of }
    }

    /// The looser bound that normalised margins give: ‖c‖·Lip(f) for the covector c of a margin, and every matrix as large
    /// as ‖W‖_F ≥ σ₁(W).
    ///
    /// For a fully connected network with 1-Lipschitz activations and one output that is R(x) ≥ q(x)/Π‖W_i‖_F, the
    /// example's own product margin (with rivals, over √2): the statement by which Lyu & Li connect margins to robustness.
    pub fn of_norms(margins: &Margins<'_>) -> Bounds {
        let (model, k) = (margins.model, margins.model.outputs());
        let (stored, layout) = (model.export(margins.theta), model.stored());
        // Lip(f) is a sum of products of σ₁'s, with each matrix at most once in each, so it rises by no more than this.
        let excess = layout.blocks().iter().filter(|b| b.is_matrix()).map(|b| {
            let largest = spectral_norm(b.of(&stored), b.rows, b.cols);
            largest.map_or(f64::INFINITY, |s| if s > 0.0 { norm(b.of(&stored)) / s } else { 1.0 })
        });
        let whole = model.lipschitz(margins.theta) * excess.product::<f64>() * (1.0 + ROUNDING);
        let mut of = Vec::new();
        for label in 0..k.max(2) as u32 {
            let length = |rival: usize| {
                let mut covector = vec![0.0; k];
                margins.loss.constraint_cotangent(label, rival, &mut covector);
                norm(&covector)
            };
            of.push(margins.rivals(label).into_iter().map(|j| (j, length(j) * whole)).collect());
        }
        Bounds { of }
    }

    /// The radii of many examples.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    pub fn radii(&self, margins: &Margins<'_>, x: Rows<'_>, labels: &[u32]) -> Result<Vec<f64>, Breakdown> {
        let k = margins.model.outputs();
        let out = outputs(margins.model, margins.theta, x)?;
        Ok(out.chunks(k).zip(labels).map(|(out, label)| self.radius(margins, *label, out)).collect())
    }

    /// The largest Lipschitz constant of a margin.
    pub fn largest(&self) -> f64 {
        self.of.iter().flatten().map(|(_, l)| *l).fold(0.0, f64::max)
    }

    /// min_j s_j/Lip(s_j) for an example with this label and these outputs, at least 0.
    pub fn radius(&self, margins: &Margins<'_>, label: u32, out: &[f64]) -> f64 {
        let mut list: Vec<Constraint> = Vec::new();
        margins.list(label, out, &mut list);
        let constants = &self.of[label as usize];
        // A bound that rounding undercuts is none: a margin is known to that of the outputs that it is made of.
        let doubt = ROUNDING * out.iter().fold(0.0f64, |m, o| m.max(o.abs()));
        let radius = |c: &Constraint| {
            let lipschitz = constants.iter().find(|(j, _)| *j == c.rival).map_or(f64::INFINITY, |(_, l)| *l);
            // A margin that does not depend on the input never changes sign; one that is 0 is on the wrong side.
            if c.value > 0.0 { (c.value - doubt).max(0.0) / lipschitz } else { 0.0 }
        };
        list.iter().map(radius).fold(f64::INFINITY, f64::min)
    }
}
