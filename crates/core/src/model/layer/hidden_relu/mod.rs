//! A dense layer, ReLU and a dense layer with one output as one stage: y = vᵀ max(W x (+ b), 0) (+ c).
//!
//! For ReLU'(0) = 0. The hidden layer is cut into panels of neurons. On the way there a panel's tile is thresholded and
//! multiplied by v while it is still in registers, and of the n × width activations only the signs are kept, a bit each. They
//! are enough for the way back: the cotangent of neuron j at row i is dy_i v_j or 0, so with m_j = Σ_i on_ij dy_i x_i the
//! gradients are dW_j = v_j m_j and dv_j = ⟨W_j, m_j⟩, and that of row i is dy_i Σ_j on_ij v_j W_j, the same with the parts of
//! rows and neurons exchanged. Few columns are added up under masks, many are [looked up](tables). Many inputs are multiplied in
//! blocks on the way there, and only the way back is in bits. Threads share panels or columns, which have no sum in common but the
//! output. How they are grouped depends on the shapes alone.

mod back;
mod bits;
mod cut;
mod kernels;
mod tables;

use pulp::Arch;
use rayon::prelude::*;

use super::dense::DenseLayer;
use super::dense_relu::DenseRelu;
use super::{Grads, Kept, Pass, Stage};
use back::Into;
use bits::{signs, words};
use cut::{Cut, Lanes, aligned};
use kernels::{Forward, Sum};

/// Vectors of neurons in a panel: with eight rows a tile of 24 accumulators.
const VECTORS: usize = 3;
/// Most rows of a tile.
const TILE: usize = 8;
/// Rows of a word of signs.
const WORD: usize = u64::BITS as usize;
/// Fewer rows are not worth turning the weights.
const FEW: usize = 4;
/// Most inputs of tiles: with more of them the inputs of a chunk leave the second-level cache, and a product in blocks is faster.
const DEEP: usize = 256;
/// Most columns that are summed one by one on the way back: tables of more pay.
const FEW_COLUMNS: usize = 8;
/// Multiplications and additions from which on groups of panels are given to threads.
const GRAIN: usize = 2_000_000;
/// Vectors of columns that are summed before the sums are added to the gradient: 64 columns of a few megabytes at most.
const SLABS: usize = 8;
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

impl HiddenRelu {
    /// The two layers around a ReLU as one stage, where that is faster: with the 32 registers of eight numbers of AVX-512.
    /// Tiles that fit 16 registers are too small for the loads of a product.
    pub(super) fn of(hidden: &DenseLayer, outer: &DenseLayer) -> Option<HiddenRelu> {
        let fits = outer.outputs() == 1 && outer.is_whole() && hidden.is_whole();
        (fits && Arch::new().dispatch(Lanes) == WIDEST)
            .then(|| HiddenRelu { hidden: DenseRelu(hidden.clone()), outer: outer.clone() })
    }

    fn inner(&self) -> &DenseLayer {
        &self.hidden.0
    }

    fn cut(&self, n: usize) -> Cut {
        let (inputs, width) = (self.inner().inputs(), self.inner().outputs());
        Cut::new([n, inputs, self.inner().len() / width, width])
    }

    /// Whether the way there goes layer by layer.
    fn is_deep(&self) -> bool {
        self.inner().inputs() > DEEP
    }

    fn split<'a>(&self, params: &'a [f64]) -> (&'a [f64], &'a [f64]) {
        params.split_at(self.inner().len())
    }

    fn apart(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64], kept: &mut Kept) {
        let (hidden, outer) = self.split(params);
        kept.inner.resize_with(2, Kept::default);
        let mut h = std::mem::take(&mut kept.inner[0].output);
        h.resize(n * self.hidden.outputs(), 0.0);
        self.hidden.forward(hidden, x, n, &mut h, &mut kept.inner[0]);
        self.outer.forward(outer, &h, n, y, &mut kept.inner[1]);
        kept.inner[0].output = h;
    }

    fn apart_back(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
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
}

impl Stage for HiddenRelu {
    fn outputs(&self) -> usize {
        1
    }

    fn forward(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64], kept: &mut Kept) {
        if n < FEW || self.is_deep() {
            return self.apart(params, x, n, y, kept);
        }
        let cut = self.cut(n);
        let (hidden, outer) = self.split(params);
        let ((weight, bias), (v, offset)) = (self.inner().split(hidden), self.outer.split(outer));
        let Kept { numbers, scratch, back: [sums, _], .. } = kept;
        let words = words(numbers, &cut);
        let packed = aligned(scratch, cut.groups() * cut.packed_of_group());
        let sums = aligned(sums, cut.groups() * n * cut.lanes);
        let rows = cut.group * cut.panel;
        let each = |(k, ((((words, packed), sums), weight), v)): (usize, Ahead<'_>)| {
            let bias = bias.get(k * rows..).unwrap_or(&[]);
            Arch::new().dispatch(Forward { cut, x, weight, bias, v, packed, words, sums });
        };
        let (of_words, of_packed) = (cut.group * cut.words(), cut.packed_of_group());
        if cut.is_shared() {
            let parts = words.par_chunks_mut(of_words).zip(packed.par_chunks_mut(of_packed));
            let parts = parts.zip(sums.par_chunks_mut(n * cut.lanes));
            parts
                .zip(weight.par_chunks(rows * cut.inputs))
                .zip(v.par_chunks(rows))
                .enumerate()
                .for_each(each);
        } else {
            let parts = words.chunks_mut(of_words).zip(packed.chunks_mut(of_packed));
            let parts = parts.zip(sums.chunks_mut(n * cut.lanes));
            parts.zip(weight.chunks(rows * cut.inputs)).zip(v.chunks(rows)).enumerate().for_each(each);
        }
        Arch::new().dispatch(Sum { sums, y, offset: offset.first().copied().unwrap_or(0.0) });
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
        if pass.n < FEW {
            return self.apart_back(pass, dy, grads, kept);
        }
        let cut = self.cut(pass.n);
        if self.is_deep() {
            signs(&kept.inner[0].output, &cut, words(&mut kept.numbers, &cut));
        }
        if let Some(dparams) = grads.params {
            let (dhidden, douter) = dparams.split_at_mut(self.inner().len());
            let (dweight, dbias) = self.inner().split_mut(dhidden);
            let (dv, doffset) = self.outer.split_mut(douter);
            if let [doffset] = doffset {
                *doffset += dy.iter().sum::<f64>();
            }
            let into = Into { dweight, dbias, dv };
            match cut.has_few_columns() {
                true => self.masked(pass, cut, dy, into, kept),
                false => self.looked_up(pass, cut, dy, into, kept),
            }
        }
        if let Some(dx) = grads.inputs {
            self.inputs_back(pass, cut, dy, dx, kept);
        }
    }

    /// Bits, and the output with its sums; the activations where they are computed.
    fn kept_per_row(&self) -> usize {
        let width = self.inner().outputs();
        width.div_ceil(WORD) + 1 + if self.is_deep() { width } else { WIDEST }
    }

    /// Where there are enough panels.
    fn shares_threads(&self) -> bool {
        self.inner().outputs() >= GROUPS * VECTORS * WIDEST
    }
}

/// A group's share of words, packed weights, sums, W and v.
type Ahead<'a> = ((((&'a mut [u64], &'a mut [f64]), &'a mut [f64]), &'a [f64]), &'a [f64]);
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
            self.0.apart(params, x, n, y, kept);
        }

        fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
            self.0.apart_back(pass, dy, grads, kept);
        }
    }

    #[test]
    fn it_is_the_two_layers_one_after_the_other() {
        let shapes = [
            (1, 3, 5),
            (4, 1, 1),
            (7, 5, 40),
            (40, 5, 50),
            (20, 7, 24),
            (70, 8, 25),
            (129, 20, 26),
            (300, 64, 256),
            (513, 9, 49),
            (96, 15, 7),
            (64, 16, 30),
            (65, 90, 60),
            (200, 63, 90),
            (150, 257, 70),
            (3, 300, 20),
            (129, 301, 257),
        ];
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
        [(250, 33, 301), (130, 290, 301)].into_iter().for_each(assert_same_on_threads);
    }

    fn assert_same_on_threads((n, inputs, width): (usize, usize, usize)) {
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
