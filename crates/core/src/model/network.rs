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
        for (k, layer) in layers.iter().enumerate() {
            let start = layout.dim();
            // Degree of the outputs in this block alone: the product of the input degrees of the layers above.
            let above: f64 = layers[k + 1..].iter().map(|l| l.input_degree()).product();
            for param in layer.params() {
                layout.push(format!("{k}.{}", param.name), &param.shape, above);
                fan_in.push(param.fan_in);
            }
            spans.push((start, layout.dim()));
        }
        init.check_layers(&layout)?;
        let degree = calculus(&layers, &vec![true; layout.blocks().len()]);
        Ok(Network { layers, spans, layout, fan_in, degree, inputs, init })
    }

    fn params<'a>(&self, theta: &'a [f64], k: usize) -> &'a [f64] {
        &theta[self.spans[k].0..self.spans[k].1]
    }
}

/// The degree of a chain of layers, `trainable` said of every block.
fn calculus(layers: &[Box<dyn Layer>], trainable: &[bool]) -> Degree {
    let (mut degree, mut rest) = (Degree::Exact { degree: 0.0 }, trainable);
    for (k, layer) in layers.iter().enumerate() {
        let (own, after) = rest.split_at(layer.params().len());
        degree = layer.degree(degree, &k.to_string(), own);
        rest = after;
    }
    degree
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

    fn degree_of(&self, trainable: &[bool]) -> Degree {
        calculus(&self.layers, trainable)
    }

    fn row_size(&self) -> usize {
        self.inputs + 2 * self.layers.iter().map(|l| l.outputs()).sum::<usize>()
    }

    /// For every hidden neuron between two dense layers, ‖incoming‖² − p·‖outgoing‖², p the degree of its activation:
    /// constant along the gradient flow, because scaling the incoming weights by c and the outgoing ones by c^{−p} changes
    /// nothing (Lyu & Li 2020, item 13; for ReLU ‖v_r‖² − a_r²). Summed over a layer it is the balance of the layers'
    /// norms. A bias of the incoming layer counts as one of its weights; other biases do not take part, and neither
    /// does anything in a network whose degree they spoil.
    fn conserved(&self, theta: &[f64]) -> Vec<f64> {
        let mut conserved = Vec::new();
        if !self.degree.is_exact() {
            return conserved;
        }
        let dense: Vec<usize> =
            (0..self.layers.len()).filter(|&k| self.spans[k].0 < self.spans[k].1).collect();
        for pair in dense.windows(2) {
            let (below, above) = (pair[0], pair[1]);
            let power: f64 = self.layers[below + 1..above].iter().map(|l| l.input_degree()).product();
            let (width, out) = (self.layers[below].outputs(), self.layers[above].outputs());
            let (incoming, outgoing) = (self.params(theta, below), self.params(theta, above));
            let inputs = if below == 0 { self.inputs } else { self.layers[below - 1].outputs() };
            for j in 0..width {
                let row = &incoming[j * inputs..(j + 1) * inputs];
                let bias = incoming.get(width * inputs + j).copied().unwrap_or(0.0);
                let fan_out: f64 = (0..out).map(|i| outgoing[i * width + j].powi(2)).sum();
                conserved.push(numeric::dot(row, row) + bias * bias - power * fan_out);
            }
        }
        conserved
    }
}
