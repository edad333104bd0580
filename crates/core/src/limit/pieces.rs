//! Models of the margins around a point, as cuts.

use crate::Breakdown;

/// Concave models q̂_i of the margins around a centre θ, the cuts of them that a programme has met, ⟨g_k, x⟩ ≥ b_k, and the
/// metric B of the programme min ⟨θ, d⟩ + ½⟨d, Bd⟩ over θ + d that keeps the cuts.
pub(super) trait Pieces {
    /// The least proximal weight.
    fn least_weight(&self) -> f64;

    /// Moves the centre; the cuts at hand, which carry the weights `lambda`, become those of the new model that are made the
    /// same way.
    fn centre(&mut self, theta: &[f64], lambda: &[f64]) -> Result<(), Breakdown>;

    /// Sets the proximal weight.
    fn weigh(&mut self, weight: f64);

    /// The least margin of the network itself.
    fn least(&self, theta: &[f64]) -> Result<f64, Breakdown>;

    /// Adds a cut at x for every constraint whose model there is below `level`; with `at_centre` x is the centre, and a model
    /// value below 2 − `level` is enough. Returns how many joined, and the least value.
    fn cut(&mut self, x: &[f64], level: f64, at_centre: bool) -> Result<(usize, f64), Breakdown>;

    /// A step to x fell short: brings the model to what the network is there, where that is possible; whether it was.
    fn learn(&mut self, x: &[f64]) -> Result<bool, Breakdown>;

    /// Number of cuts.
    fn cuts(&self) -> usize;

    /// Keeps some of the cuts.
    fn retain(&mut self, keep: &[bool]);

    /// ⟨g_i, B⁻¹ g_j⟩.
    fn inner(&self, i: usize, j: usize) -> f64;

    /// b_k − ⟨g_k, θ − B⁻¹θ⟩: the linear term of the dual.
    fn right(&self, k: usize) -> f64;

    /// Σ λ_k g_k.
    fn combine(&self, lambda: &[f64], to: &mut [f64]);

    /// θ + B⁻¹(sum − θ).
    fn towards(&self, sum: &[f64], to: &mut [f64]);

    /// The answer of the whole programme, where the model has a better way than cutting planes.
    fn proximal(&mut self, _size: f64) -> Option<Proximal> {
        None
    }

    /// Takes the kinks that cuts of these weights need to exactly 0, and neurons out that die and are shorter than `small`.
    fn settle(&self, lambda: &[f64], small: f64, theta: &mut [f64]);
}

/// The answer of a programme.
pub(super) struct Proximal {
    /// θ + d.
    pub x: Vec<f64>,
    /// Σ λ_k g_k.
    pub sum: Vec<f64>,
    /// Constraints with weight, and kinks with a slope between the one-sided ones.
    pub pieces: usize,
}

/// Drops what is not kept.
pub(super) fn keep<T>(list: &mut Vec<T>, keep: &[bool]) {
    let mut flags = keep.iter();
    list.retain(|_| flags.next().copied().unwrap_or(true));
}
