//! The members of a bundle: gradients met nearby, kept on the unit sphere.
//!
//! A member is (u_k, ĝ_k) with ĝ_k = g_k/ρ_k^{L−1} the gradient of F = ln(1/𝓛) brought to radius 1 by homogeneity. At
//! any radius all members carry the same factor ρ^{L−1}, so the Gram matrix of the ĝ_k never changes and gains one row
//! with each evaluation.
//!
//! F is the minimum over weights of Σ w_n q_n + Σ w_n ln w_n (exponential tails), so the part of F that a member
//! stands for is, linearised from u_k and brought to radius ρ,
//!
//!   ρ^L (⟨ĝ_k, u⟩ − (1 − 1/L)⟨ĝ_k, u_k⟩) + (F_k − ⟨g_k, θ_k⟩/L),
//!
//! and its linearisation error e_k is that minus F(θ): at least 0 where pieces meet as a minimum, negative behind a kink
//! that repels.

use rayon::prelude::*;

use crate::numeric::{axpy, distance, dot};
use crate::{Invalid, State};

/// Work (numbers times members) from which the dot products of a new row are shared between threads.
const PARALLEL_WORK: usize = 200_000;

/// Entries of the direction that are summed over all members at a time: 16 kB, which stay in a first-level cache.
const BLOCK: usize = 2048;

#[derive(Clone, Debug)]
pub(super) struct Member {
    /// u_k.
    pub unit: Vec<f64>,
    /// ĝ_k.
    pub slope: Vec<f64>,
    /// ∂ ln 𝓛/∂out there.
    pub cotangent: Vec<f64>,
    /// F_k − ⟨g_k, θ_k⟩/L.
    pub entropy: f64,
    /// ⟨ĝ_k, u_k⟩.
    pub euler: f64,
    /// ⟨ĝ_k, u⟩ at the current u.
    pub along: f64,
    /// |e_k| at the current iterate, in units of F.
    pub error: f64,
    /// An upper bound of ‖u_k − u‖.
    pub reach: f64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    /// Oldest first; the last is the latest evaluation.
    pub list: Vec<Member>,
    /// ⟨ĝ_i, ĝ_j⟩, row-major with stride `list.len()`.
    pub gram: Vec<f64>,
    /// The multipliers last found, in the order of `list`.
    pub lambda: Vec<f64>,
}

impl Members {
    /// Adds a member: one new row of the Gram matrix.
    pub fn push(&mut self, member: Member) {
        let k = self.list.len();
        self.list.push(member);
        let new = &self.list[k].slope;
        let row: Vec<f64> = if k * new.len() > PARALLEL_WORK {
            self.list.par_iter().map(|m| dot(&m.slope, new)).collect()
        } else {
            self.list.iter().map(|m| dot(&m.slope, new)).collect()
        };
        let mut gram = Vec::with_capacity((k + 1) * (k + 1));
        for i in 0..k {
            gram.extend_from_slice(&self.gram[i * k..(i + 1) * k]);
            gram.push(row[i]);
        }
        gram.extend_from_slice(&row);
        self.gram = gram;
        self.lambda.push(0.0);
    }

    /// Keeps the members for which `keep(index)` holds.
    pub fn retain(&mut self, keep: &[bool]) {
        if keep.iter().all(|k| *k) {
            return;
        }
        let k = self.list.len();
        let kept: Vec<usize> = (0..k).filter(|&i| keep[i]).collect();
        self.gram = kept
            .iter()
            .flat_map(|&i| kept.iter().map(move |&j| (i, j)))
            .map(|(i, j)| self.gram[i * k + j])
            .collect();
        self.lambda = kept.iter().map(|&i| self.lambda[i]).collect();
        let mut at = 0;
        self.list.retain(|_| {
            at += 1;
            keep[at - 1]
        });
    }

    /// Σ_j G_kj λ_j = ⟨ĝ_k, d̂⟩ for d̂ = Σ λ_j ĝ_j.
    pub fn gram_lambda(&self, k: usize) -> f64 {
        let n = self.list.len();
        (0..n).map(|j| self.gram[k * n + j] * self.lambda[j]).sum()
    }

    /// ‖ĝ_i − ĝ_j‖, from the Gram matrix.
    pub fn gap(&self, i: usize, j: usize) -> f64 {
        let n = self.list.len();
        (self.gram[i * n + i] + self.gram[j * n + j] - 2.0 * self.gram[i * n + j]).max(0.0).sqrt()
    }

    /// Σ λ_k ĝ_k.
    pub fn direction(&self, d: &mut [f64]) {
        let weighted = self.list.iter().zip(&self.lambda).filter(|(_, lambda)| **lambda > 0.0);
        let active: Vec<(&[f64], f64)> = weighted.map(|(m, lambda)| (&m.slope[..], *lambda)).collect();
        let work = active.len() * d.len();
        let sum = |(block, d): (usize, &mut [f64])| {
            let from = block * BLOCK;
            d.fill(0.0);
            for (slope, lambda) in &active {
                axpy(*lambda, &slope[from..from + d.len()], d);
            }
        };
        if work > PARALLEL_WORK {
            d.par_chunks_mut(BLOCK).enumerate().for_each(sum);
        } else {
            d.chunks_mut(BLOCK).enumerate().for_each(sum);
        }
    }

    /// Tightens the bounds on ‖u_k − u‖ that exceed `radius`, and says who is within.
    pub fn within(&mut self, unit: &[f64], radius: f64) -> Vec<bool> {
        let near = |member: &mut Member| {
            if member.reach > radius {
                member.reach = distance(&member.unit, unit);
            }
            member.reach <= radius
        };
        self.list.iter_mut().map(near).collect()
    }

    pub fn save(&self) -> State {
        let mut state = State::default();
        let flat = |f: fn(&Member) -> &[f64]| self.list.iter().flat_map(f).copied().collect::<Vec<_>>();
        state.put("unit", &flat(|m| &m.unit));
        state.put("slope", &flat(|m| &m.slope));
        state.put("cotangent", &flat(|m| &m.cotangent));
        let numbers: Vec<f64> =
            self.list.iter().flat_map(|m| [m.entropy, m.euler, m.along, m.reach]).collect();
        state.put("numbers", &numbers);
        state.put("gram", &self.gram);
        state.put("lambda", &self.lambda);
        state.put_counts("count", &[self.list.len() as u64]);
        state
    }

    pub fn load(state: &State) -> Result<Self, Invalid> {
        let [k] = state.counters("count")?;
        let k = k as usize;
        let rows = |name: &str| -> Result<Vec<Vec<f64>>, Invalid> {
            let all = state.get(name)?;
            if k == 0 || all.len() % k != 0 || all.is_empty() {
                return if k == 0 {
                    Ok(vec![])
                } else {
                    Err(Invalid::new(name, "the bundle's arrays do not fit"))
                };
            }
            Ok(all.chunks(all.len() / k).map(<[f64]>::to_vec).collect())
        };
        let (units, slopes, cotangents) = (rows("unit")?, rows("slope")?, rows("cotangent")?);
        let numbers = rows("numbers")?;
        let (gram, lambda) = (state.get("gram")?.to_vec(), state.get("lambda")?.to_vec());
        if gram.len() != k * k || lambda.len() != k || numbers.iter().any(|n| n.len() != 4) {
            return Err(Invalid::new("gram", "the bundle's arrays do not fit"));
        }
        let list = units.into_iter().zip(slopes).zip(cotangents).zip(numbers);
        let list = list.map(|(((unit, slope), cotangent), n)| Member {
            unit,
            slope,
            cotangent,
            entropy: n[0],
            euler: n[1],
            along: n[2],
            reach: n[3],
            error: 0.0,
        });
        Ok(Members { list: list.collect(), gram, lambda })
    }
}
