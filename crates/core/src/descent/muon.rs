//! Muon: a momentum whose matrices are made orthogonal.
//!
//! m ← βm + (1 − β)G; V = (1 − β)G + βm for `nesterov`, V = m otherwise; each matrix block moves by UVᵀ of its part of V
//! (or by what Newton–Schulz makes of it), each other block by its steepest unit step in `vectors`; θ ← θ − η(Δ + λθ).
//! Convolutions count as out × (in·kh·kw) matrices.
//!
//! Without momentum, with `svd` and no `scale`, this is normalised steepest descent in max_l σ_max(W_l), and Shampoo without
//! accumulation (Tsilivis et al. 2024, App. C.2).
//!
//! # Properties
//! Scale-free when `epsilon` is 0: a gradient of 1e-300, or a loss of 1e-43000, gives the step of one of ordinary size.
//!
//! # References
//! Jordan et al. 2024; Liu et al. 2025 for `match-rms-adamw`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::far::Far;
use super::memory::Memory;
use super::orthogonalize::{AnyOrthogonalize, Factored, Orthogonalize};
use super::settings::{finite, fraction, not_negative, yes};
use super::sweep::{Part, Real, Rule, sweep};
use super::{Descent, Direction, Place, built, kernel_failed, spectral_mix};
use crate::catalogue::Entry;
use crate::cite::{Cite, JORDAN_2024, LIU_2025, TSILIVIS_2024};
use crate::norm::{AnyNorm, Norm};
use crate::{Block, Breakdown, Frame, Invalid, Layout, State};

/// What a matrix block's step is multiplied by, for rows = out and cols = in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// 1: steepest descent in the spectral norm.
    #[default]
    None,
    /// √max(1, rows/cols), Jordan's and PyTorch's default.
    Original,
    /// 0.2·√max(rows, cols): the root mean square of an AdamW step.
    MatchRmsAdamw,
}

impl Scale {
    fn of(self, block: &Block) -> f64 {
        let (rows, cols) = (block.rows as f64, block.cols as f64);
        match self {
            Scale::None => 1.0,
            Scale::Original => (rows / cols).max(1.0).sqrt(),
            Scale::MatchRmsAdamw => 0.2 * rows.max(cols).sqrt(),
        }
    }
}

/// Momentum, made orthogonal block by block.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Muon {
    /// β: what a step keeps of the momentum, 0.95 by default; 0 for no memory.
    #[serde(default = "nineteen_twentieths")]
    pub beta: f64,
    /// Look ahead, on by default; without memory there is nothing to look ahead of.
    #[serde(default = "yes")]
    pub nesterov: bool,
    /// `svd`, exact, by default; `newton-schulz` for the iteration of practice.
    #[serde(default)]
    pub orthogonalize: AnyOrthogonalize,
    /// The norm whose unit steps blocks that are not matrices take; `l2` by default.
    #[serde(default)]
    pub vectors: AnyNorm,
    /// `none` by default, `original` or `match-rms-adamw`.
    #[serde(default)]
    pub scale: Scale,
    /// λ of the decoupled decay θ ← θ − ηλθ, 0 by default.
    #[serde(default)]
    pub weight_decay: f64,
    #[serde(skip)]
    running: Option<Box<Running>>,
}

#[derive(Clone, Debug)]
struct Running {
    orthogonalize: Arc<dyn Orthogonalize>,
    vectors: Arc<dyn Norm>,
    mean: Memory,
    ahead: Memory,
    step: Memory,
}

fn nineteen_twentieths() -> f64 {
    0.95
}

/// Refuses a layout in which nothing is a matrix.
pub(super) fn some_matrix(layout: &Layout) -> Result<(), Invalid> {
    if layout.blocks().iter().any(Block::is_matrix) {
        return Ok(());
    }
    let names: Vec<&str> = layout.blocks().iter().map(|b| b.name.as_str()).collect();
    let text =
        format!("none of the blocks ({}) is a matrix; use a model with weight matrices", names.join(", "));
    Err(Invalid::new("kind", text))
}

impl Running {
    /// The block's part of V as `size` times what is returned.
    fn read(&self, own: &Muon, at: &Place<'_>, block: &Block) -> (Vec<f64>, Frame) {
        if own.beta == 0.0 {
            return (block.of(at.grad).to_vec(), at.frame);
        }
        let mut part = vec![0.0; block.len()];
        let source = if own.nesterov { &self.ahead } else { &self.mean };
        let exponent = source.level_range(block.offset..block.offset + block.len(), &mut part);
        (part, Frame { exponent, factor: 1.0 })
    }

    fn remember(&mut self, beta: f64, nesterov: bool, at: &Place<'_>) {
        let mean = Part { memory: &mut self.mean, degree: 1, fresh: false };
        if nesterov {
            let ahead = Part { memory: &mut self.ahead, degree: 1, fresh: true };
            sweep(&Ahead { beta }, at, Far::NULL, [mean, ahead]);
        } else {
            sweep(&Mean { beta }, at, Far::NULL, [mean]);
        }
    }
}

/// m.
struct Mean {
    beta: f64,
}

impl Rule<1> for Mean {
    #[inline(always)]
    fn step<R: Real>(&self, g: R, _: R, [m]: [R; 1], _: R) -> [R; 1] {
        [m.scale(self.beta).add(g.scale(1.0 - self.beta))]
    }
}

/// m and (1 − β)G + βm.
struct Ahead {
    beta: f64,
}

impl Rule<2> for Ahead {
    #[inline(always)]
    fn step<R: Real>(&self, g: R, _: R, [m, _]: [R; 2], _: R) -> [R; 2] {
        let g = g.scale(1.0 - self.beta);
        let m = m.scale(self.beta).add(g);
        [m, m.scale(self.beta).add(g)]
    }
}

impl Descent for Muon {
    fn begin(&mut self, layout: &Layout) -> Result<(), Invalid> {
        fraction("beta", self.beta)?;
        not_negative("weight_decay", self.weight_decay)?;
        some_matrix(layout)?;
        let orthogonalize = self.orthogonalize.build();
        let within = |e: Invalid| Invalid::new(format!("orthogonalize.{}", e.field), e.message);
        orthogonalize.check().map_err(within)?;
        let mut others = Layout::default();
        for block in layout.blocks().iter().filter(|b| !b.is_matrix()) {
            others.push(&block.name, &block.shape, block.degree);
        }
        let vectors = built(&self.vectors, &others)
            .map_err(|e| Invalid::new(e.field.replacen("norm", "vectors", 1), e.message))?;
        let n = layout.dim();
        self.running = Some(Box::new(Running {
            orthogonalize: orthogonalize.into(),
            vectors,
            mean: Memory::new(if self.beta > 0.0 { n } else { 0 }),
            ahead: Memory::new(if self.beta > 0.0 && self.nesterov { n } else { 0 }),
            step: Memory::new(n),
        }));
        Ok(())
    }

    fn direction(&mut self, at: &Place<'_>, d: &mut [f64]) -> Result<Direction, Breakdown> {
        finite(at)?;
        let mut running = self.running.take().expect("begin comes before direction");
        if self.beta > 0.0 {
            running.remember(self.beta, self.nesterov, at);
        }
        let mut failed = false;
        for block in at.layout.blocks() {
            let (part, size) = running.read(self, at, block);
            let mut out = vec![0.0; block.len()];
            let factored = if block.is_matrix() {
                running.orthogonalize.factor(&part, block.rows, block.cols, size, &mut out)
            } else {
                let dual = running.vectors.steepest(&part, &Layout::vector(block.len()), &mut out);
                (!dual.is_nan()).then_some(Factored { unit: 1.0, power: 0 })
            };
            let Some(Factored { unit, power }) = factored else {
                failed = true;
                break;
            };
            let scale = if block.is_matrix() { self.scale.of(block) } else { 1.0 };
            let size = Far::of(scale * unit).mul(Far::two_to(power));
            for (i, x) in out.iter().enumerate() {
                running.step.set(block.offset + i, Far::of(*x).mul(size));
            }
        }
        running.step.add_scaled(self.weight_decay, at.theta);
        let direction = if failed { Err(kernel_failed()) } else { running.step.finish(at, d) };
        self.running = Some(running);
        direction
    }

    fn norm(&self) -> AnyNorm {
        spectral_mix(&self.vectors)
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    fn save(&self) -> State {
        let mut state = State::default();
        self.running.as_ref().expect("begin comes before save").mean.save(&mut state, "mean");
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.running.as_mut().expect("begin comes before load").mean.load(state, "mean")
    }
}

impl Entry for Muon {
    const ABOUT: &'static str = "momentum made orthogonal, by SVD or Newton-Schulz";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[JORDAN_2024, LIU_2025, TSILIVIS_2024];
}
