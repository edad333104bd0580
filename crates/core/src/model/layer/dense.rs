//! A dense layer: y = W x (+ b).
//!
//! Batches are rows, so Y = X Wᵀ; the pullback is dW += dYᵀ X, db += Σ dY, dX = dY W.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::{Grads, Layer, Param};
use crate::Degree;

/// y = W x (+ b) with W of shape out × in, degree (1, 1).
#[derive(Clone, Debug)]
pub struct Dense {
    inputs: usize,
    outputs: usize,
    bias: bool,
}

impl Dense {
    /// A layer from `inputs` to `outputs` numbers.
    pub fn new(inputs: usize, outputs: usize, bias: bool) -> Self {
        Dense { inputs, outputs, bias }
    }
}

impl Layer for Dense {
    fn outputs(&self) -> usize {
        self.outputs
    }

    fn params(&self) -> Vec<Param> {
        let mut params =
            vec![Param { name: "weight", shape: vec![self.outputs, self.inputs], fan_in: self.inputs }];
        if self.bias {
            params.push(Param { name: "bias", shape: vec![self.outputs], fan_in: 0 });
        }
        params
    }

    fn degree(&self, before: Degree, name: &str, trainable: &[bool]) -> Degree {
        let degree = if trainable[0] { before.then_dense() } else { before };
        match trainable.get(1) {
            Some(true) => degree.then_bias(&format!("{name}.bias"), 1.0),
            Some(false) => degree.then_bias(&format!("{name}.bias"), 0.0),
            None => degree,
        }
    }

    fn forward(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64]) {
        let (weight, bias) = params.split_at(self.inputs * self.outputs);
        product(y, self.outputs, n, Accum::Replace, (x, self.inputs, false), (weight, self.inputs, true));
        if self.bias {
            for row in y.chunks_exact_mut(self.outputs) {
                row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
            }
        }
    }

    fn pullback(&self, params: &[f64], x: &[f64], _y: &[f64], n: usize, dy: &[f64], grads: Grads<'_>) {
        let weight = &params[..self.inputs * self.outputs];
        if let Some(dparams) = grads.params {
            let (dweight, dbias) = dparams.split_at_mut(self.inputs * self.outputs);
            product(
                dweight,
                self.inputs,
                self.outputs,
                Accum::Add,
                (dy, self.outputs, true),
                (x, self.inputs, false),
            );
            if self.bias {
                for row in dy.chunks_exact(self.outputs) {
                    dbias.iter_mut().zip(row).for_each(|(d, dy)| *d += dy);
                }
            }
        }
        if let Some(dx) = grads.inputs {
            product(
                dx,
                self.inputs,
                n,
                Accum::Replace,
                (dy, self.outputs, false),
                (weight, self.inputs, false),
            );
        }
    }
}

/// out (rows × cols) = or += op(a)·op(b), each given as (numbers, columns as stored, transposed); row-major,
/// one thread: the order of a chunk's sums must not depend on how many threads there are.
fn product(
    out: &mut [f64],
    cols: usize,
    rows: usize,
    accum: Accum,
    a: (&[f64], usize, bool),
    b: (&[f64], usize, bool),
) {
    let out = MatMut::from_row_major_slice_mut(&mut out[..rows * cols], rows, cols);
    matmul(out, accum, oriented(a), oriented(b), 1.0, Par::Seq);
}

fn oriented((data, cols, transposed): (&[f64], usize, bool)) -> MatRef<'_, f64> {
    let stored = MatRef::from_row_major_slice(data, data.len() / cols, cols);
    if transposed { stored.transpose() } else { stored }
}
