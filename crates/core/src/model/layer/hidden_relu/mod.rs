//! A dense layer, ReLU and a dense layer with one output as one stage: y = vᵀ max(W x (+ b), 0) (+ c).
//!
//! For ReLU'(0) = 0. The hidden layer is cut into panels of neurons. On the way there a panel's tile is thresholded and
//! multiplied by v while it is still in registers; on the way back its cotangents are made where the product with the inputs
//! needs them. Nothing of the size n × width is read or written more often than that, and threads share panels, which have no
//! sum in common but the output. How panels are grouped depends on the shapes alone.

mod kernels;

use faer::Accum;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::dense::DenseLayer;
use super::dense_relu::DenseRelu;
use super::product::product;
use super::{Grads, Kept, Pass, Stage, gate};

use kernels::{Backward, Forward, Sum};

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
