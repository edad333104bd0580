//! Norms made of norms of the blocks.
//!
//! With n_l the norm of block l, ‖θ‖ is max_l n_l(θ_l), Σ_l n_l(θ_l) or √Σ_l n_l(θ_l)²; the dual combines the dual norms n_l⋆
//! by Σ, max or √Σ². With d_l the steepest direction of block l alone, the steepest direction is
//!
//! | combine | ‖g‖⋆ | d |
//! |---|---|---|
//! | `max` | Σ n_l⋆(g_l) | (d_l)_l: every block moves at full speed |
//! | `sum` | max n_l⋆(g_l) | d_l in the block of largest n_l⋆ (the first of equal ones), 0 elsewhere |
//! | `euclid` | √Σ n_l⋆(g_l)² | (n_l⋆(g_l)/‖g‖⋆ · d_l)_l |
//!
//! `max` is the modular norm of Tsilivis et al.: with `inner = "spectral"` it is Shampoo or Muon on matrices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AnyNorm, L2, Norm};
use crate::catalogue::{Entry, quoted};
use crate::cite::{BERNSTEIN_2024, Cite, LARGE_2024, TSILIVIS_2024};
use crate::numeric::{compensated_sum, norm};
use crate::{Block, Invalid, Layout};

use super::faces::{Share, share_out};

/// How the norms of the blocks become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// The largest.
    #[default]
    Max,
    /// Their sum.
    Sum,
    /// The root of the sum of their squares.
    Euclid,
}

/// A norm of the norms of the blocks.
///
/// # Examples
/// Spectral norms of matrices, ℓ2 norms of biases, and the largest of them:
/// ```
/// use latephase_core::Layout;
/// use latephase_core::norm::AnyNorm;
/// let norm: AnyNorm = toml::from_str("kind = 'blockwise'\ninner = 'spectral'")?;
/// let mut layout = Layout::default();
/// layout.push("0.weight", &[2, 2], 1.0);
/// layout.push("0.bias", &[2], 1.0);
/// let norm = norm.build();
/// assert_eq!(norm.column(), "max_spectral");
/// assert!((norm.of(&[2.0, 0.0, 0.0, -1.0, 3.0, 4.0], &layout) - 5.0).abs() < 1e-15);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blockwise {
    /// `max` (default), `sum` or `euclid`.
    #[serde(default)]
    pub combine: Combine,
    /// The norm of a matrix block; any norm of the catalogue.
    pub inner: Box<AnyNorm>,
    /// The norm of a vector block, `l2` by default.
    #[serde(default)]
    pub vectors: Box<AnyNorm>,
    /// Norms of single blocks by name (`"0.weight"`), instead of `inner` and `vectors`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub blocks: BTreeMap<String, AnyNorm>,
    /// The suffix of columns. By default the parts: `max_spectral`, with the vectors' norm where it is not `l2`, and
    /// `_mixed` where single blocks have their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One block with its norm, as a parameter vector of its own.
struct Part<'a> {
    block: &'a Block,
    alone: Layout,
    norm: Box<dyn Norm>,
}

impl Part<'_> {
    fn of(&self, v: &[f64]) -> f64 {
        self.norm.of(self.block.of(v), &self.alone)
    }

    fn dual(&self, g: &[f64]) -> f64 {
        self.norm.dual(self.block.of(g), &self.alone)
    }
}

impl Blockwise {
    /// Combines `inner` norms of matrices and ℓ2 norms of vectors.
    pub fn new(combine: Combine, inner: AnyNorm) -> Self {
        let vectors = Box::new(L2 {}.into());
        Blockwise { combine, inner: Box::new(inner), vectors, blocks: BTreeMap::new(), name: None }
    }

    /// The norm of a block and where it was set.
    pub(crate) fn chosen(&self, block: &Block) -> (&AnyNorm, String) {
        match self.blocks.get(&block.name) {
            Some(own) => (own, format!("blocks.{}", block.name)),
            None if block.is_matrix() => (&self.inner, "inner".into()),
            None => (&self.vectors, "vectors".into()),
        }
    }

    fn parts<'a>(&self, layout: &'a Layout) -> Vec<Part<'a>> {
        let part =
            |block: &'a Block| Part { block, alone: block.alone(), norm: self.chosen(block).0.build() };
        layout.blocks().iter().map(part).collect()
    }

    fn combined(&self, sizes: &[f64]) -> f64 {
        combine(self.combine, sizes)
    }
}

fn combine(how: Combine, sizes: &[f64]) -> f64 {
    match how {
        // f64::max would drop a NaN.
        Combine::Max => sizes.iter().fold(0.0, |m, s| if *s > m || s.is_nan() { *s } else { m }),
        Combine::Sum => compensated_sum(sizes.iter().copied()),
        Combine::Euclid => norm(sizes),
    }
}

/// How the dual norms of the blocks become the dual norm.
fn dual_of(how: Combine) -> Combine {
    match how {
        Combine::Max => Combine::Sum,
        Combine::Sum => Combine::Max,
        Combine::Euclid => Combine::Euclid,
    }
}

impl Norm for Blockwise {
    fn of(&self, v: &[f64], layout: &Layout) -> f64 {
        self.combined(&self.parts(layout).iter().map(|p| p.of(v)).collect::<Vec<_>>())
    }

    fn steepest(&self, g: &[f64], layout: &Layout, d: &mut [f64]) -> f64 {
        let parts = self.parts(layout);
        let oracle =
            |p: &Part<'_>, d: &mut [f64]| p.norm.steepest(p.block.of(g), &p.alone, p.block.of_mut(d));
        let duals: Vec<f64> = parts.iter().map(|p| oracle(p, d)).collect();
        let dual = combine(dual_of(self.combine), &duals);
        match self.combine {
            Combine::Max => {}
            Combine::Sum => {
                let first = duals.iter().position(|n| *n == dual);
                for (l, part) in parts.iter().enumerate().filter(|(l, _)| Some(*l) != first) {
                    debug_assert!(duals[l] <= dual || dual.is_nan());
                    part.block.of_mut(d).fill(0.0);
                }
            }
            Combine::Euclid => {
                for (part, own) in parts.iter().zip(&duals).filter(|(_, own)| **own > 0.0) {
                    part.block.of_mut(d).iter_mut().for_each(|d| *d *= own / dual);
                }
            }
        }
        dual
    }

    fn dual(&self, g: &[f64], layout: &Layout) -> f64 {
        let duals: Vec<f64> = self.parts(layout).iter().map(|p| p.dual(g)).collect();
        combine(dual_of(self.combine), &duals)
    }

    /// ∂½‖v‖² is ‖v‖ times, for `max`, mixtures Σ t_l κ_l of κ_l ∈ ∂n_l(v_l) over blocks that attain the maximum; for `sum`,
    /// all of (κ_l)_l, where a block that is 0 has its whole dual ball; for `euclid`, (n_l/‖v‖ κ_l)_l.
    ///
    /// Widened: for `max`, a block of n_l = (1 − a)‖v‖ counts for a ≤ `within`, its own face widened by what a leaves of
    /// `within`; for `sum`, blocks up to half of `within`·‖v‖ together count as 0 and the others' faces share the rest.
    /// `sum` and `euclid` give the nearest element, but that a block counted as 0 in `sum` takes the target scaled back
    /// into its dual ball (nearest for ℓ2); `max` alternates between the t_l and the κ_l. Where these differ from the nearest
    /// element, the distance is an upper bound.
    fn subgradient(&self, v: &[f64], layout: &Layout, target: &[f64], within: f64, k: &mut [f64]) {
        k.fill(0.0);
        let parts = self.parts(layout);
        let sizes: Vec<f64> = parts.iter().map(|p| p.of(v)).collect();
        let size = self.combined(&sizes);
        if size == 0.0 {
            return;
        }
        match self.combine {
            Combine::Euclid => {
                for p in &parts {
                    let (v, target) = (p.block.of(v), p.block.of(target));
                    p.norm.subgradient(v, &p.alone, target, within, p.block.of_mut(k));
                }
            }
            Combine::Sum => sum_face(&parts, &sizes, size, (v, target, within), k),
            Combine::Max => max_face(&parts, &sizes, size, (v, target, within), k),
        }
    }

    fn column(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let how = match self.combine {
            Combine::Max => "max",
            Combine::Sum => "sum",
            Combine::Euclid => "euclid",
        };
        let mut column = format!("{how}_{}", self.inner.build().column());
        let vectors = self.vectors.build().column();
        if vectors != "l2" {
            column += &format!("_{vectors}");
        }
        if !self.blocks.is_empty() {
            column += "_mixed";
        }
        column
    }

    fn check(&self, layout: &Layout) -> Result<(), Invalid> {
        if let Some(name) = &self.name
            && (name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c)))
        {
            let text = format!("{name:?} is no suffix of a column; use letters, digits, `_` and `.`");
            return Err(Invalid::new("name", text));
        }
        let names: Vec<&str> = layout.blocks().iter().map(|b| b.name.as_str()).collect();
        if let Some(unknown) = self.blocks.keys().find(|name| !names.contains(&name.as_str())) {
            let text = format!("there is no such block; the model has {}", quoted(&names));
            return Err(Invalid::new(format!("blocks.{unknown}"), text));
        }
        for part in self.parts(layout) {
            part.norm.check(&part.alone).map_err(|e| {
                let at = self.chosen(part.block).1;
                Invalid::new(if e.field.is_empty() { at } else { format!("{at}.{}", e.field) }, e.message)
            })?;
        }
        Ok(())
    }
}

/// (v, target, within).
type Asked<'a> = (&'a [f64], &'a [f64], f64);

/// ‖v‖·(κ_l)_l for the sum of norms.
fn sum_face(parts: &[Part<'_>], sizes: &[f64], size: f64, (v, target, within): Asked<'_>, k: &mut [f64]) {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|&a, &b| sizes[a].total_cmp(&sizes[b]));
    // A block whose κ_l turns to −κ_l costs twice its size in ⟨k, v⟩.
    let (mut zero, mut weak) = (vec![false; parts.len()], 0.0);
    for l in order {
        if 2.0 * (weak + sizes[l]) > within * size {
            break;
        }
        (zero[l], weak) = (true, weak + sizes[l]);
    }
    // (size − weak)(1 − rest) − weak = (1 − within)·size.
    let rest = (within * size - 2.0 * weak) / (size - weak);
    for (l, p) in parts.iter().enumerate() {
        let (target, into) = (p.block.of(target), p.block.of_mut(k));
        let factor = if zero[l] {
            into.copy_from_slice(target);
            let dual = p.norm.dual(target, &p.alone);
            if dual > size { size / dual } else { 1.0 }
        } else {
            let scaled: Vec<f64> = target.iter().map(|t| t * sizes[l] / size).collect();
            p.norm.subgradient(p.block.of(v), &p.alone, &scaled, rest, into);
            size / sizes[l]
        };
        into.iter_mut().for_each(|k| *k *= factor);
    }
}

/// Rounds of the alternation; each is one decomposition of each active block.
const ROUNDS: usize = 100;
/// Norms of blocks that differ by less are equal: rounding of a decomposition.
const EQUAL: f64 = 1e-14;
/// The alternation ends when no share moves by more.
const SETTLED: f64 = 1e-14;
/// The share that stands for 0 when the nearest κ_l is asked for: small enough that the target's direction decides.
const SMALL: f64 = 1e-9;

/// ‖v‖·Σ t_l κ_l for the maximum of norms.
fn max_face(parts: &[Part<'_>], sizes: &[f64], size: f64, (v, target, within): Asked<'_>, k: &mut [f64]) {
    let active: Vec<usize> =
        (0..parts.len()).filter(|&l| sizes[l] >= (1.0 - within.max(EQUAL)) * size).collect();
    let mut shares = vec![1.0 / active.len() as f64; active.len()];
    let mut faces: Vec<Vec<f64>> = active.iter().map(|&l| vec![0.0; parts[l].block.len()]).collect();
    for _ in 0..ROUNDS {
        for ((&l, t), face) in active.iter().zip(&shares).zip(&mut faces) {
            let (p, deficit) = (&parts[l], 1.0 - sizes[l] / size);
            // κ_l nearest to target/(‖v‖ t_l); the subgradient is n_l(v_l)·κ_l.
            let factor = sizes[l] / (size * t.max(SMALL));
            let scaled: Vec<f64> = p.block.of(target).iter().map(|t| t * factor).collect();
            let own = ((within - deficit) / (1.0 - deficit)).max(0.0);
            p.norm.subgradient(p.block.of(v), &p.alone, &scaled, own, face);
            face.iter_mut().for_each(|k| *k /= sizes[l]);
        }
        let share = |(&l, face): (&usize, &Vec<f64>)| Share::new(face, parts[l].block.of(target), size);
        let next = share_out(&active.iter().zip(&faces).map(share).collect::<Vec<_>>());
        let moved = next.iter().zip(&shares).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
        shares = next;
        if moved <= SETTLED {
            break;
        }
    }
    for ((&l, t), face) in active.iter().zip(&shares).zip(&faces) {
        parts[l].block.of_mut(k).iter_mut().zip(face).for_each(|(k, x)| *k = size * t * x);
    }
}

impl Entry for Blockwise {
    const ABOUT: &'static str = "max, sum or root of squares of norms of the blocks (modular norm)";
    const EXAMPLE: &'static str = "inner = \"spectral\"";
    const CITE: &'static [Cite] = &[TSILIVIS_2024, LARGE_2024, BERNSTEIN_2024];
}
