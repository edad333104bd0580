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
//!
//! # Memory
//! An evaluation costs a pass over all members for its row and one over those with weight for the direction, and both are bound
//! by memory. Members are therefore rounded to f32: ĝ_k is then off by 3e-8 of its length, as if it had been met next to where
//! it was, and everything that is computed from it (Gram matrix, direction, linearisation) is computed in f64 from the
//! rounded vector, so that nothing disagrees. F and its gradient at the iterate stay f64.
//!
//! Members live in slots that are used again, so that neither they nor the Gram matrix are ever moved. An empty slot is a
//! member whose piece is infinitely far away.

use rayon::prelude::*;

use crate::numeric::wide;
use crate::{Invalid, State};

/// Work (numbers times members) from which a pass is shared between threads.
const PARALLEL_WORK: usize = 300_000;

/// Entries that are taken of all vectors at a time, so that what is shared between members stays in a first-level cache.
const BLOCK: usize = 2048;

/// Members that go through a block together: as many independent sums.
const TOGETHER: usize = 4;

#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    /// The number of its evaluation; the least is the oldest.
    pub age: u64,
    /// u_k.
    pub unit: Vec<f32>,
    /// ĝ_k/2^exponent, with a length in [1, 2).
    slope: Vec<f32>,
    /// 2^exponent.
    scale: f64,
    /// ∂ ln 𝓛/∂out there.
    pub cotangent: Vec<f64>,
    /// F_k − ⟨g_k, θ_k⟩/L.
    pub entropy: f64,
    /// ⟨ĝ_k, u_k⟩.
    pub euler: f64,
    /// ⟨ĝ_k, u⟩ at the current u.
    pub along: f64,
    /// |e_k| at the current iterate, in units of F; infinite in an empty slot.
    pub error: f64,
    /// An upper bound of ‖u_k − u‖.
    pub reach: f64,
    /// Whether the slot is taken.
    pub live: bool,
}

/// What an evaluation brings: all in f64, as computed.
pub(super) struct Met<'a> {
    /// u_k.
    pub unit: &'a [f64],
    /// ∇ ln 𝓛 there, and −ρ^{1−L}: their product is ĝ_k.
    pub gradient: &'a [f64],
    pub factor: f64,
    pub cotangent: &'a [f64],
}

#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    slots: Vec<Member>,
    /// ⟨ĝ_i, ĝ_j⟩, row-major with stride `stride`.
    gram: Vec<f64>,
    stride: usize,
    /// The multipliers last found, one for each slot.
    pub lambda: Vec<f64>,
    met: u64,
    /// The new member in f64, its row, and who has weight: buffers.
    wide_slope: Vec<f64>,
    row: Vec<f64>,
    active: Vec<(usize, f64)>,
}

impl Member {
    /// ĝ_k over a power of two, and that.
    pub fn slope(&self) -> (&[f32], f64) {
        (&self.slope, self.scale)
    }

    /// ‖u_k − u‖₂.
    pub fn distance(&self, unit: &[f64]) -> f64 {
        wide(|| distance(&self.unit, unit))
    }
}

impl Members {
    /// Room for `most` members.
    pub fn new(most: usize) -> Self {
        Members { stride: most, ..Members::default() }
    }

    /// Slots in use, empty ones between them included.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    pub fn live(&self) -> impl Iterator<Item = (usize, &Member)> {
        self.slots.iter().enumerate().filter(|(_, m)| m.live)
    }

    pub fn get(&self, k: usize) -> &Member {
        &self.slots[k]
    }

    pub fn get_mut(&mut self, k: usize) -> &mut Member {
        &mut self.slots[k]
    }

    pub fn gram(&self) -> (&[f64], usize) {
        (&self.gram, self.stride)
    }

    /// Takes an evaluation in and gives the slot, with `unit`, `slope`, `cotangent`, `euler` and the row of the Gram matrix filled
    /// in. There has to be room.
    pub fn admit(&mut self, met: &Met<'_>) -> usize {
        let empty = self.slots.iter().position(|m| !m.live);
        let k = empty.unwrap_or(self.slots.len());
        if k == self.slots.len() {
            self.slots.push(Member::default());
            self.lambda.push(0.0);
            self.gram.resize(self.slots.len() * self.stride, 0.0);
        }
        self.met += 1;
        let slot = &mut self.slots[k];
        let length = crate::numeric::norm(met.gradient) * met.factor.abs();
        // A power of two: dividing by it rounds nothing but what leaves the range.
        slot.scale =
            if length > 0.0 && length.is_finite() { 2f64.powi(length.log2().floor() as i32) } else { 1.0 };
        let factor = met.factor / slot.scale;
        slot.unit.resize(met.unit.len(), 0.0);
        slot.slope.resize(met.gradient.len(), 0.0);
        wide(|| {
            slot.unit.iter_mut().zip(met.unit).for_each(|(to, u)| *to = *u as f32);
            slot.slope.iter_mut().zip(met.gradient).for_each(|(to, g)| *to = (g * factor) as f32);
        });
        slot.cotangent.clear();
        slot.cotangent.extend_from_slice(met.cotangent);
        slot.live = true;
        (slot.age, slot.error, slot.reach) = (self.met, 0.0, 0.0);
        self.lambda[k] = 0.0;
        self.wide_slope.resize(slot.slope.len(), 0.0);
        let scale = slot.scale;
        wide(|| self.wide_slope.iter_mut().zip(&slot.slope).for_each(|(to, s)| *to = f64::from(*s) * scale));
        let euler = crate::numeric::dot(&self.wide_slope, met.unit);
        (self.slots[k].euler, self.slots[k].along) = (euler, euler);
        let mut row = std::mem::take(&mut self.row);
        self.along(&self.wide_slope, &mut row);
        for (i, product) in row.iter().enumerate() {
            self.gram[k * self.stride + i] = *product;
            self.gram[i * self.stride + k] = *product;
        }
        self.row = row;
        k
    }

    /// ⟨ĝ_k, v⟩ for every slot; 0 in empty ones.
    pub fn along(&self, v: &[f64], products: &mut Vec<f64>) {
        products.clear();
        products.resize(self.slots.len(), 0.0);
        let together = |(slots, products): (&[Member], &mut [f64])| {
            if let [a, b, c, d] = slots
                && slots.iter().all(|m| m.live)
            {
                let sums = wide(|| four_dots([&a.slope, &b.slope, &c.slope, &d.slope], v));
                for k in 0..TOGETHER {
                    products[k] = slots[k].scale * sums[k];
                }
                return;
            }
            for (m, product) in slots.iter().zip(products).filter(|(m, _)| m.live) {
                *product = m.scale * wide(|| four_dots([&m.slope; 1], v))[0];
            }
        };
        let work = self.slots.len() * v.len();
        if work > PARALLEL_WORK {
            let groups = self.slots.par_chunks(TOGETHER).zip(products.par_chunks_mut(TOGETHER));
            groups.with_min_len(1 + PARALLEL_WORK / (4 * TOGETHER * v.len().max(1))).for_each(together);
        } else {
            self.slots.chunks(TOGETHER).zip(products.chunks_mut(TOGETHER)).for_each(together);
        }
    }

    /// ⟨ĝ, v⟩ of the member that was admitted last.
    pub fn along_newest(&self, v: &[f64]) -> f64 {
        crate::numeric::dot(&self.wide_slope, v)
    }

    /// Empties a slot.
    pub fn release(&mut self, k: usize) {
        let slot = &mut self.slots[k];
        (slot.live, slot.error, slot.age) = (false, f64::INFINITY, u64::MAX);
        self.lambda[k] = 0.0;
    }

    /// ⟨ĝ_k, d̂⟩ for d̂ = Σ λ_j ĝ_j, for every slot; what it says of empty ones means nothing.
    pub fn gram_lambda(&self, products: &mut Vec<f64>) {
        products.clear();
        products.resize(self.slots.len(), 0.0);
        for (j, lambda) in self.lambda.iter().enumerate().filter(|(_, lambda)| **lambda > 0.0) {
            let row = &self.gram[j * self.stride..][..products.len()];
            products.iter_mut().zip(row).for_each(|(p, g)| *p += lambda * g);
        }
    }

    /// ‖ĝ_k‖.
    pub fn length(&self, k: usize) -> f64 {
        self.gram[k * self.stride + k].sqrt()
    }

    /// ‖ĝ_i − ĝ_j‖, from the Gram matrix.
    pub fn gap(&self, i: usize, j: usize) -> f64 {
        let entry = |i: usize, j: usize| self.gram[i * self.stride + j];
        (entry(i, i) + entry(j, j) - 2.0 * entry(i, j)).max(0.0).sqrt()
    }

    /// d = `factor`·Σ λ_k ĝ_k.
    pub fn direction(&mut self, factor: f64, d: &mut [f64]) {
        let mut active = std::mem::take(&mut self.active);
        self.combine(&self.lambda, factor, &mut active, d);
        self.active = active;
    }

    /// d = `factor`·Σ weights_k ĝ_k, with weights by slot, 0 in empty ones. `active` is a buffer.
    pub fn combine(&self, weights: &[f64], factor: f64, active: &mut Vec<(usize, f64)>, d: &mut [f64]) {
        let weighted = self.slots.iter().zip(weights).enumerate().filter(|(_, (_, weight))| **weight != 0.0);
        active.clear();
        active.extend(weighted.map(|(k, (m, weight))| (k, factor * m.scale * weight)));
        let (slots, active) = (&self.slots, &*active);
        let sum = |(block, d): (usize, &mut [f64])| {
            let (from, to) = (block * BLOCK, block * BLOCK + d.len());
            d.fill(0.0);
            let part = |k: usize| (&slots[active[k].0].slope[from..to], active[k].1);
            let whole = active.len() - active.len() % TOGETHER;
            for k in (0..whole).step_by(TOGETHER) {
                let [(a, ca), (b, cb), (c, cc), (e, ce)] = [part(k), part(k + 1), part(k + 2), part(k + 3)];
                wide(|| {
                    for i in 0..d.len() {
                        let first = ca * f64::from(a[i]) + cb * f64::from(b[i]);
                        d[i] += first + (cc * f64::from(c[i]) + ce * f64::from(e[i]));
                    }
                });
            }
            for k in whole..active.len() {
                let (a, c) = part(k);
                wide(|| d.iter_mut().zip(a).for_each(|(d, a)| *d += c * f64::from(*a)));
            }
        };
        if active.len() * d.len() > PARALLEL_WORK {
            d.par_chunks_mut(BLOCK).enumerate().for_each(sum);
        } else {
            d.chunks_mut(BLOCK).enumerate().for_each(sum);
        }
    }

    /// Tightens the bounds on ‖u_k − u‖ that exceed `radius`, by `distance` of a member from u, and says for every slot whether
    /// it is within.
    pub fn within(&mut self, radius: f64, distance: impl Fn(&Member) -> f64, keep: &mut Vec<bool>) {
        keep.clear();
        keep.extend(self.slots.iter_mut().map(|member| {
            if member.live && member.reach > radius {
                member.reach = distance(member);
            }
            member.live && member.reach <= radius
        }));
    }

    pub fn save(&self) -> State {
        let mut state = State::default();
        let flat = |f: fn(&Member) -> &[f32]| {
            self.live().flat_map(|(_, m)| f(m)).map(|x| f64::from(*x)).collect::<Vec<_>>()
        };
        state.put("unit", &flat(|m| &m.unit));
        state.put("slope", &flat(|m| &m.slope));
        let cotangents: Vec<f64> = self.live().flat_map(|(_, m)| m.cotangent.iter().copied()).collect();
        state.put("cotangent", &cotangents);
        let numbers = self.live().flat_map(|(_, m)| [m.scale, m.entropy, m.euler, m.along, m.error, m.reach]);
        state.put("numbers", &numbers.collect::<Vec<_>>());
        let places: Vec<u64> = self.live().flat_map(|(k, m)| [k as u64, m.age]).collect();
        state.put_counts("places", &places);
        let k = self.slots.len();
        let rows = (0..k).flat_map(|i| self.gram[i * self.stride..][..k].iter().copied());
        state.put("gram", &rows.collect::<Vec<_>>());
        state.put("lambda", &self.lambda);
        state.put_counts("count", &[k as u64, self.met]);
        state
    }

    /// Takes what [`save`](Self::save) gave.
    pub fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let misfit = |name: &str| Invalid::new(name, "the bundle's arrays do not fit");
        let [k, met] = state.counters("count")?;
        let (k, stride) = (k as usize, self.stride);
        let places = state.counts("places")?;
        let n = places.len() / 2;
        if k > stride || n > k || places.chunks_exact(2).any(|p| p[0] >= k as u64) {
            return Err(misfit("places"));
        }
        let rows = |name: &str| -> Result<Vec<Vec<f64>>, Invalid> {
            let all = state.get(name)?;
            if n == 0 || all.is_empty() || all.len() % n != 0 {
                return if n == 0 && all.is_empty() { Ok(vec![]) } else { Err(misfit(name)) };
            }
            Ok(all.chunks(all.len() / n).map(<[f64]>::to_vec).collect())
        };
        let (units, slopes, cotangents) = (rows("unit")?, rows("slope")?, rows("cotangent")?);
        let numbers = rows("numbers")?;
        let (gram, lambda) = (state.get("gram")?, state.get("lambda")?);
        if gram.len() != k * k || lambda.len() != k || numbers.iter().any(|n| n.len() != 6) {
            return Err(misfit("gram"));
        }
        let empty = Member { error: f64::INFINITY, age: u64::MAX, ..Member::default() };
        let mut slots = vec![empty; k];
        let single = |v: Vec<f64>| v.into_iter().map(|x| x as f32).collect::<Vec<_>>();
        let arrays = units.into_iter().zip(slopes).zip(cotangents).zip(numbers);
        for (place, (((unit, slope), cotangent), n)) in places.chunks_exact(2).zip(arrays) {
            slots[place[0] as usize] = Member {
                age: place[1],
                unit: single(unit),
                slope: single(slope),
                cotangent,
                scale: n[0],
                entropy: n[1],
                euler: n[2],
                along: n[3],
                error: n[4],
                reach: n[5],
                live: true,
            };
        }
        (self.slots, self.lambda, self.met) = (slots, lambda.to_vec(), met);
        self.gram = vec![0.0; k * stride];
        for i in 0..k {
            self.gram[i * stride..][..k].copy_from_slice(&gram[i * k..][..k]);
        }
        Ok(())
    }
}

/// ⟨a, v⟩ for N vectors, block by block, in eight lanes each.
#[inline(always)]
fn four_dots<const N: usize>(a: [&[f32]; N], v: &[f64]) -> [f64; N] {
    let mut lanes = [[0.0; 8]; N];
    let whole = v.len() - v.len() % 8;
    let a8 = a.map(|a| &a[..whole]);
    for (i, v) in v[..whole].chunks_exact(8).enumerate() {
        for (lanes, a) in lanes.iter_mut().zip(&a8) {
            let a = &a[8 * i..8 * i + 8];
            for j in 0..8 {
                lanes[j] += f64::from(a[j]) * v[j];
            }
        }
    }
    let mut sums = lanes.map(|l| ((l[0] + l[4]) + (l[1] + l[5])) + ((l[2] + l[6]) + (l[3] + l[7])));
    for (sum, a) in sums.iter_mut().zip(a) {
        *sum += a[whole..].iter().zip(&v[whole..]).map(|(a, v)| f64::from(*a) * v).sum::<f64>();
    }
    sums
}

/// ‖a − b‖.
#[inline(always)]
fn distance(a: &[f32], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let square = |(a, b): (&f32, &f64)| (f64::from(*a) - b) * (f64::from(*a) - b);
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(square).sum();
    for (a, b) in a8.zip(b8) {
        for j in 0..8 {
            lanes[j] += square((&a[j], &b[j]));
        }
    }
    (lanes.iter().sum::<f64>() + rest).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::{distance, dot, norm};

    /// Numbers in [−1, 1) without a pattern.
    fn numbers(seed: u64, n: usize) -> Vec<f64> {
        let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let next = |_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        (0..n).map(next).collect()
    }

    fn met<'a>(unit: &'a [f64], gradient: &'a [f64], factor: f64) -> Met<'a> {
        Met { unit, gradient, factor, cotangent: &[] }
    }

    /// Every inner product and the direction are those of ĝ to the rounding of f32, however long ĝ is, in slots used again as in
    /// fresh ones.
    #[test]
    fn products_and_directions_are_those_of_the_gradients() {
        let dim = 1003;
        for factor in [-1.0, 1e-70, 1e70] {
            let mut members = Members::new(9);
            let mut slopes: Vec<Vec<f64>> = Vec::new();
            for k in 0..9 {
                let (unit, gradient) = (numbers(100 + k, dim), numbers(k, dim));
                assert_eq!(members.admit(&met(&unit, &gradient, factor)), k as usize);
                slopes.push(gradient.iter().map(|g| factor * g).collect());
                let euler = dot(&slopes[k as usize], &unit);
                let size = norm(&slopes[k as usize]) * norm(&unit);
                assert!((members.get(k as usize).euler - euler).abs() < 1e-7 * size);
                assert_eq!(members.along_newest(&unit), members.get(k as usize).euler);
            }
            for slot in [2, 7] {
                members.release(slot);
            }
            for slot in [2, 7] {
                let (unit, gradient) = (numbers(200 + slot as u64, dim), numbers(50 + slot as u64, dim));
                assert_eq!(members.admit(&met(&unit, &gradient, factor)), slot);
                slopes[slot] = gradient.iter().map(|g| factor * g).collect();
            }
            members.lambda = vec![0.1, 0.0, 0.2, 0.1, 0.0, 0.3, 0.1, 0.15, 0.05];
            let mut sum = vec![0.0; dim];
            for (slope, lambda) in slopes.iter().zip(&members.lambda) {
                sum.iter_mut().zip(slope).for_each(|(s, x)| *s += lambda * x);
            }
            let mut d = vec![f64::NAN; dim];
            members.direction(2.0, &mut d);
            let half: Vec<f64> = d.iter().map(|d| d / 2.0).collect();
            assert!(distance(&half, &sum) < 1e-7 * norm(&sum));
            let mut along = Vec::new();
            members.gram_lambda(&mut along);
            let (gram, stride) = members.gram();
            for i in 0..9 {
                for j in 0..9 {
                    let exact = dot(&slopes[i], &slopes[j]);
                    let size = norm(&slopes[i]) * norm(&slopes[j]);
                    assert!((gram[i * stride + j] - exact).abs() < 2e-7 * size, "{factor} {i} {j}");
                    assert_eq!(gram[i * stride + j], gram[j * stride + i]);
                }
                assert!((along[i] - dot(&slopes[i], &half)).abs() < 1e-6 * norm(&slopes[i]) * norm(&half));
                // Of the rounded vectors, products and direction agree to the rounding of f64.
                let mut products = Vec::new();
                members.along(&half, &mut products);
                assert!((along[i] - products[i]).abs() < 1e-14 * norm(&slopes[i]) * norm(&half));
                let gap: Vec<f64> = slopes[i].iter().zip(&slopes[0]).map(|(a, b)| a - b).collect();
                assert!((members.gap(i, 0) - norm(&gap)).abs() < 1e-3 * norm(&slopes[0]));
            }
        }
    }

    #[test]
    fn who_is_within_is_told_by_distances() {
        let mut members = Members::new(3);
        let here = [0.6, 0.8, 0.0];
        for unit in [[0.6, 0.8, 0.0], [0.8, 0.6, 0.0], [0.6, 0.0, 0.8]] {
            let k = members.admit(&met(&unit, &[1.0, 0.0, 0.0], 1.0));
            members.get_mut(k).reach = 5.0;
        }
        let mut keep = Vec::new();
        members.within(0.3, |m| m.distance(&here), &mut keep);
        assert_eq!(keep, [true, true, false]);
        assert!((members.get(1).reach - 0.08f64.sqrt()).abs() < 1e-7);
        members.release(0);
        members.within(0.3, |m| m.distance(&here), &mut keep);
        assert_eq!(keep, [false, true, false]);
    }

    #[test]
    fn what_is_saved_comes_back_with_its_empty_slots() {
        let mut members = Members::new(5);
        for k in 0..4 {
            let cotangent = numbers(30 + k, 3);
            let (unit, gradient) = (numbers(k, 7), numbers(10 + k, 7));
            members.admit(&Met { unit: &unit, gradient: &gradient, factor: 1.0, cotangent: &cotangent });
        }
        members.release(1);
        members.lambda[3] = 1.0;
        let mut again = Members::new(5);
        again.load(&members.save()).unwrap();
        assert_eq!(again.slots(), 4);
        assert!(!again.get(1).live && again.get(1).error == f64::INFINITY);
        for k in [0, 2, 3] {
            let (a, b) = (members.get(k), again.get(k));
            assert_eq!((&a.unit, &a.slope, &a.cotangent, a.age), (&b.unit, &b.slope, &b.cotangent, b.age));
            assert_eq!(members.gap(k, 0), again.gap(k, 0));
        }
        let unit = numbers(77, 7);
        assert_eq!(members.admit(&met(&unit, &unit, 1.0)), again.admit(&met(&unit, &unit, 1.0)));
        assert_eq!(members.get(1).age, again.get(1).age);
        assert!(Members::new(3).load(&members.save()).is_err());
    }
}
