//! The kernels: tiles of a panel in registers, for the vectors of the machine at hand.

use pulp::{Simd, WithSimd};

use super::{BLOCK, Cut, TILE, WIDEST};

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

/// Calls a method for tiles of exactly as many rows as there are.
macro_rules! by_rows {
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

/// The way there for a group of panels.
pub(super) struct Forward<'a> {
    pub cut: Cut,
    pub x: &'a [f64],
    pub weight: &'a [f64],
    pub bias: &'a [f64],
    pub v: &'a [f64],
    pub packed: &'a mut [f64],
    pub h: &'a mut [f64],
    pub sums: &'a mut [f64],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Forward { cut, x, weight, bias, v, packed, h, sums } = self;
        let sums = S::as_mut_simd_f64s(sums).0;
        sums.fill(simd.splat_f64s(0.0));
        let parts = weight.chunks(cut.panel * cut.inputs).zip(v.chunks(cut.panel));
        let parts = parts.zip(packed.chunks_mut(cut.packed())).zip(h.chunks_mut(cut.n * cut.panel));
        for (p, (((weight, v), packed), h)) in parts.enumerate() {
            let vectors = v.len().div_ceil(S::F64_LANES);
            let bias = bias.get(p * cut.panel..).unwrap_or(&[]);
            let bias = &bias[..bias.len().min(v.len())];
            pack(weight, bias, v, cut.inputs, vectors * S::F64_LANES, packed);
            let packed = S::as_simd_f64s(packed).0;
            let h = S::as_mut_simd_f64s(h).0;
            match vectors {
                1 => forward_panel::<S, 1>(simd, x, cut.inputs, rows_of(packed), rows_of_mut(h), sums),
                2 => forward_panel::<S, 2>(simd, x, cut.inputs, rows_of(packed), rows_of_mut(h), sums),
                _ => forward_panel::<S, 3>(simd, x, cut.inputs, rows_of(packed), rows_of_mut(h), sums),
            }
        }
    }
}

/// A panel's rows of W as columns, then b and v, all filled up with zeros.
#[inline(always)]
fn pack(weight: &[f64], bias: &[f64], v: &[f64], inputs: usize, row: usize, packed: &mut [f64]) {
    let packed = &mut packed[..(inputs + 2) * row];
    if v.len() < row || bias.is_empty() {
        packed.fill(0.0);
    }
    let (turned, rest) = packed.split_at_mut(inputs * row);
    for (j, weights) in weight.chunks_exact(inputs).enumerate() {
        for (to, w) in turned.chunks_exact_mut(row).zip(weights) {
            to[j] = *w;
        }
    }
    rest[..bias.len()].copy_from_slice(bias);
    rest[row..][..v.len()].copy_from_slice(v);
}

#[inline(always)]
fn forward_panel<S: Simd, const V: usize>(
    simd: S,
    x: &[f64],
    inputs: usize,
    packed: &[[S::f64s; V]],
    h: &mut [[S::f64s; V]],
    sums: &mut [S::f64s],
) {
    let (weight, rest) = packed.split_at(inputs);
    let ends = [rest[0], rest[1]];
    let tile = tile_rows::<S>();
    for ((x, h), sums) in x.chunks(tile * inputs).zip(h.chunks_mut(tile)).zip(sums.chunks_mut(tile)) {
        by_rows!(sums.len(), forward_tile(simd, x, weight, ends, h, sums));
    }
}

#[inline(always)]
fn forward_tile<S: Simd, const V: usize, const R: usize>(
    simd: S,
    x: &[f64],
    weight: &[[S::f64s; V]],
    [bias, v]: [[S::f64s; V]; 2],
    h: &mut [[S::f64s; V]],
    sums: &mut [S::f64s],
) {
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
    for ((z, h), sum) in tile.into_iter().zip(h).zip(sums) {
        for c in 0..V {
            // A NaN is not at most 0, and passes.
            let off = simd.less_than_or_equal_f64s(z[c], zero);
            h[c] = simd.select_f64s(off, zero, z[c]);
            *sum = simd.mul_add_e_f64s(h[c], v[c], *sum);
        }
    }
}

/// The way back for a group of panels.
pub(super) struct Backward<'a> {
    pub cut: Cut,
    pub x: &'a [f64],
    pub dy: &'a [f64],
    pub h: &'a [f64],
    pub packed: &'a [f64],
    pub dweight: &'a mut [f64],
    pub dv: &'a mut [f64],
    pub dbias: &'a mut [f64],
    pub room: &'a mut [f64],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Backward { cut, x, dy, h, packed, dweight, dv, dbias, room } = self;
        let parts = h.chunks(cut.n * cut.panel).zip(packed.chunks(cut.packed()));
        let parts = parts.zip(dweight.chunks_mut(cut.panel * cut.inputs)).zip(dv.chunks_mut(cut.panel));
        for (p, (((h, packed), dweight), dv)) in parts.enumerate() {
            let at = (p * cut.panel).min(dbias.len());
            let to = (at + dv.len()).min(dbias.len());
            let into = Gradient { inputs: cut.inputs, dweight, dv, dbias: &mut dbias[at..to] };
            let v = (cut.inputs + 1) * dv_row::<S>(into.dv.len());
            let (h, v) = (S::as_simd_f64s(h).0, S::as_simd_f64s(&packed[v..]).0);
            let room = S::as_mut_simd_f64s(room).0;
            match into.dv.len().div_ceil(S::F64_LANES) {
                1 => backward_panel::<S, 1>(simd, x, dy, rows_of(h), rows_of(v)[0], room, into),
                2 => backward_panel::<S, 2>(simd, x, dy, rows_of(h), rows_of(v)[0], room, into),
                _ => backward_panel::<S, 3>(simd, x, dy, rows_of(h), rows_of(v)[0], room, into),
            }
        }
    }
}

/// Numbers of a panel's row with this many neurons.
#[inline(always)]
fn dv_row<S: Simd>(neurons: usize) -> usize {
    neurons.next_multiple_of(S::F64_LANES)
}

/// Where a panel's gradients are added.
struct Gradient<'a> {
    inputs: usize,
    dweight: &'a mut [f64],
    dv: &'a mut [f64],
    dbias: &'a mut [f64],
}

#[inline(always)]
fn backward_panel<S: Simd, const V: usize>(
    simd: S,
    x: &[f64],
    dy: &[f64],
    h: &[[S::f64s; V]],
    v: [S::f64s; V],
    room: &mut [S::f64s],
    into: Gradient<'_>,
) {
    // A narrow panel leaves room at its end.
    let h = &h[..dy.len()];
    let (inputs, zero) = (into.inputs, simd.splat_f64s(0.0));
    let (turned, dz) = rows_of_mut::<_, V>(room).split_at_mut(inputs);
    turned.fill([zero; V]);
    let (mut dv, mut dbias) = ([zero; V], [zero; V]);
    let has_bias = !into.dbias.is_empty();
    let blocks = x.chunks(BLOCK * inputs).zip(h.chunks(BLOCK)).zip(dy.chunks(BLOCK));
    for ((x, h), dy) in blocks {
        let dz = &mut dz[..h.len()];
        for ((dz, h), dy) in dz.iter_mut().zip(h).zip(dy) {
            let dy = simd.splat_f64s(*dy);
            for c in 0..V {
                let off = simd.less_than_or_equal_f64s(h[c], zero);
                dz[c] = simd.select_f64s(off, zero, simd.mul_f64s(dy, v[c]));
                dv[c] = simd.mul_add_e_f64s(dy, h[c], dv[c]);
            }
        }
        if has_bias {
            for dz in dz.iter() {
                for c in 0..V {
                    dbias[c] = simd.add_f64s(dbias[c], dz[c]);
                }
            }
        }
        let tile = tile_rows::<S>();
        for (k, turned) in turned.chunks_mut(tile).enumerate() {
            by_rows!(turned.len(), backward_tile(simd, &x[k * tile..], inputs, dz, turned));
        }
    }
    add::<S, V>(&dv, into.dv);
    add::<S, V>(&dbias, into.dbias);
    for (j, row) in into.dweight.chunks_exact_mut(inputs).enumerate() {
        for (to, from) in row.iter_mut().zip(turned.iter()) {
            *to += numbers::<S, V>(from)[j];
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

/// turned += Xᵀ dz for R of the inputs; `x` begins at the first of them.
#[inline(always)]
fn backward_tile<S: Simd, const V: usize, const R: usize>(
    simd: S,
    x: &[f64],
    inputs: usize,
    dz: &[[S::f64s; V]],
    turned: &mut [[S::f64s; V]],
) {
    let mut tile: [[S::f64s; V]; R] = std::array::from_fn(|r| turned[r]);
    for (x, dz) in x.chunks(inputs).zip(dz) {
        let Some(x) = x.first_chunk::<R>() else { break };
        for r in 0..R {
            let x = simd.splat_f64s(x[r]);
            for c in 0..V {
                tile[r][c] = simd.mul_add_e_f64s(x, dz[c], tile[r][c]);
            }
        }
    }
    turned.iter_mut().zip(tile).for_each(|(turned, tile)| *turned = tile);
}
