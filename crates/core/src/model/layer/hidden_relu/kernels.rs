//! The kernels: tiles of a panel in registers, for the vectors of the machine at hand.

use pulp::{Simd, WithSimd};

use super::{Cut, TILE, VECTORS, WIDEST, WORD};

/// The outputs from every group's sums.
pub(super) struct Sum<'a> {
    pub sums: &'a [f64],
    pub y: &'a mut [f64],
    pub offset: f64,
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n = self.y.len();
        let sums = S::as_simd_f64s(self.sums).0;
        for (i, y) in self.y.iter_mut().enumerate() {
            let mut total = sums[i];
            for group in sums.chunks_exact(n).skip(1) {
                total = simd.add_f64s(total, group[i]);
            }
            *y = simd.reduce_sum_f64s(total) + self.offset;
        }
    }
}

/// A slice of vectors as rows of a panel.
#[inline(always)]
fn rows_of<T, const V: usize>(vectors: &[T]) -> &[[T; V]] {
    vectors.as_chunks().0
}

#[inline(always)]
fn rows_of_mut<T, const V: usize>(vectors: &mut [T]) -> &mut [[T; V]] {
    vectors.as_chunks_mut().0
}

/// Calls a method for tiles of exactly as many rows, or columns, as there are.
macro_rules! exactly {
    ($rows:expr, $call:ident($($argument:expr),* $(,)?)) => {
        match $rows {
            1 => $call::<S, V, 1>($($argument),*),
            2 => $call::<S, V, 2>($($argument),*),
            3 => $call::<S, V, 3>($($argument),*),
            4 => $call::<S, V, 4>($($argument),*),
            5 => $call::<S, V, 5>($($argument),*),
            6 => $call::<S, V, 6>($($argument),*),
            7 => $call::<S, V, 7>($($argument),*),
            _ => $call::<S, V, 8>($($argument),*),
        }
    };
}

/// Rows of a tile that leave registers for the rest: 24 of 32 accumulators, or 12 of 16.
#[inline(always)]
fn tile_rows<S: Simd>() -> usize {
    if S::F64_LANES == WIDEST { TILE } else { TILE / 2 }
}

/// Every bit of a word.
static BITS: [u64; WORD] = {
    let mut bits = [0; WORD];
    let mut r = 0;
    while r < WORD {
        bits[r] = 1 << r;
        r += 1;
    }
    bits
};

/// The way there for a group of panels.
pub(super) struct Forward<'a> {
    pub cut: Cut,
    pub x: &'a [f64],
    pub weight: &'a [f64],
    pub bias: &'a [f64],
    pub v: &'a [f64],
    pub packed: &'a mut [f64],
    pub words: &'a mut [u64],
    pub sums: &'a mut [f64],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Forward { cut, x, weight, bias, v, packed, words, sums } = self;
        let sums = S::as_mut_simd_f64s(sums).0;
        sums.fill(simd.splat_f64s(0.0));
        let parts = weight.chunks(cut.panel * cut.inputs).zip(v.chunks(cut.panel));
        let apart = if cut.has_few_columns() { cut.packed() } else { 0 };
        for (p, ((weight, v), words)) in parts.zip(words.chunks_mut(cut.words())).enumerate() {
            let packed = &mut packed[p * apart..][..cut.packed()];
            let vectors = v.len().div_ceil(S::F64_LANES);
            let bias = bias.get(p * cut.panel..).unwrap_or(&[]);
            let bias = &bias[..bias.len().min(v.len())];
            match S::F64_LANES {
                WIDEST => pack::<WIDEST>(weight, bias, v, cut.inputs, vectors * S::F64_LANES, packed),
                _ => pack::<{ WIDEST / 2 }>(weight, bias, v, cut.inputs, vectors * S::F64_LANES, packed),
            }
            let packed = S::as_simd_f64s(packed).0;
            let words = S::as_mut_simd_u64s(words).0;
            match vectors {
                1 => forward_panel::<S, 1>(simd, x, cut.inputs, rows_of(packed), rows_of_mut(words), sums),
                2 => forward_panel::<S, 2>(simd, x, cut.inputs, rows_of(packed), rows_of_mut(words), sums),
                _ => forward_panel::<S, 3>(simd, x, cut.inputs, rows_of(packed), rows_of_mut(words), sums),
            }
        }
    }
}

/// A panel's rows of W as columns, B of them at a time, then b and v, all filled up with zeros.
#[inline(always)]
fn pack<const B: usize>(
    weight: &[f64],
    bias: &[f64],
    v: &[f64],
    inputs: usize,
    row: usize,
    packed: &mut [f64],
) {
    let (turned, rest) = packed[..(inputs + 2) * row].split_at_mut(inputs * row);
    for (block, weights) in weight.chunks(B * inputs).enumerate() {
        let from = block * B;
        if weights.len() == B * inputs {
            let rows: [&[f64]; B] = std::array::from_fn(|j| &weights[j * inputs..][..inputs]);
            for k in 0..inputs {
                let column: [f64; B] = std::array::from_fn(|j| rows[j][k]);
                turned[k * row + from..][..B].copy_from_slice(&column);
            }
            continue;
        }
        for k in 0..inputs {
            let to = &mut turned[k * row + from..(k + 1) * row];
            to.fill(0.0);
            to.iter_mut().zip(weights.chunks_exact(inputs)).for_each(|(to, w)| *to = w[k]);
        }
    }
    let (to_bias, to_v) = rest.split_at_mut(row);
    for (to, from) in [(to_bias, bias), (to_v, v)] {
        to[..from.len()].copy_from_slice(from);
        to[from.len()..].fill(0.0);
    }
}

#[inline(always)]
fn forward_panel<S: Simd, const V: usize>(
    simd: S,
    x: &[f64],
    inputs: usize,
    packed: &[[S::f64s; V]],
    words: &mut [[S::u64s; V]],
    sums: &mut [S::f64s],
) {
    let (weight, rest) = packed.split_at(inputs);
    let ends = [rest[0], rest[1]];
    let tile = tile_rows::<S>();
    for ((x, word), sums) in x.chunks(WORD * inputs).zip(words).zip(sums.chunks_mut(WORD)) {
        let mut off = [simd.splat_u64s(0); V];
        for ((x, bits), sums) in x.chunks(tile * inputs).zip(BITS.chunks(tile)).zip(sums.chunks_mut(tile)) {
            off = exactly!(sums.len(), forward_tile(simd, x, weight, ends, bits, off, sums));
        }
        *word = off.map(|off| simd.not_u64s(off));
    }
}

#[inline(always)]
fn forward_tile<S: Simd, const V: usize, const R: usize>(
    simd: S,
    x: &[f64],
    weight: &[[S::f64s; V]],
    [bias, v]: [[S::f64s; V]; 2],
    bits: &[u64],
    mut off: [S::u64s; V],
    sums: &mut [S::f64s],
) -> [S::u64s; V] {
    let inputs = weight.len();
    let rows: [&[f64]; R] = std::array::from_fn(|r| &x[r * inputs..][..inputs]);
    let mut tile = [bias; R];
    for (k, w) in weight.iter().enumerate() {
        for r in 0..R {
            let x = simd.splat_f64s(rows[r][k]);
            for c in 0..V {
                tile[r][c] = simd.mul_add_e_f64s(x, w[c], tile[r][c]);
            }
        }
    }
    let zero = simd.splat_f64s(0.0);
    for ((z, bit), sum) in tile.into_iter().zip(bits).zip(sums) {
        let bit = simd.splat_u64s(*bit);
        for c in 0..V {
            // A NaN is not at most 0, and passes.
            let is_off = simd.less_than_or_equal_f64s(z[c], zero);
            off[c] = simd.select_u64s(is_off, simd.or_u64s(off[c], bit), off[c]);
            *sum = simd.mul_add_e_f64s(simd.select_f64s(is_off, zero, z[c]), v[c], *sum);
        }
    }
    off
}

/// The way back for a group of panels where there are few columns: a neuron's sum over the rows where it is on, column by
/// column, for a vector of neurons at a time.
pub(super) struct Masked<'a> {
    pub cut: Cut,
    pub terms: &'a [f64],
    pub words: &'a [u64],
    pub packed: &'a [f64],
    pub dweight: &'a mut [f64],
    pub dv: &'a mut [f64],
    pub dbias: &'a mut [f64],
}

impl WithSimd for Masked<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Masked { cut, terms, words, packed, dweight, dv, dbias } = self;
        let parts = words.chunks(cut.words()).zip(packed.chunks(cut.packed()));
        let parts = parts.zip(dweight.chunks_mut(cut.panel * cut.inputs)).zip(dv.chunks_mut(cut.panel));
        for (p, (((words, packed), dweight), dv)) in parts.enumerate() {
            let at = (p * cut.panel).min(dbias.len());
            let to = (at + dv.len()).min(dbias.len());
            let into = Gradient { inputs: cut.inputs, dweight, dv, dbias: &mut dbias[at..to] };
            let (words, packed) = (S::as_simd_u64s(words).0, S::as_simd_f64s(packed).0);
            match into.dv.len().div_ceil(S::F64_LANES) {
                1 => masked_panel::<S, 1>(simd, cut, terms, rows_of(words), rows_of(packed), into),
                2 => masked_panel::<S, 2>(simd, cut, terms, rows_of(words), rows_of(packed), into),
                _ => masked_panel::<S, 3>(simd, cut, terms, rows_of(words), rows_of(packed), into),
            }
        }
    }
}

/// Where a panel's gradients are added.
struct Gradient<'a> {
    inputs: usize,
    dweight: &'a mut [f64],
    dv: &'a mut [f64],
    dbias: &'a mut [f64],
}

#[inline(always)]
fn masked_panel<S: Simd, const V: usize>(
    simd: S,
    cut: Cut,
    terms: &[f64],
    words: &[[S::u64s; V]],
    packed: &[[S::f64s; V]],
    into: Gradient<'_>,
) {
    exactly!(cut.columns, masked_columns(simd, terms, words, packed, into));
}

#[inline(always)]
fn masked_columns<S: Simd, const V: usize, const C: usize>(
    simd: S,
    terms: &[f64],
    words: &[[S::u64s; V]],
    packed: &[[S::f64s; V]],
    into: Gradient<'_>,
) {
    let (zero, none) = (simd.splat_f64s(0.0), simd.splat_u64s(0));
    // Opaque, or the compiler makes the products additions again.
    let one = simd.splat_f64s(std::hint::black_box(1.0));
    let mut sums = [[zero; V]; C];
    for (terms, on) in rows_of::<_, C>(terms).chunks(WORD).zip(words) {
        let off = on.map(|on| simd.not_u64s(on));
        for (terms, bit) in terms.iter().zip(&BITS) {
            let bit = simd.splat_u64s(*bit);
            let is_on: [_; V] = std::array::from_fn(|c| simd.equal_u64s(simd.and_u64s(off[c], bit), none));
            for k in 0..C {
                let term = simd.splat_f64s(terms[k]);
                for c in 0..V {
                    // Every other sum as a product with 1, which is the same number from another unit.
                    let sum = match k % 2 {
                        0 => simd.add_f64s(sums[k][c], term),
                        _ => simd.mul_add_e_f64s(one, term, sums[k][c]),
                    };
                    sums[k][c] = simd.select_f64s(is_on[c], sum, sums[k][c]);
                }
            }
        }
    }
    let v = packed[into.inputs + 1];
    let mut dv = [zero; V];
    for (sums, w) in sums.iter().zip(packed) {
        for c in 0..V {
            dv[c] = simd.mul_add_e_f64s(sums[c], w[c], dv[c]);
        }
    }
    add::<S, V>(&dv, into.dv);
    let mut slopes = [[0.0; VECTORS * WIDEST]; C];
    for (slopes, sums) in slopes.iter_mut().zip(&sums) {
        let mut own = *sums;
        for c in 0..V {
            own[c] = simd.mul_f64s(own[c], v[c]);
        }
        let own = numbers::<S, V>(&own);
        slopes[..own.len()].copy_from_slice(own);
    }
    if C == into.inputs {
        turn(into.dweight.as_chunks_mut().0, &slopes);
        return;
    }
    for (j, row) in into.dweight.chunks_exact_mut(into.inputs).enumerate() {
        row.iter_mut().zip(&slopes).for_each(|(to, slopes)| *to += slopes[j]);
    }
    into.dbias.iter_mut().zip(slopes[C - 1]).for_each(|(to, slope)| *to += slope);
}

/// Adds columns to rows. Apart from the kernel, whose vectors do not help here.
#[inline(never)]
fn turn<const C: usize>(rows: &mut [[f64; C]], columns: &[[f64; VECTORS * WIDEST]; C]) {
    for (j, row) in rows.iter_mut().enumerate().take(VECTORS * WIDEST) {
        for k in 0..C {
            row[k] += columns[k][j];
        }
    }
}

/// The numbers of a panel's row.
#[inline(always)]
fn numbers<S: Simd, const V: usize>(row: &[S::f64s; V]) -> &[f64] {
    pulp::bytemuck::cast_slice(row)
}

#[inline(always)]
fn add<S: Simd, const V: usize>(row: &[S::f64s; V], to: &mut [f64]) {
    to.iter_mut().zip(numbers::<S, V>(row)).for_each(|(to, x)| *to += x);
}
