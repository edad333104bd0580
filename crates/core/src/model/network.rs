//! A chain of layers as one model.

use rand_chacha::ChaCha8Rng;

use super::layer::{Grads, Layer};
use super::{Init, Model, Tape};
use crate::{Breakdown, Degree, Invalid, Layout, Rows, numeric};

/// Layers in sequence. Its degree and layout are derived from them.
#[derive(Debug)]
pub struct Network {
    layers: Vec<Box<dyn Layer>>,
    /// First and last index in θ of each layer's parameters.
    spans: Vec<(usize, usize)>,
    layout: Layout,
    fan_in: Vec<usize>,
    degree: Degree,
    inputs: usize,
    init: Init,
}

impl Network {
    /// Puts layers together; `inputs` is the length of one input row.
    ///
    /// # Errors
    /// An initialisation that makes no sense.
    pub fn new(inputs: usize, layers: Vec<Box<dyn Layer>>, init: Init) -> Result<Self, Invalid> {
        init.check()?;
        let (mut layout, mut fan_in, mut spans) = (Layout::default(), Vec::new(), Vec::new());
        let mut degree = Degree::Exact { degree: 0.0 };
        for (k, layer) in layers.iter().enumerate() {
            let start = layout.dim();
            // Degree of the outputs in this block alone: the product of the input degrees of the layers above.
            let above: f64 = layers[k + 1..].iter().map(|l| l.input_degree()).product();
            for param in layer.params() {
                layout.push(format!("{k}.{}", param.name), &param.shape, above);
                fan_in.push(param.fan_in);
            }
            spans.push((start, layout.dim()));
            degree = layer.degree(degree, &k.to_string());
        }
        Ok(Network { layers, spans, layout, fan_in, degree, inputs, init })
    }

    fn params<'a>(&self, theta: &'a [f64], k: usize) -> &'a [f64] {
        &theta[self.spans[k].0..self.spans[k].1]
    }
}

impl Model for Network {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn degree(&self) -> &Degree {
        &self.degree
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.layers.last().map_or(self.inputs, |l| l.outputs())
    }

    fn init(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        self.init.draw(&self.layout, &self.fan_in, rng)
    }

    fn forward(&self, theta: &[f64], x: Rows<'_>, out: &mut [f64], tape: &mut Tape) -> Result<(), Breakdown> {
        let n = x.n();
        tape.buffers.resize_with(self.layers.len(), Vec::new);
        for (k, layer) in self.layers.iter().enumerate() {
            let (below, here) = tape.buffers.split_at_mut(k);
            let input = below.last().map_or(x.data, |b| &b[..]);
            here[0].resize(n * layer.outputs(), 0.0);
            layer.forward(self.params(theta, k), input, n, &mut here[0]);
        }
        out.copy_from_slice(&tape.buffers[self.layers.len() - 1]);
        Ok(())
    }

    fn pullback(
        &self,
        theta: &[f64],
        x: Rows<'_>,
        tape: &mut Tape,
        cot: &[f64],
        mut grad: Option<&mut [f64]>,
        mut dx: Option<&mut [f64]>,
    ) -> Result<(), Breakdown> {
        let n = x.n();
        let [back, next] = &mut tape.back;
        back.clear();
        back.extend_from_slice(cot);
        for (k, layer) in self.layers.iter().enumerate().rev() {
            let input = if k == 0 { x.data } else { &tape.buffers[k - 1] };
            let (from, to) = self.spans[k];
            let last = k == 0;
            let inputs = if last {
                dx.as_deref_mut()
            } else {
                next.resize(input.len(), 0.0);
                Some(&mut next[..])
            };
            let grads = Grads { params: grad.as_deref_mut().map(|g| &mut g[from..to]), inputs };
            layer.pullback(self.params(theta, k), input, &tape.buffers[k], n, back, grads);
            if !last {
                std::mem::swap(back, next);
            }
        }
        Ok(())
    }

    fn row_size(&self) -> usize {
        self.inputs + 2 * self.layers.iter().map(|l| l.outputs()).sum::<usize>()
    }

    /// ‖W_i‖²/k_i − ‖W_{i+1}‖²/k_{i+1} for consecutive blocks: constant along the gradient flow of a network whose
    /// outputs have degree k_i in block i (Lyu & Li 2020, item 13). NaN-free only for networks of exact degree.
    fn conserved(&self, theta: &[f64]) -> Vec<f64> {
        if !self.degree.is_exact() {
            return Vec::new();
        }
        // A first-layer bias is part of the first layer: weight and bias share their degree and their layer.
        let mut energies: Vec<f64> = Vec::new();
        for (k, &(from, to)) in self.spans.iter().enumerate() {
            if from < to {
                let part = &theta[from..to];
                let above: f64 = self.layers[k + 1..].iter().map(|l| l.input_degree()).product();
                energies.push(numeric::dot(part, part) / above);
            }
        }
        energies.windows(2).map(|pair| pair[0] - pair[1]).collect()
    }
}
