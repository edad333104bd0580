//! RMSprop: gradients divided by the root of their running mean square.
//!
//! v ← αv + (1 − α)G², Δ = G/(√v + ε); `centered` takes v − ḡ² for v, with the running mean ḡ; `momentum` moves along
//! b ← μb + Δ. As PyTorch's, in the frame of the loss.
//!
//! # Errors
//! A breakdown where the denominator is exactly 0 and the gradient is not: α = 0 with `centered`, or a gradient constant
//! for so long that its variance rounds to 0, and ε = 0.
//!
//! # References
//! Tieleman & Hinton 2012; Graves 2013 for the centred form; Wang et al. 2021 for the bias with ε > 0.

use serde::{Deserialize, Serialize};

use super::far::Far;
use super::memory::{Memory, inverse_roots};
use super::settings::{finite, fraction, ninety_nine_hundredths, not_negative};
use super::sweep::{Part, Real, Rule, sweep};
use super::{Descent, Direction, Place};
use crate::catalogue::Entry;
use crate::cite::{Cite, GRAVES_2013, TIELEMAN_HINTON_2012, WANG_2021};
use crate::norm::{AnyNorm, Linf};
use crate::{Breakdown, Frame, Invalid, Layout, State};

/// RMSprop, plain or centred, with or without momentum.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rmsprop {
    /// α: what a step keeps of the mean square, 0.99 by default.
    #[serde(default = "ninety_nine_hundredths")]
    pub alpha: f64,
    /// ε, in the unit of the true gradient, 1e-8 by default; 0 for a scale-free method.
    #[serde(default = "small")]
    pub epsilon: f64,
    /// μ: what a step keeps of the last one, 0 by default.
    #[serde(default)]
    pub momentum: f64,
    /// Divide by the standard deviation in place of the mean square.
    #[serde(default)]
    pub centered: bool,
    #[serde(skip)]
    running: Running,
}

#[derive(Clone, Debug, Default)]
struct Running {
    t: u64,
    square: Memory,
    mean: Memory,
    /// v, or v − ḡ²: what the root is taken of.
    spread: Memory,
    /// b with momentum; otherwise the step alone, which is not remembered.
    step: Memory,
}

/// v, what the root is taken of, and the step.
#[derive(Clone, Copy)]
struct Squares {
    alpha: f64,
    momentum: f64,
}

impl Rule<3> for Squares {
    #[inline(always)]
    fn step<R: Real>(&self, g: R, square: R, [v, _, b]: [R; 3], epsilon: R) -> [R; 3] {
        let v = v.scale(self.alpha).add(square.scale(1.0 - self.alpha));
        [v, v, b.scale(self.momentum).add(g.div(v.sqrt().add(epsilon)))]
    }
}

/// The same and ḡ.
struct Centered(Squares);

impl Rule<4> for Centered {
    const MIXED: bool = true;

    #[inline(always)]
    fn step<R: Real>(&self, g: R, square: R, [v, _, b, mean]: [R; 4], epsilon: R) -> [R; 4] {
        let Squares { alpha, momentum } = self.0;
        let v = v.scale(alpha).add(square.scale(1.0 - alpha));
        let mean = mean.scale(alpha).add(g.scale(1.0 - alpha));
        // A variance; rounding may leave it just below 0.
        let spread = v.add(mean.mul(mean).neg()).positive();
        [v, spread, b.scale(momentum).add(g.div(spread.sqrt().add(epsilon))), mean]
    }
}

fn small() -> f64 {
    1e-8
}

impl Descent for Rmsprop {
    fn begin(&mut self, layout: &Layout) -> Result<(), Invalid> {
        fraction("alpha", self.alpha)?;
        fraction("momentum", self.momentum)?;
        not_negative("epsilon", self.epsilon)?;
        let zeros = Memory::new(layout.dim());
        let mean = Memory::new(if self.centered { layout.dim() } else { 0 });
        self.running = Running { t: 0, square: zeros.clone(), mean, spread: zeros.clone(), step: zeros };
        Ok(())
    }

    fn direction(&mut self, at: &Place<'_>, d: &mut [f64]) -> Result<Direction, Breakdown> {
        finite(at)?;
        let epsilon = Far::from(Frame::number(self.epsilon));
        let rule = Squares { alpha: self.alpha, momentum: self.momentum };
        let Running { t, square, mean, spread, step } = &mut self.running;
        *t += 1;
        let square = Part { memory: square, degree: 2, fresh: false };
        let spread = Part { memory: spread, degree: 2, fresh: true };
        let last = Part { memory: &mut *step, degree: 0, fresh: false };
        if self.centered {
            let mean = Part { memory: mean, degree: 1, fresh: false };
            sweep(&Centered(rule), at, epsilon, [square, spread, last, mean]);
        } else {
            sweep(&rule, at, epsilon, [square, spread, last]);
        }
        step.finish(at, d)
    }

    fn norm(&self) -> AnyNorm {
        Linf {}.into()
    }

    fn multiplier(&self) -> Option<Vec<f64>> {
        let epsilon = Far::from(Frame::number(self.epsilon));
        inverse_roots(&self.running.spread, self.running.t, 1.0, epsilon)
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put_counts("t", &[self.running.t]);
        self.running.square.save(&mut state, "square");
        self.running.mean.save(&mut state, "mean");
        self.running.spread.save(&mut state, "spread");
        self.running.step.save(&mut state, "step");
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        [self.running.t] = state.counters("t")?;
        self.running.square.load(state, "square")?;
        self.running.mean.load(state, "mean")?;
        self.running.spread.load(state, "spread")?;
        self.running.step.load(state, "step")
    }
}

impl Entry for Rmsprop {
    const ABOUT: &'static str = "RMSprop, plain or centered, with or without momentum";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TIELEMAN_HINTON_2012, GRAVES_2013, WANG_2021];
}
