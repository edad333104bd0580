//! Adam, and AdamW with `weight_decay`, in the frame of the loss.
//!
//! For the true gradient G = 𝓛·∇ ln 𝓛, entry by entry:
//!
//! > m ← β₁m + (1 − β₁)G,  v ← β₂v + (1 − β₂)G²,  Δ = m̂/(√v̂ + ε),  θ ← θ − η(Δ + λθ)
//!
//! with m̂ = m/(1 − β₁^t), v̂ = v/(1 − β₂^t) under `bias_correction`, and λ the decoupled `weight_decay`.
//!
//! ε has the unit of a gradient. With ε = 0, of which theory speaks, Adam is scale-free and tends to the l∞ margin (Zhang,
//! Zou & Cao 2024); with any ε > 0 it turns into scaled gradient descent with rate η/ε once the gradient is below it, and
//! the l2 margin takes over (Wang et al. 2021). Here both are exact at any loss: m and v are the true moments, held with
//! exponents that have no end, and Δ ≈ 1e-43000 is a step like another, told by `ln_scale`.
//!
//! # Properties
//! β₁ = β₂ = ε = 0 is sign descent, bit by bit (Tsilivis et al. 2024, App. C.1). A coordinate whose gradient has always been
//! exactly 0 does not move.
//!
//! # Errors
//! A breakdown where v is 0 and m is not: ε = 0 with β₂ = 0 < β₁.
//!
//! # References
//! Kingma & Ba 2015, Algorithm 1; Loshchilov & Hutter 2019 for the decoupled decay.

use serde::{Deserialize, Serialize};

use super::far::Far;
use super::memory::{Memory, inverse_roots};
use super::settings::{finite, fraction, nine_tenths, not_negative, yes};
use super::sweep::{Part, Real, Rule, sweep};
use super::{Descent, Direction, Place};
use crate::catalogue::Entry;
use crate::cite::{Cite, KINGMA_BA_2015, LOSHCHILOV_HUTTER_2019, TSILIVIS_2024, WANG_2021, ZHANG_2024};
use crate::norm::{AnyNorm, Linf};
use crate::{Breakdown, Frame, Invalid, Layout, State};

/// Adam; AdamW with a weight decay.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// β₁: what a step keeps of the mean gradient, 0.9 by default.
    #[serde(default = "nine_tenths")]
    pub beta1: f64,
    /// β₂: what a step keeps of the mean square, 0.999 by default.
    #[serde(default = "kept_square")]
    pub beta2: f64,
    /// ε, in the unit of the true gradient, 1e-8 by default. 0 for the scale-free Adam of the theory.
    #[serde(default = "small")]
    pub epsilon: f64,
    /// Divide the means by the weight they have gathered; on by default.
    #[serde(default = "yes")]
    pub bias_correction: bool,
    /// λ of the decoupled decay θ ← θ − ηλθ, 0 by default.
    #[serde(default)]
    pub weight_decay: f64,
    #[serde(skip)]
    running: Running,
}

#[derive(Clone, Debug, Default)]
struct Running {
    t: u64,
    m: Memory,
    v: Memory,
    step: Memory,
}

/// m, v and the step.
struct Moments {
    betas: [f64; 2],
    gathered: [f64; 2],
}

impl Rule<3> for Moments {
    #[inline(always)]
    fn step<R: Real>(&self, g: R, square: R, [m, v, _]: [R; 3], epsilon: R) -> [R; 3] {
        let ([beta1, beta2], [bias1, bias2]) = (self.betas, self.gathered);
        let m = m.scale(beta1).add(g.scale(1.0 - beta1));
        let v = v.scale(beta2).add(square.scale(1.0 - beta2));
        [m, v, m.over(bias1).div(v.over(bias2).sqrt().add(epsilon))]
    }
}

fn kept_square() -> f64 {
    0.999
}

fn small() -> f64 {
    1e-8
}

impl Adam {
    /// 1 − β^t, or 1 without bias correction.
    fn gathered(&self, beta: f64) -> f64 {
        if self.bias_correction { 1.0 - beta.powf(self.running.t as f64) } else { 1.0 }
    }
}

impl Descent for Adam {
    fn begin(&mut self, layout: &Layout) -> Result<(), Invalid> {
        fraction("beta1", self.beta1)?;
        fraction("beta2", self.beta2)?;
        not_negative("epsilon", self.epsilon)?;
        not_negative("weight_decay", self.weight_decay)?;
        let zeros = Memory::new(layout.dim());
        self.running = Running { t: 0, m: zeros.clone(), v: zeros.clone(), step: zeros };
        Ok(())
    }

    fn direction(&mut self, at: &Place<'_>, d: &mut [f64]) -> Result<Direction, Breakdown> {
        finite(at)?;
        self.running.t += 1;
        let rule = Moments {
            betas: [self.beta1, self.beta2],
            gathered: [self.gathered(self.beta1), self.gathered(self.beta2)],
        };
        let epsilon = Far::from(Frame::number(self.epsilon));
        let Running { m, v, step, .. } = &mut self.running;
        let parts = [
            Part { memory: m, degree: 1, fresh: false },
            Part { memory: v, degree: 2, fresh: false },
            Part { memory: step, degree: 0, fresh: true },
        ];
        sweep(&rule, at, epsilon, parts);
        self.running.step.add_scaled(self.weight_decay, at.theta);
        self.running.step.finish(at, d)
    }

    fn norm(&self) -> AnyNorm {
        Linf {}.into()
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    /// 1/(√v̂ + ε), 0 where no gradient was ever felt.
    fn multiplier(&self) -> Option<Vec<f64>> {
        let epsilon = Far::from(Frame::number(self.epsilon));
        inverse_roots(&self.running.v, self.running.t, self.gathered(self.beta2), epsilon)
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put_counts("t", &[self.running.t]);
        self.running.m.save(&mut state, "m");
        self.running.v.save(&mut state, "v");
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        [self.running.t] = state.counters("t")?;
        self.running.m.load(state, "m")?;
        self.running.v.load(state, "v")
    }
}

impl Entry for Adam {
    const ABOUT: &'static str = "Adam, exact at any loss, with epsilon or without; AdamW with weight_decay";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] =
        &[KINGMA_BA_2015, LOSHCHILOV_HUTTER_2019, WANG_2021, ZHANG_2024, TSILIVIS_2024];
}
