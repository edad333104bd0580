//! Steepest descent along a buffer of true gradients, B ← βB + (1 − τ)G: what momentum, sign and coordinate methods share.

use std::sync::Arc;

use super::far::Far;
use super::memory::Memory;
use super::settings::finite;
use super::sweep::{self as sweeping, Part, Real, sweep};
use super::{Place, built, kernel_failed};
use crate::norm::{AnyNorm, Norm};
use crate::{Breakdown, Invalid, Layout, State, numeric};

/// How a buffer remembers and is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rule {
    /// β. With 0 the buffer is the gradient, and nothing is added up.
    pub beta: f64,
    /// τ: what a new gradient loses. The first one loses nothing.
    pub dampening: f64,
    /// Read G + βB in place of B.
    pub nesterov: bool,
}

/// B.
struct Ball {
    beta: f64,
    weight: f64,
}

impl sweeping::Rule<1> for Ball {
    #[inline(always)]
    fn step<R: Real>(&self, g: R, _: R, [b]: [R; 1], _: R) -> [R; 1] {
        [b.scale(self.beta).add(g.scale(self.weight))]
    }
}

/// B and G + βB.
struct Nesterov {
    beta: f64,
    weight: f64,
}

impl sweeping::Rule<2> for Nesterov {
    #[inline(always)]
    fn step<R: Real>(&self, g: R, _: R, [b, _]: [R; 2], _: R) -> [R; 2] {
        let b = b.scale(self.beta).add(g.scale(self.weight));
        [b, g.add(b.scale(self.beta))]
    }
}

/// The buffer and the norm it is read with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    norm: Option<Arc<dyn Norm>>,
    started: bool,
    memory: Memory,
    ahead: Memory,
    level: Vec<f64>,
}

/// The steepest direction along a buffer.
pub(crate) struct Along {
    /// ⟨∇ ln 𝓛, d⟩.
    pub slope: f64,
    /// ln ‖B‖⋆.
    pub ln_dual: f64,
}

impl Buffer {
    /// Allocates what `rule` needs.
    pub fn begin(norm: &AnyNorm, rule: Rule, layout: &Layout) -> Result<Buffer, Invalid> {
        let n = if rule.beta == 0.0 { 0 } else { layout.dim() };
        let ahead = Memory::new(if rule.nesterov { n } else { 0 });
        let norm = Some(built(norm, layout)?);
        Ok(Buffer { norm, started: false, memory: Memory::new(n), ahead, level: vec![0.0; n] })
    }

    /// Takes the gradient in and writes argmax ⟨B, d⟩ over the unit ball.
    pub fn steepest(&mut self, at: &Place<'_>, rule: Rule, d: &mut [f64]) -> Result<Along, Breakdown> {
        finite(at)?;
        let norm = self.norm.as_ref().expect("begin comes before direction");
        if rule.beta == 0.0 {
            let dual = norm.steepest(at.grad, at.layout, d);
            return checked(Along { slope: dual, ln_dual: at.ln_loss + dual.ln() }, dual);
        }
        // The first gradient loses nothing.
        let (beta, weight) = (rule.beta, if self.started { 1.0 - rule.dampening } else { 1.0 });
        self.started = true;
        let memory = Part { memory: &mut self.memory, degree: 1, fresh: false };
        let power = if rule.nesterov {
            let ahead = Part { memory: &mut self.ahead, degree: 1, fresh: true };
            sweep(&Nesterov { beta, weight }, at, Far::NULL, [memory, ahead]);
            self.ahead.level(&mut self.level)
        } else {
            sweep(&Ball { beta, weight }, at, Far::NULL, [memory]);
            self.memory.level(&mut self.level)
        };
        let dual = norm.steepest(&self.level, at.layout, d);
        let ln_dual = Far::of(dual).mul(Far::two_to(power)).ln();
        checked(Along { slope: numeric::dot(at.grad, d), ln_dual }, dual)
    }

    /// Saves the buffer.
    pub fn save(&self) -> State {
        let mut state = State::default();
        self.memory.save(&mut state, "buffer");
        state.put_counts("started", &[u64::from(self.started)]);
        state
    }

    /// Loads it.
    pub fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.memory.load(state, "buffer")?;
        let [started] = state.counters("started")?;
        self.started = started == 1;
        Ok(())
    }
}

fn checked(along: Along, dual: f64) -> Result<Along, Breakdown> {
    if dual.is_nan() { Err(kernel_failed()) } else { Ok(along) }
}
