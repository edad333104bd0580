//! The geometry of a flow in another norm than ℓ2, and its direction.
//!
//! The steepest flow of a norm is θ' = ‖g⋆‖⋆ŷ, with g⋆ the element of least ‖·‖⋆ of conv{limits of ∇F} and ŷ the direction of
//! norm 1 that raises all of them (Tsilivis et al. 2024, Proposition 7). A step of length r, the part κ of ‖θ‖ or less, goes to
//!
//! max_{‖x‖≤r} min_k (e_k + ⟨g_k, x⟩) = min_λ r‖Σλ_k g_k‖⋆ + Σλ_k e_k,
//!
//! the saddle problem with c_k = e_k/r. In ℓ2 that is the proximal step of length h = r/‖d‖. ‖θ‖, κ, ε and distances on the sphere
//! are in the norm; a kink that repels is still told by ℓ2 lengths, which only set the scale of its linearisation error.

use std::sync::Arc;

use super::members::Members;
use crate::descent::{built, kernel_failed};
use crate::norm::{AnyNorm, Norm};
use crate::saddle::{Pieces, Saddle};
use crate::{Breakdown, Invalid, Layout, State};

/// Relative gap at which a saddle is good enough: what the model promises is then known to that part, and a step is kept at 0.3
/// of it. At 1e-4 margins agree to what κ leaves open, for a third more passes.
const GAP: f64 = 1e-3;

#[derive(Clone, Debug)]
pub(super) struct Geometry {
    norm: Arc<dyn Norm>,
    layout: Layout,
    saddle: Saddle,
    /// ⟨ĝ_k, ŷ⟩ by slot.
    pub rises: Vec<f64>,
    /// Steps of Newton's method so far, and saddles whose gap stayed above [`GAP`].
    pub newton: u64,
    pub open: u64,
}

/// What a saddle says beside its direction.
pub(super) struct Found {
    /// ‖Σλ_k ĝ_k‖⋆.
    pub dual_norm: f64,
    /// By slot.
    pub lambda: Vec<f64>,
}

impl Geometry {
    /// The geometry of a norm over these blocks.
    pub fn new(norm: &AnyNorm, layout: &Layout) -> Result<Self, Invalid> {
        let built = built(norm, layout)?;
        let saddle = Saddle::new(norm, layout, GAP).map_err(|e| match e.field.as_str() {
            "" => Invalid::new("norm", e.message),
            field => Invalid::new(format!("norm.{field}"), e.message),
        })?;
        Ok(Geometry { norm: built, layout: layout.clone(), saddle, rises: Vec::new(), newton: 0, open: 0 })
    }

    /// ‖v‖.
    pub fn of(&self, v: &[f64]) -> f64 {
        self.norm.of(v, &self.layout)
    }

    /// ‖a − b‖.
    pub fn distance(&self, a: impl Iterator<Item = f64>, b: &[f64]) -> f64 {
        self.of(&a.zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
    }

    /// ŷ.
    pub fn direction(&self) -> &[f64] {
        self.saddle.direction()
    }

    /// The saddle over the members, `linear` being e_k/r by slot in units of the ĝ_k.
    pub fn solve(&mut self, members: &Members, linear: &[f64]) -> Result<Found, Breakdown> {
        let live = Live::new(members);
        let at = |by_slot: &[f64]| live.ids.iter().map(|k| by_slot[*k]).collect::<Vec<_>>();
        let found = self.saddle.solve(&live, &at(linear), &at(&members.lambda)).ok_or_else(kernel_failed)?;
        self.newton += found.steps as u64;
        self.open += u64::from(found.gap() > GAP);
        self.rises = live.spread(&found.inner);
        Ok(Found { dual_norm: found.dual_norm, lambda: live.spread(&found.lambda) })
    }

    /// Saves what the next step depends on.
    pub fn save(&self) -> State {
        let mut state = State::default();
        state.put("direction", self.direction());
        state.put("rises", &self.rises);
        state.put_counts("counts", &[self.newton, self.open]);
        state
    }

    /// Takes what [`save`](Self::save) gave.
    pub fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let direction = state.get("direction")?;
        if direction.len() != self.layout.dim() {
            return Err(Invalid::new("direction", "the checkpoint is of another problem"));
        }
        self.saddle.start_from(direction);
        self.rises = state.get("rises")?.to_vec();
        [self.newton, self.open] = state.counters("counts")?;
        Ok(())
    }
}

/// The members in taken slots, as the pieces of a saddle problem.
struct Live<'a> {
    members: &'a Members,
    /// Their slots.
    ids: Vec<usize>,
}

impl<'a> Live<'a> {
    fn new(members: &'a Members) -> Self {
        Live { members, ids: members.live().map(|(k, _)| k).collect() }
    }

    /// What is one for each taken slot, by slot.
    fn spread(&self, values: &[f64]) -> Vec<f64> {
        let mut by_slot = vec![0.0; self.members.slots()];
        self.ids.iter().zip(values).for_each(|(k, value)| by_slot[*k] = *value);
        by_slot
    }

    fn slope(&self, k: usize) -> (&'a [f32], f64) {
        self.members.get(self.ids[k]).slope()
    }
}

impl Pieces for Live<'_> {
    fn len(&self) -> usize {
        self.ids.len()
    }

    fn dim(&self) -> usize {
        self.ids.first().map_or(0, |k| self.members.get(*k).unit.len())
    }

    fn entry(&self, k: usize, j: usize) -> f64 {
        let (slope, scale) = self.slope(k);
        f64::from(slope[j]) * scale
    }

    fn copy(&self, k: usize, from: usize, out: &mut [f64]) {
        let (slope, scale) = self.slope(k);
        out.iter_mut().zip(&slope[from..]).for_each(|(out, x)| *out = f64::from(*x) * scale);
    }

    fn inner(&self, x: &[f64], out: &mut [f64]) {
        let mut by_slot = Vec::new();
        self.members.along(x, &mut by_slot);
        out.iter_mut().zip(&self.ids).for_each(|(out, k)| *out = by_slot[*k]);
    }

    fn combine(&self, weights: &[f64], out: &mut [f64]) {
        self.members.combine(&self.spread(weights), 1.0, &mut Vec::new(), out);
    }
}
