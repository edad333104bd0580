//! A dense layer, ReLU and a dense layer with one output as one stage: y = vᵀ max(W x (+ b), 0) (+ c).
//!
//! For ReLU'(0) = 0. The hidden layer is cut into panels of neurons. On the way there a panel's tile is thresholded and
//! multiplied by v while it is still in registers; on the way back its cotangents are made where the product with the inputs
//! needs them. Nothing of the size n × width is read or written more often than that, and threads share panels, which have no
//! sum in common but the output. How panels are grouped depends on the shapes alone.

use faer::Accum;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::dense::DenseLayer;
use super::dense_relu::DenseRelu;
use super::product::product;
use super::{Grads, Kept, Pass, Stage, gate};

/// Vectors of neurons in a panel: with eight rows a tile of 24 accumulators.
const VECTORS: usize = 3;
/// Most rows of a tile.
const TILE: usize = 8;
/// Rows whose cotangents are made before they are used.
const BLOCK: usize = 128;
/// Fewer rows are not worth turning the weights.
const FEW: usize = 4;
/// Most inputs: with more of them the inputs of a chunk leave the second-level cache, and a product in blocks is faster.
const DEEP: usize = 256;
/// Multiplications and additions from which on groups of panels are given to threads.
const GRAIN: usize = 2_000_000;
/// Most groups of panels.
const GROUPS: usize = 8;
/// Numbers of the widest vector, and bytes to which buffers are aligned.
const WIDEST: usize = 8;
const LINE: usize = 64;

/// y = vᵀ max(W x (+ b), 0) (+ c).
#[derive(Clone, Debug)]
pub(super) struct HiddenRelu {
    hidden: DenseRelu,
    outer: DenseLayer,
}

/// How a call is cut.
#[derive(Clone, Copy)]
struct Cut {
    n: usize,
    inputs: usize,
    /// Numbers of a vector and of a panel's row.
    lanes: usize,
    panel: usize,
    panels: usize,
    /// Panels of a group.
    group: usize,
}

impl Cut {
    fn groups(&self) -> usize {
        self.panels.div_ceil(self.group)
    }

    /// Numbers of a packed panel: the rows of Wᵀ, b and v.
    fn packed(&self) -> usize {
        (self.inputs + 2) * self.panel
    }

    fn is_shared(&self) -> bool {
        self.group < self.panels && rayon::current_num_threads() > 1
    }
}

impl HiddenRelu {
    /// The two layers around a ReLU as one stage, where that is faster: with the 32 registers of eight numbers of AVX-512.
    /// Tiles that fit 16 registers are too small for the loads of a product.
    pub(super) fn of(hidden: &DenseLayer, outer: &DenseLayer) -> Option<HiddenRelu> {
        let fits = outer.outputs() == 1 && outer.is_whole() && hidden.is_whole() && hidden.inputs() <= DEEP;
        (fits && Arch::new().dispatch(Lanes) == WIDEST)
            .then(|| HiddenRelu { hidden: DenseRelu(hidden.clone()), outer: outer.clone() })
    }

    fn inner(&self) -> &DenseLayer {
        &self.hidden.0
    }

    fn cut(&self, n: usize) -> Cut {
        let (inputs, width) = (self.inner().inputs(), self.inner().outputs());
        let lanes = Arch::new().dispatch(Lanes);
        let panel = VECTORS * lanes;
        let panels = width.div_ceil(panel);
        let groups = if 2 * n * inputs * width < GRAIN { 1 } else { GROUPS.min(panels) };
        Cut { n, inputs, lanes, panel, panels, group: panels.div_ceil(groups) }
    }

    fn split<'a>(&self, params: &'a [f64]) -> (&'a [f64], &'a [f64]) {
        params.split_at(self.inner().len())
    }

    fn few_rows(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64], kept: &mut Kept) {
        let (hidden, outer) = self.split(params);
        kept.inner.resize_with(2, Kept::default);
        let mut h = std::mem::take(&mut kept.inner[0].output);
        h.resize(n * self.hidden.outputs(), 0.0);
        self.hidden.forward(hidden, x, n, &mut h, &mut kept.inner[0]);
        self.outer.forward(outer, &h, n, y, &mut kept.inner[1]);
        kept.inner[0].output = h;
    }

    fn few_rows_back(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
        let Pass { params, x, y, n } = pass;
        let (hidden, outer) = self.split(params);
        let h = std::mem::take(&mut kept.inner[0].output);
        let mut dh = std::mem::take(&mut kept.inner[1].output);
        dh.resize(h.len(), 0.0);
        let (of_hidden, of_outer) = match grads.params {
            Some(all) => {
                let (a, b) = all.split_at_mut(hidden.len());
                (Some(a), Some(b))
            }
            None => (None, None),
        };
        let into = Grads { params: of_outer, inputs: Some(&mut dh) };
        self.outer.pullback(Pass { params: outer, x: &h, y, n }, dy, into, &mut kept.inner[1]);
        let into = Grads { params: of_hidden, inputs: grads.inputs };
        self.hidden.pullback(Pass { params: hidden, x, y: &h, n }, &dh, into, &mut kept.inner[0]);
        kept.inner[0].output = h;
        kept.inner[1].output = dh;
    }

    /// The cotangents of the inputs, which only attacks and deeper networks ask for.
    fn inputs_back(
        &self,
        pass: Pass<'_>,
        cut: Cut,
        h: &[f64],
        dy: &[f64],
        dx: &mut [f64],
        dz: &mut Vec<f64>,
    ) {
        let (weight, _) = self.inner().split(self.split(pass.params).0);
        let (v, _) = self.outer.split(self.split(pass.params).1);
        let width = v.len();
        dz.resize(pass.n * width, 0.0);
        for (p, (v, h)) in v.chunks(cut.panel).zip(h.chunks(pass.n * cut.panel)).enumerate() {
            let row = v.len().next_multiple_of(cut.lanes);
            for (i, (h, dy)) in h.chunks_exact(row).zip(dy).enumerate() {
                let to = &mut dz[i * width + p * cut.panel..][..v.len()];
                to.iter_mut().zip(h).zip(v).for_each(|((to, h), v)| *to = gate(*h, dy * v));
            }
        }
        let inputs = cut.inputs;
        product(dx, inputs, pass.n, Accum::Replace, (&dz[..], width, false), (weight, inputs, false));
    }
}

impl Stage for HiddenRelu {
    fn outputs(&self) -> usize {
        1
    }

    fn forward(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64], kept: &mut Kept) {
        if n < FEW {
            return self.few_rows(params, x, n, y, kept);
        }
        let cut = self.cut(n);
        let (hidden, outer) = self.split(params);
        let ((weight, bias), (v, offset)) = (self.inner().split(hidden), self.outer.split(outer));
        let Kept { numbers, scratch, back: [sums, _], .. } = kept;
        let h = aligned(numbers, cut.panels * n * cut.panel);
        let packed = aligned(scratch, cut.panels * cut.packed());
        let sums = aligned(sums, cut.groups() * n * cut.lanes);
        let rows = cut.group * cut.panel;
        let each = |(k, ((((h, packed), sums), weight), v)): (usize, Ahead<'_>)| {
            let bias = bias.get(k * rows..).unwrap_or(&[]);
            Arch::new().dispatch(Forward { cut, x, weight, bias, v, packed, h, sums });
        };
        let (of_h, of_packed) = (cut.group * n * cut.panel, cut.group * cut.packed());
        if cut.is_shared() {
            let parts = h.par_chunks_mut(of_h).zip(packed.par_chunks_mut(of_packed));
            let parts = parts.zip(sums.par_chunks_mut(n * cut.lanes));
            parts
                .zip(weight.par_chunks(rows * cut.inputs))
                .zip(v.par_chunks(rows))
                .enumerate()
                .for_each(each);
        } else {
            let parts = h.chunks_mut(of_h).zip(packed.chunks_mut(of_packed));
            let parts = parts.zip(sums.chunks_mut(n * cut.lanes));
            parts.zip(weight.chunks(rows * cut.inputs)).zip(v.chunks(rows)).enumerate().for_each(each);
        }
        Arch::new().dispatch(Sum { sums, y, offset: offset.first().copied().unwrap_or(0.0) });
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
        if pass.n < FEW {
            return self.few_rows_back(pass, dy, grads, kept);
        }
        let cut = self.cut(pass.n);
        let Kept { numbers, scratch, back: [_, room], .. } = kept;
        let h = aligned(numbers, cut.panels * pass.n * cut.panel);
        if let Some(dparams) = grads.params {
            let (dhidden, douter) = dparams.split_at_mut(self.inner().len());
            let (dweight, dbias) = self.inner().split_mut(dhidden);
            let (dv, doffset) = self.outer.split_mut(douter);
            if let [doffset] = doffset {
                *doffset += dy.iter().sum::<f64>();
            }
            let packed = aligned(scratch, cut.panels * cut.packed());
            let own_room = (BLOCK + cut.inputs) * cut.panel;
            let room = aligned(room, cut.groups() * own_room);
            let (rows, x) = (cut.group * cut.panel, pass.x);
            // A group without biases gets none of them.
            let mut none = [[0.0; 0]; GROUPS];
            let each = |(((((h, packed), dweight), dv), room), dbias): Behind<'_>| {
                Arch::new().dispatch(Backward { cut, x, dy, h, packed, dweight, dv, dbias, room });
            };
            let (of_h, of_packed) = (cut.group * pass.n * cut.panel, cut.group * cut.packed());
            if cut.is_shared() {
                let parts = h.par_chunks(of_h).zip(packed.par_chunks(of_packed));
                let parts = parts.zip(dweight.par_chunks_mut(rows * cut.inputs));
                let parts = parts.zip(dv.par_chunks_mut(rows)).zip(room.par_chunks_mut(own_room));
                match dbias.is_empty() {
                    true => parts.zip(none.par_iter_mut().map(|none| &mut none[..])).for_each(each),
                    false => parts.zip(dbias.par_chunks_mut(rows)).for_each(each),
                }
            } else {
                let parts = h.chunks(of_h).zip(packed.chunks(of_packed));
                let parts = parts.zip(dweight.chunks_mut(rows * cut.inputs));
                let parts = parts.zip(dv.chunks_mut(rows)).zip(room.chunks_mut(own_room));
                match dbias.is_empty() {
                    true => parts.zip(none.iter_mut().map(|none| &mut none[..])).for_each(each),
                    false => parts.zip(dbias.chunks_mut(rows)).for_each(each),
                }
            }
        }
        if let Some(dx) = grads.inputs {
            self.inputs_back(pass, cut, h, dy, dx, room);
        }
    }

    fn kept_per_row(&self) -> usize {
        self.inner().outputs() + 1
    }

    /// Where there are enough panels.
    fn shares_threads(&self) -> bool {
        self.inner().outputs() >= GROUPS * VECTORS * WIDEST
    }
}

/// A group's share of h, packed weights, sums, W and v.
type Ahead<'a> = ((((&'a mut [f64], &'a mut [f64]), &'a mut [f64]), &'a [f64]), &'a [f64]);
/// A group's share of h, packed weights, dW, dv, scratch and db.
type Behind<'a> = (((((&'a [f64], &'a [f64]), &'a mut [f64]), &'a mut [f64]), &'a mut [f64]), &'a mut [f64]);

/// The first `numbers` of a buffer from a cache line on, so that no vector crosses one.
fn aligned(buffer: &mut Vec<f64>, numbers: usize) -> &mut [f64] {
    let room = numbers + LINE / size_of::<f64>();
    if buffer.len() < room {
        buffer.resize(room, 0.0);
    }
    let skip = buffer.as_ptr().align_offset(LINE).min(room - numbers);
    &mut buffer[skip..][..numbers]
}

/// Numbers of a vector of this machine.
struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F64_LANES
    }
}

/// The outputs from every group's sums.
struct Sum<'a> {
    sums: &'a [f64],
    y: &'a mut [f64],
    offset: f64,
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

struct Forward<'a> {
    cut: Cut,
    x: &'a [f64],
    weight: &'a [f64],
    bias: &'a [f64],
    v: &'a [f64],
    packed: &'a mut [f64],
    h: &'a mut [f64],
    sums: &'a mut [f64],
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

struct Backward<'a> {
    cut: Cut,
    x: &'a [f64],
    dy: &'a [f64],
    h: &'a [f64],
    packed: &'a [f64],
    dweight: &'a mut [f64],
    dv: &'a mut [f64],
    dbias: &'a mut [f64],
    room: &'a mut [f64],
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use rand::Rng;

    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        let mut rng = stream(3, "hidden", seed);
        (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// Outputs, gradient of the parameters (added to 1) and of the inputs.
    fn pass(stage: &dyn Stage, params: &[f64], x: &[f64], dy: &[f64]) -> [Vec<f64>; 3] {
        let (n, mut kept) = (dy.len(), Kept::default());
        // Twice with other numbers before: buffers are used again.
        let (mut y, mut dparams, mut dx) =
            (vec![f64::NAN; n], vec![1.0; params.len()], vec![f64::NAN; x.len()]);
        stage.forward(params, &numbers(x.len(), 9), n, &mut y, &mut kept);
        stage.forward(params, x, n, &mut y, &mut kept);
        let pass = Pass { params, x, y: &y, n };
        stage.pullback(pass, dy, Grads { params: Some(&mut dparams), inputs: Some(&mut dx) }, &mut kept);
        [y, dparams, dx]
    }

    #[derive(Debug)]
    struct Apart(HiddenRelu);

    impl Stage for Apart {
        fn outputs(&self) -> usize {
            1
        }

        fn forward(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64], kept: &mut Kept) {
            self.0.few_rows(params, x, n, y, kept);
        }

        fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
            self.0.few_rows_back(pass, dy, grads, kept);
        }
    }

    #[test]
    fn it_is_the_two_layers_one_after_the_other() {
        let shapes =
            [(1, 3, 5), (4, 1, 1), (7, 5, 40), (40, 5, 50), (129, 20, 26), (300, 64, 256), (513, 9, 49)];
        for (n, inputs, width) in shapes {
            for bias in [false, true] {
                let (hidden, outer) = (DenseLayer::new(inputs, width, bias), DenseLayer::new(width, 1, bias));
                let (a, b) = (hidden.len(), outer.len());
                let stage = HiddenRelu { hidden: DenseRelu(hidden), outer };
                let (params, x, dy) = (numbers(a + b, 1), numbers(n * inputs, 2), numbers(n, 3));
                let whole = pass(&stage, &params, &x, &dy);
                let apart = pass(&Apart(stage), &params, &x, &dy);
                for (whole, apart) in whole.iter().zip(&apart) {
                    let size = crate::numeric::norm(apart).max(1.0);
                    for (w, a) in whole.iter().zip(apart) {
                        // Sums of hundreds of terms in another order.
                        assert!((w - a).abs() <= 1e-13 * size, "{n} x {inputs}, width {width}: {w} {a}");
                    }
                }
            }
        }
    }

    #[test]
    fn it_gives_the_same_bytes_on_any_number_of_threads() {
        let (n, inputs, width) = (250, 33, 301);
        let (hidden, outer) = (DenseLayer::new(inputs, width, true), DenseLayer::new(width, 1, true));
        let (params, x, dy) = (numbers(hidden.len() + outer.len(), 1), numbers(n * inputs, 2), numbers(n, 3));
        let stage = HiddenRelu { hidden: DenseRelu(hidden), outer };
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| pass(&stage, &params, &x, &dy))
        };
        let alone = on(1);
        assert_eq!(alone, on(2));
        assert_eq!(alone, on(3));
    }

    #[test]
    fn a_number_that_is_none_is_seen_in_the_output() {
        let (hidden, outer) = (DenseLayer::new(3, 30, false), DenseLayer::new(30, 1, false));
        let stage = HiddenRelu { hidden: DenseRelu(hidden), outer };
        let mut x = numbers(60, 2);
        x[16] = f64::NAN;
        let mut y = vec![0.0; 20];
        stage.forward(&numbers(120, 1), &x, 20, &mut y, &mut Kept::default());
        assert!(y[5].is_nan());
        assert!(y.iter().enumerate().all(|(i, y)| i == 5 || y.is_finite()));
    }
}
