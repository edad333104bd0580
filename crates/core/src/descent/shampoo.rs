//! Shampoo: gradients preconditioned from both sides.
//!
//! For a matrix block, L ← L + GGᵀ and R ← R + GᵀG from εI; Δ = L^{−e} G R^{−e} with e = 1/4. A vector block is a tensor of
//! order 1: S ← S + ggᵀ and Δ = S^{−2e} g, or the diagonal of that.
//!
//! Without `accumulate` the sums are the last gradient's alone, and Δ = U f(Σ) Vᵀ for G = UΣVᵀ is formed from the singular
//! values themselves, so no G is squared: with ε = 0 and e = 1/4 it is UVᵀ, normalised steepest descent in the spectral
//! norm (Tsilivis et al. 2024, App. C.2).
//!
//! # Two versions in use
//! e = 1/4 is Gupta et al. 2018. A stock PyTorch version (Novik 2020) takes e = 1/2 for matrices and 1 for vectors, and
//! R ← R + (L^{−e}G)ᵀ(L^{−e}G), from a gradient that is already preconditioned from the left: `exponent = 0.5` with
//! `sequential = true`. With ε = 0 the first is scale-free; the second is so on matrices and not on vectors, whose step grows
//! as 1/‖g‖; e = 1/2 without `sequential` is not.
//!
//! # Accuracy
//! Statistics share an exponent per matrix: directions whose eigenvalue is below n·2⁻⁵² of the largest are lost to
//! rounding, carry no step, and come back when they grow. With ε > 0 they are at least ε.
//!
//! # References
//! Gupta, Koren & Singer 2018, Algorithms 1 and 2.

use serde::{Deserialize, Serialize};

use super::far::Far;
use super::memory::{Gradient, Memory};
use super::muon::some_matrix;
use super::settings::{finite, fraction, not_negative, yes};
use super::side::{Powered, Side};
use super::{Descent, Direction, Place, kernel_failed, spectral_mix};
use crate::catalogue::Entry;
use crate::cite::{Cite, GUPTA_2018, TSILIVIS_2024};
use crate::matrix::{Svd, transposed};
use crate::norm::{AnyNorm, L2, Linf};
use crate::{Block, Breakdown, Frame, Invalid, Layout, State};

/// A side beyond this many rows would keep and decompose a matrix of over 134 MB.
const LARGEST: usize = 4096;

/// What happens to blocks that are not matrices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vectors {
    /// The full matrix Σ ggᵀ: without accumulation the l2 unit direction.
    #[default]
    Full,
    /// Its diagonal alone: without accumulation the sign.
    Diagonal,
}

/// Shampoo, with or without accumulation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shampoo {
    /// ε, in the unit of a squared gradient, 1e-4 by default; 0 for a scale-free method.
    #[serde(default = "stock")]
    pub epsilon: f64,
    /// Add up over steps, on by default; off for spectral descent.
    #[serde(default = "yes")]
    pub accumulate: bool,
    /// e: the power of each side of a matrix, 0.25 by default.
    #[serde(default = "quarter")]
    pub exponent: f64,
    /// Take the right side's statistics after preconditioning from the left, as Novik's version does.
    #[serde(default)]
    pub sequential: bool,
    /// Steps between new roots, 1 by default.
    #[serde(default = "one")]
    pub every: u64,
    /// μ: Δ ← μΔ + the new step, 0 by default.
    #[serde(default)]
    pub momentum: f64,
    /// `full` by default, or `diagonal`.
    #[serde(default)]
    pub vectors: Vectors,
    #[serde(skip)]
    running: Running,
}

#[derive(Clone, Debug, Default)]
struct Running {
    t: u64,
    /// Left and right of each block; none without accumulation, and none for a diagonal.
    sides: Vec<(Option<Side>, Option<Side>)>,
    /// Sums of squares, for diagonals.
    squares: Memory,
    step: Memory,
}

fn stock() -> f64 {
    1e-4
}

fn quarter() -> f64 {
    0.25
}

fn one() -> u64 {
    1
}

impl Shampoo {
    /// Rows and columns of the matrix that a block is to its preconditioner: a vector is a column.
    fn shape(block: &Block) -> (usize, usize) {
        if block.is_matrix() { (block.rows, block.cols) } else { (block.len(), 1) }
    }

    fn is_diagonal(&self, block: &Block) -> bool {
        !block.is_matrix() && self.vectors == Vectors::Diagonal
    }

    /// The step of a block with accumulated sides.
    fn accumulated(&mut self, at: &Place<'_>, k: usize) -> Result<Vec<Far>, Breakdown> {
        let block = &at.layout.blocks()[k];
        let (rows, cols) = Self::shape(block);
        let (left, right) = &mut self.running.sides[k];
        let left = left.as_mut().expect("an accumulating block has a left side");
        let renew = self.running.t.is_multiple_of(self.every);
        // A vector has one side, of twice the power.
        let power = if right.is_some() { -self.exponent } else { -2.0 * self.exponent };
        let scaled: Vec<f64> = block.of(at.grad).iter().map(|g| g * at.frame.factor).collect();
        let g = Powered::new(&scaled, at.frame.exponent as f64).ok_or_else(kernel_failed)?;
        left.add(&g);
        if renew {
            left.take_root(power)?;
        }
        let half = left.apply(&g).ok_or_else(kernel_failed)?;
        let Some(right) = right else {
            return Ok(half.entries().collect());
        };
        let flip = |a: &Powered| Powered { m: transposed(&a.m, rows, cols), power: a.power };
        right.add(&flip(if self.sequential { &half } else { &g }));
        if renew {
            right.take_root(power)?;
        }
        let whole = right.apply(&flip(&half)).ok_or_else(kernel_failed)?;
        let whole = Powered { m: transposed(&whole.m, cols, rows), power: whole.power };
        Ok(whole.entries().collect())
    }

    /// The step of a block by the last gradient alone: U f(Σ) Vᵀ.
    fn alone(&self, at: &Place<'_>, block: &Block) -> Result<Vec<Far>, Breakdown> {
        let (rows, cols) = Self::shape(block);
        let svd = Svd::of(block.of(at.grad), rows, cols).ok_or_else(kernel_failed)?;
        let rank = svd.rank();
        let sequential = self.sequential && block.is_matrix();
        let e = self.exponent;
        let power = if sequential { (1.0 - 2.0 * e) * (1.0 - 2.0 * e) } else { 1.0 - 4.0 * e };
        let mut out = vec![0.0; block.len()];
        if self.epsilon == 0.0 && power == 0.0 {
            svd.add(&vec![1.0; rank], &mut out);
            return Ok(out.into_iter().map(Far::of).collect());
        }
        let epsilon = Far::from(Frame::number(self.epsilon));
        let damped = |s: Far, e: f64| s.mul(s.mul(s).add(epsilon).powf(-e));
        let size = Far::two_to(svd.exponent).mul(at.frame.into());
        let values = svd.sigma[..rank].iter().map(|s| {
            let s = Far::of(*s).mul(size);
            if sequential { damped(damped(s, e), e) } else { damped(s, 2.0 * e) }
        });
        let values: Vec<Far> = values.collect();
        let top = values.iter().filter(|v| v.x != 0.0).map(|v| v.exponent()).max().unwrap_or(0);
        let scaled: Vec<f64> = values.iter().map(|v| v.times_power(-top)).collect();
        svd.add(&scaled, &mut out);
        Ok(out.into_iter().map(|x| Far::of(x).mul(Far::two_to(top))).collect())
    }

    /// The step of a vector block by the diagonal alone.
    fn diagonal(&mut self, at: &Place<'_>, block: &Block) -> Vec<Far> {
        let g = Gradient::new(block.of(at.grad), at.frame);
        let epsilon = Far::from(Frame::number(self.epsilon));
        let (e, squares) = (self.exponent, &mut self.running.squares);
        let step = |i: usize| {
            let (g, at) = (g.get(i), block.offset + i);
            let sum = if self.accumulate { squares.get(at).add(g.mul(g)) } else { g.mul(g) };
            squares.set(at, sum);
            let s = sum.add(epsilon);
            if g.x == 0.0 {
                Far::NULL
            } else if e == 0.25 {
                g.div(s.sqrt())
            } else {
                g.mul(s.powf(-2.0 * e))
            }
        };
        (0..g.len()).map(step).collect()
    }
}

impl Descent for Shampoo {
    fn begin(&mut self, layout: &Layout) -> Result<(), Invalid> {
        not_negative("epsilon", self.epsilon)?;
        fraction("momentum", self.momentum)?;
        if !(self.exponent > 0.0 && self.exponent <= 1.0) {
            let text = format!("{} is not allowed; use a power above 0 and at most 1", self.exponent);
            return Err(Invalid::new("exponent", text));
        }
        if self.every == 0 {
            return Err(Invalid::new("every", "0 is not allowed; use 1 or more steps"));
        }
        some_matrix(layout)?;
        let mut sides = Vec::new();
        for block in layout.blocks() {
            let (rows, cols) = Self::shape(block);
            if !self.accumulate || self.is_diagonal(block) {
                sides.push((None, None));
                continue;
            }
            let largest = if block.is_matrix() { rows.max(cols) } else { rows };
            if largest > LARGEST {
                let text = format!(
                    "true would keep a {largest} x {largest} matrix for block {}, more than {LARGEST}; use accumulate = \
                     false, vectors = \"diagonal\" if it is a vector, or muon",
                    block.name
                );
                return Err(Invalid::new("accumulate", text));
            }
            let right = block.is_matrix().then(|| Side::new(cols, self.epsilon));
            sides.push((Some(Side::new(rows, self.epsilon)), right));
        }
        let n = layout.dim();
        let any = layout.blocks().iter().any(|b| self.is_diagonal(b));
        let squares = Memory::new(if any { n } else { 0 });
        self.running = Running { t: 0, sides, squares, step: Memory::new(n) };
        Ok(())
    }

    fn direction(&mut self, at: &Place<'_>, d: &mut [f64]) -> Result<Direction, Breakdown> {
        finite(at)?;
        for (k, block) in at.layout.blocks().iter().enumerate() {
            let new = if self.is_diagonal(block) {
                self.diagonal(at, block)
            } else if self.accumulate {
                self.accumulated(at, k)?
            } else {
                self.alone(at, block)?
            };
            let step = &mut self.running.step;
            for (i, new) in new.into_iter().enumerate() {
                let i = block.offset + i;
                step.set(i, step.get(i).scale(self.momentum).add(new));
            }
        }
        self.running.t += 1;
        self.running.step.finish(at, d)
    }

    fn norm(&self) -> AnyNorm {
        spectral_mix(&match self.vectors {
            Vectors::Full => L2 {}.into(),
            Vectors::Diagonal => Linf {}.into(),
        })
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put_counts("t", &[self.running.t]);
        self.running.squares.save(&mut state, "squares");
        self.running.step.save(&mut state, "step");
        for (k, (left, right)) in self.running.sides.iter().enumerate() {
            for (name, side) in [("left", left), ("right", right)] {
                if let Some(side) = side {
                    state.nest(&format!("{k}.{name}"), side.save());
                }
            }
        }
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        [self.running.t] = state.counters("t")?;
        self.running.squares.load(state, "squares")?;
        self.running.step.load(state, "step")?;
        for (k, (left, right)) in self.running.sides.iter_mut().enumerate() {
            for (name, side) in [("left", left), ("right", right)] {
                if let Some(side) = side {
                    side.load(&state.part(&format!("{k}.{name}")))?;
                }
            }
        }
        Ok(())
    }
}

impl Entry for Shampoo {
    const ABOUT: &'static str = "Shampoo; without accumulation, steepest descent in the spectral norm";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[GUPTA_2018, TSILIVIS_2024];
}
