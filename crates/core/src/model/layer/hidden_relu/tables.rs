//! The way back where there are many columns: sums over subsets of the rows, looked up in tables.
//!
//! For one output the cotangent of neuron j at row i is dy_i v_j where the neuron is on and 0 elsewhere, so a gradient is
//! v_j Σ_i on_ij dy_i x_i: a matrix of bits times a matrix of numbers. Four rows have sixteen sums, and a table of them turns
//! four multiplications and additions into one addition (the method of the four Russians: Arlazarov, Dinic, Kronrod &
//! Faradzev 1970). A slab is a vector of columns; the tables of a word's 64 rows of it fit the first-level cache.

use pulp::{Simd, WithSimd};

use super::{Cut, WORD};

/// Rows of a table, and its sums.
const ROWS: usize = 4;
const SUMS: usize = 1 << ROWS;
/// Vectors of four tables, which are looked up together, and how often that is for a whole word.
const QUAD: usize = 4 * SUMS;
const QUADS: usize = WORD / (4 * ROWS);
/// Vectors of a slab's tables.
const TABLES: usize = QUADS * QUAD;

/// Numbers of scratch for a slab: its tables, and the sum of every neuron.
pub(super) fn room_of(cut: &Cut) -> usize {
    (TABLES + cut.panels * cut.panel) * cut.lanes
}

/// A slab's sums for every neuron, into `room` behind the tables.
pub(super) struct Slab<'a> {
    pub cut: Cut,
    pub x: &'a [f64],
    pub dy: &'a [f64],
    pub words: &'a [u64],
    /// Which slab.
    pub slab: usize,
    pub room: &'a mut [f64],
}

impl WithSimd for Slab<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Slab { cut, x, dy, words, slab, room } = self;
        let (tables, sums) = S::as_mut_simd_f64s(room).0.split_at_mut(TABLES);
        sums.fill(simd.splat_f64s(0.0));
        let first = slab * S::F64_LANES;
        let parts = x.chunks(WORD * cut.inputs).zip(dy.chunks(WORD));
        for (block, (x, dy)) in parts.enumerate() {
            let quads = dy.len().div_ceil(4 * ROWS);
            for (t, table) in tables[..quads * QUAD].as_chunks_mut().0.iter_mut().enumerate() {
                let term = |r: usize| term(simd, x, dy, t * ROWS + r, cut.inputs, first);
                *table = all_sums(simd, std::array::from_fn(term));
            }
            for (p, (words, sums)) in words.chunks(cut.words()).zip(sums.chunks_mut(cut.panel)).enumerate() {
                let neurons = cut.panel.min(cut.width - p * cut.panel);
                // A narrow panel has narrow rows.
                let row = neurons.next_multiple_of(S::F64_LANES);
                let (words, sums) = (&words[block * row..][..neurons], &mut sums[..neurons]);
                match quads {
                    1 => look_up::<S, 1>(simd, tables, words, sums),
                    2 => look_up::<S, 2>(simd, tables, words, sums),
                    3 => look_up::<S, 3>(simd, tables, words, sums),
                    _ => look_up::<S, QUADS>(simd, tables, words, sums),
                }
            }
        }
    }
}

/// dy x for a slab of row `r`, with dy for the bias in the column after the inputs; 0 beyond the rows. What is beyond the
/// columns may be anything.
#[inline(always)]
fn term<S: Simd>(simd: S, x: &[f64], dy: &[f64], r: usize, inputs: usize, first: usize) -> S::f64s {
    let Some(dy) = dy.get(r) else { return simd.splat_f64s(0.0) };
    let row = &x[r * inputs + first..(r + 1) * inputs];
    let dy = simd.splat_f64s(*dy);
    match S::as_simd_f64s(row).0 {
        [x, ..] => simd.mul_f64s(dy, *x),
        [] => {
            let mut last = [0.0; super::WIDEST];
            last[..row.len()].copy_from_slice(row);
            last[row.len()] = 1.0;
            simd.mul_f64s(dy, S::as_simd_f64s(&last).0[0])
        }
    }
}

/// The sums of every subset of four terms: bit r of its place is for term r.
#[inline(always)]
fn all_sums<S: Simd>(simd: S, terms: [S::f64s; ROWS]) -> [S::f64s; SUMS] {
    let mut sums = [simd.splat_f64s(0.0); SUMS];
    for (r, term) in terms.into_iter().enumerate() {
        for s in 0..1 << r {
            sums[s | (1 << r)] = simd.add_f64s(sums[s], term);
        }
    }
    sums
}

/// Adds to every neuron's sum those of the rows where it is on, 16 Q of them.
#[inline(always)]
fn look_up<S: Simd, const Q: usize>(simd: S, tables: &[S::f64s], words: &[u64], sums: &mut [S::f64s]) {
    let Some(tables) = tables.as_chunks::<QUAD>().0.first_chunk::<Q>() else { return };
    for (on, sum) in words.iter().zip(sums) {
        let mut total = *sum;
        for (q, quad) in tables.iter().enumerate() {
            let of = |t: usize| quad[(t * SUMS) | ((on >> (ROWS * (4 * q + t))) as usize % SUMS)];
            let halves = [simd.add_f64s(of(0), of(1)), simd.add_f64s(of(2), of(3))];
            total = simd.add_f64s(total, simd.add_f64s(halves[0], halves[1]));
        }
        *sum = total;
    }
}

/// From the sums of some slabs to the gradients, neuron by neuron.
pub(super) struct Gather<'a> {
    pub cut: Cut,
    /// The first slab, and the first neuron.
    pub first: usize,
    pub first_neuron: usize,
    pub room: &'a [f64],
    pub weight: &'a [f64],
    pub bias: &'a [f64],
    pub v: &'a [f64],
    pub dweight: &'a mut [f64],
    pub dv: &'a mut [f64],
    pub dbias: &'a mut [f64],
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Gather { cut, first, first_neuron, room, weight, bias, v, dweight, dv, dbias } = self;
        let of_slab = room_of(&cut);
        let slabs = room.len() / of_slab;
        let (from, to) = (first * S::F64_LANES, ((first + slabs) * S::F64_LANES).min(cut.inputs));
        let rows = weight.chunks_exact(cut.inputs).zip(dweight.chunks_exact_mut(cut.inputs));
        for (j, (((w, dw), v), dv)) in rows.zip(v).zip(dv).enumerate() {
            let own = |slab: usize| {
                let sums = &room[slab * of_slab..][..of_slab];
                S::as_simd_f64s(sums).0[TABLES + first_neuron + j]
            };
            let splat = simd.splat_f64s(*v);
            let mut along = simd.splat_f64s(0.0);
            let (w, dw) = (&w[from..to], &mut dw[from..to]);
            let ((w, w_last), (dw, dw_last)) = (S::as_simd_f64s(w), S::as_mut_simd_f64s(dw));
            let whole = w.len();
            for (slab, (w, dw)) in w.iter().zip(dw).enumerate() {
                let sum = own(slab);
                along = simd.mul_add_e_f64s(sum, *w, along);
                *dw = simd.mul_add_e_f64s(sum, splat, *dw);
            }
            let mut along = simd.reduce_sum_f64s(along);
            if whole < slabs {
                let last = own(whole);
                let last: &[f64] = pulp::bytemuck::cast_slice(std::slice::from_ref(&last));
                for ((sum, w), dw) in last.iter().zip(w_last).zip(dw_last) {
                    along += sum * w;
                    *dw += sum * v;
                }
                if let (Some(b), Some(db)) = (bias.get(j), dbias.get_mut(j)) {
                    let sum = last[w_last.len()];
                    along += sum * b;
                    *db += sum * v;
                }
            }
            *dv += along;
        }
    }
}

/// From the sums of some slabs to the cotangents of the inputs, row by row: with rows for neurons.
pub(super) struct Scatter<'a> {
    pub cut: Cut,
    pub first: usize,
    pub first_neuron: usize,
    pub room: &'a [f64],
    pub dx: &'a mut [f64],
    pub dy: &'a [f64],
}

impl WithSimd for Scatter<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Scatter { cut, first, first_neuron, room, dx, dy } = self;
        let of_slab = room_of(&cut);
        let slabs = room.len() / of_slab;
        let (from, to) = (first * S::F64_LANES, ((first + slabs) * S::F64_LANES).min(cut.inputs));
        for (i, (dx, dy)) in dx.chunks_exact_mut(cut.inputs).zip(dy).enumerate() {
            let splat = simd.splat_f64s(*dy);
            let own = |slab: usize| {
                let sums = &room[slab * of_slab..][..of_slab];
                simd.mul_f64s(splat, S::as_simd_f64s(sums).0[TABLES + first_neuron + i])
            };
            let (dx, last) = S::as_mut_simd_f64s(&mut dx[from..to]);
            let whole = dx.len();
            dx.iter_mut().enumerate().for_each(|(slab, dx)| *dx = own(slab));
            if !last.is_empty() {
                let own = own(whole);
                last.copy_from_slice(
                    &pulp::bytemuck::cast_slice::<_, f64>(std::slice::from_ref(&own))[..last.len()],
                );
            }
        }
    }
}
