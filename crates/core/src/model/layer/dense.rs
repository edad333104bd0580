//! A dense layer: y = W x (+ b).
//!
//! Batches are rows, so Y = X Wᵀ; the pullback is dW += dYᵀ X, db += Σ dY, dX = dY W.

use std::any::Any;

use faer::Accum;
use serde::{Deserialize, Serialize};

use super::affine::Affine;
use super::dense_relu::DenseRelu;
use super::hidden_relu::HiddenRelu;
use super::tangent::{add_weighted_gram, row_gram};
use super::{
    Activation, Building, Dual, Grads, Kept, Layer, LayerSpec, Param, Pass, Rise, Stage, Start, sizes,
};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::Cite;
use crate::matrix::spectral_norm;
use crate::model::calculus::{Part, Piece};
use crate::product::product;

/// y = W x (+ b).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Numbers that come out; in the last layer by default as many as the network has outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Whether there is a bias; none by default.
    #[serde(default)]
    pub bias: bool,
}

impl LayerSpec for Dense {
    fn build(&self, input: &[usize], building: &Building) -> Result<Box<dyn Layer>, Invalid> {
        let &[inputs] = input else {
            let text = format!(
                "a dense layer takes a vector, and what comes before it has the shape {}; put `flatten` between",
                sizes(input)
            );
            return Err(Invalid::new("", text));
        };
        let width = self.width.unwrap_or(building.outputs);
        if width == 0 {
            return Err(Invalid::new("width", "a layer needs at least one neuron"));
        }
        Ok(Box::new(DenseLayer::new(inputs, width, self.bias)))
    }
}

impl Entry for Dense {
    const ABOUT: &'static str = "y = W x (+ b)";
    const EXAMPLE: &'static str = "width = 4";
    const CITE: &'static [Cite] = &[];
}

/// The layer of [`Dense`], with W of shape out × in: degree (1, 1).
#[derive(Clone, Debug)]
pub struct DenseLayer {
    inputs: usize,
    shape: [usize; 1],
    bias: bool,
    /// Which summand is left out: the homogenization of a sum keeps the highest degree only.
    without_weight: bool,
    without_bias: bool,
}

impl DenseLayer {
    /// A layer from `inputs` to `outputs` numbers.
    pub fn new(inputs: usize, outputs: usize, bias: bool) -> Self {
        DenseLayer { inputs, shape: [outputs], bias, without_weight: false, without_bias: false }
    }

    /// Numbers that come in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number of parameters.
    pub(super) fn len(&self) -> usize {
        self.inputs * self.shape[0] + if self.bias { self.shape[0] } else { 0 }
    }

    /// Whether the homogenization has left out neither weight nor bias.
    pub(super) fn is_whole(&self) -> bool {
        !self.without_weight && !self.without_bias
    }

    /// Weight and bias; the bias is empty where there is none.
    pub(super) fn split<'a>(&self, params: &'a [f64]) -> (&'a [f64], &'a [f64]) {
        params.split_at(self.inputs * self.shape[0])
    }

    pub(super) fn split_mut<'a>(&self, params: &'a mut [f64]) -> (&'a mut [f64], &'a mut [f64]) {
        params.split_at_mut(self.inputs * self.shape[0])
    }

    fn adds_bias(&self) -> bool {
        self.bias && !self.without_bias
    }

    /// y += b for every row, where the bias takes part.
    fn add_bias(&self, bias: &[f64], y: &mut [f64]) {
        if self.adds_bias() {
            for row in y.chunks_exact_mut(self.shape[0]) {
                row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
            }
        }
    }

    /// y = W x, or y += W x.
    fn apply(&self, weight: &[f64], x: &[f64], n: usize, y: &mut [f64], accum: Accum) {
        product(y, self.shape[0], n, accum, (x, self.inputs, false), (weight, self.inputs, true));
    }
}

impl Stage for DenseLayer {
    fn outputs(&self) -> usize {
        self.shape[0]
    }

    fn forward(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64], _kept: &mut Kept) {
        let (weight, bias) = self.split(params);
        match self.without_weight {
            true => y.fill(0.0),
            false => self.apply(weight, x, n, y, Accum::Replace),
        }
        self.add_bias(bias, y);
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, _kept: &mut Kept) {
        let Pass { params, x, n, .. } = pass;
        let (outputs, inputs) = (self.shape[0], self.inputs);
        if let Some(dparams) = grads.params {
            let (dweight, dbias) = dparams.split_at_mut(inputs * outputs);
            if !self.without_weight {
                product(dweight, inputs, outputs, Accum::Add, (dy, outputs, true), (x, inputs, false));
            }
            if self.adds_bias() {
                for row in dy.chunks_exact(outputs) {
                    dbias.iter_mut().zip(row).for_each(|(d, dy)| *d += dy);
                }
            }
        }
        let Some(dx) = grads.inputs else { return };
        match self.without_weight {
            true => dx.fill(0.0),
            false => {
                let weight = self.split(params).0;
                product(dx, inputs, n, Accum::Replace, (dy, outputs, false), (weight, inputs, false));
            }
        }
    }
}

impl Layer for DenseLayer {
    fn about(&self) -> String {
        let bias = if self.bias { " + bias" } else { "" };
        format!("dense {} -> {}{bias}", self.inputs, self.shape[0])
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn params(&self) -> Vec<Param> {
        let weight = Param::new("weight", &[self.shape[0], self.inputs], Start::Drawn(self.inputs));
        let bias = self.bias.then(|| Param::new("bias", &self.shape, Start::At(0.0)));
        std::iter::once(weight).chain(bias).collect()
    }

    fn rise(&self, below: &Piece, parts: &[Part], name: &str) -> Rise {
        let affine = Affine::of(below, parts, name, 1.0, 1.0);
        let (without_weight, without_bias) = affine.without();
        affine.rise(Box::new(DenseLayer { without_weight, without_bias, ..self.clone() }))
    }

    fn tangent(&self, params: Dual<'_>, x: Dual<'_>, _y: &[f64], n: usize, dy: &mut [f64]) {
        dy.fill(0.0);
        if let Some(along) = x.along.filter(|_| !self.without_weight) {
            self.apply(self.split(params.at).0, along, n, dy, Accum::Add);
        }
        let Some(along) = params.along else { return };
        let (weight, bias) = self.split(along);
        if !self.without_weight {
            self.apply(weight, x.at, n, dy, Accum::Add);
        }
        self.add_bias(bias, dy);
    }

    fn tangent_gram(&self, pass: Pass<'_>, parts: &[Part], dy: &[f64], into: &mut [f64]) {
        let weight = !self.without_weight && parts[0] == Part::Trained;
        let bias = if self.adds_bias() && parts[1] == Part::Trained { 1.0 } else { 0.0 };
        let n = pass.n;
        if weight {
            let inputs = row_gram(pass.x, self.inputs, n);
            add_weighted_gram(dy, self.shape[0], n, into, |i, j| inputs[i * n + j] + bias);
        } else if bias > 0.0 {
            add_weighted_gram(dy, self.shape[0], n, into, |_, _| bias);
        }
    }

    fn lipschitz(&self, params: &[f64]) -> f64 {
        if self.without_weight {
            return 0.0;
        }
        spectral_norm(self.split(params).0, self.shape[0], self.inputs).unwrap_or(f64::INFINITY)
    }

    fn is_affine(&self) -> bool {
        true
    }

    /// With ReLU after it, where ReLU'(0) = 0, and with the dense layer after that where it has one output.
    fn fuse(&self, after: &[Box<dyn Layer>]) -> Option<(Box<dyn Stage>, usize)> {
        let next = after.first()?.as_ref() as &dyn Any;
        if self.without_weight || !next.downcast_ref::<Activation>()?.is_plain_relu() {
            return None;
        }
        let outer = after.get(1).and_then(|layer| (layer.as_ref() as &dyn Any).downcast_ref::<DenseLayer>());
        if let Some(whole) = outer.and_then(|outer| HiddenRelu::of(self, outer)) {
            return Some((Box::new(whole), 2));
        }
        Some((Box::new(DenseRelu(self.clone())), 1))
    }
}
