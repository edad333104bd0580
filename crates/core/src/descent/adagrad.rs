//! AdaGrad: gradients divided by the root of the sum of all their squares.
//!
//! S ← S + G² from S = `initial`, Δ = G/(√S + ε)/(1 + (t − 1)·`lr_decay`). As PyTorch's, in the frame of the loss. On
//! separable data S converges, and AdaGrad tends to the l2 margin in the geometry that its limit preconditions (Wang et
//! al. 2021): [`Descent::multiplier`] is that preconditioner.
//!
//! # References
//! Duchi, Hazan & Singer 2011, section 1.2 (diagonal matrices).

use serde::{Deserialize, Serialize};

use super::far::Far;
use super::memory::{Memory, inverse_roots};
use super::settings::{finite, not_negative};
use super::sweep::{Part, Real, Rule, sweep};
use super::{Descent, Direction, Place};
use crate::catalogue::Entry;
use crate::cite::{Cite, DUCHI_2011, WANG_2021};
use crate::norm::{AnyNorm, L2};
use crate::{Breakdown, Frame, Invalid, Layout, State};

/// AdaGrad with a diagonal preconditioner.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adagrad {
    /// ε, in the unit of the true gradient, 1e-10 by default.
    #[serde(default = "tiny")]
    pub epsilon: f64,
    /// What the sums of squares start from, in the unit of a squared gradient; 0 by default.
    #[serde(default)]
    pub initial: f64,
    /// The rate is divided by 1 + (t − 1) times this; 0 by default.
    #[serde(default)]
    pub lr_decay: f64,
    #[serde(skip)]
    running: Running,
}

#[derive(Clone, Debug, Default)]
struct Running {
    t: u64,
    sum: Memory,
    step: Memory,
}

/// S and the step.
struct Sum {
    slower: f64,
}

impl Rule<2> for Sum {
    #[inline(always)]
    fn step<R: Real>(&self, g: R, square: R, [s, _]: [R; 2], epsilon: R) -> [R; 2] {
        let s = s.add(square);
        [s, g.div(s.sqrt().add(epsilon)).over(self.slower)]
    }
}

fn tiny() -> f64 {
    1e-10
}

impl Descent for Adagrad {
    fn begin(&mut self, layout: &Layout) -> Result<(), Invalid> {
        not_negative("epsilon", self.epsilon)?;
        not_negative("initial", self.initial)?;
        not_negative("lr_decay", self.lr_decay)?;
        let sum = Memory::filled(layout.dim(), Frame::number(self.initial).into());
        self.running = Running { t: 0, sum, step: Memory::new(layout.dim()) };
        Ok(())
    }

    fn direction(&mut self, at: &Place<'_>, d: &mut [f64]) -> Result<Direction, Breakdown> {
        finite(at)?;
        let epsilon = Far::from(Frame::number(self.epsilon));
        let Running { t, sum, step } = &mut self.running;
        let rule = Sum { slower: 1.0 + *t as f64 * self.lr_decay };
        *t += 1;
        let sum = Part { memory: sum, degree: 2, fresh: false };
        sweep(&rule, at, epsilon, [sum, Part { memory: &mut *step, degree: 0, fresh: true }]);
        step.finish(at, d)
    }

    /// The geometry before preconditioning.
    fn norm(&self) -> AnyNorm {
        L2 {}.into()
    }

    fn multiplier(&self) -> Option<Vec<f64>> {
        let epsilon = Far::from(Frame::number(self.epsilon));
        inverse_roots(&self.running.sum, self.running.t, 1.0, epsilon)
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put_counts("t", &[self.running.t]);
        self.running.sum.save(&mut state, "sum");
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        [self.running.t] = state.counters("t")?;
        self.running.sum.load(state, "sum")
    }
}

impl Entry for Adagrad {
    const ABOUT: &'static str = "AdaGrad with a diagonal preconditioner";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[DUCHI_2011, WANG_2021];
}
