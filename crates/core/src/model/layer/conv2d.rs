//! A convolution: y = W ∗ x (+ b), the same weights at every place of the image.
//!
//! y[o, p] = Σ_{c, k} W[o, c, k] x[c, p·stride − padding + k] (+ b[o]), c running over the channels of o's group; the kernel
//! is not flipped (PyTorch). As a linear map it is bounded by √coverage·‖W‖_F, coverage = ⌈kh/sh⌉·⌈kw/sw⌉ being how often an
//! input number is used at most: ‖y‖² = Σ_p ‖W x_p‖² ≤ ‖W‖² Σ_p ‖x_p‖², x_p what the window sees at p.
//!
//! # Shapes
//! weight: [out, in/groups, kh, kw]; batches of images row-major, NCHW

use std::any::Any;

use serde::{Deserialize, Serialize};

use super::affine::Affine;
use super::conv_relu::{ConvRelu, ConvReluPool};
use super::image::{Convolution, Window, with_scratch};
use super::images::{self, Outputs, Pulled};
use super::{
    Activation, Building, Dual, Grads, Kept, Layer, LayerSpec, MaxPoolLayer, Padding, Pair, Param, Pass,
    Rise, Stage, Start,
};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::matrix::spectral_norm;
use crate::model::calculus::{Part, Piece};

/// A convolution of images.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Channels that come out.
    pub channels: usize,
    /// Size of the kernel: a number, or [height, width].
    pub kernel: Pair,
    /// Step from one place to the next, 1 by default.
    #[serde(default = "one")]
    pub stride: Pair,
    /// Zeros around the image: a number, [height, width], or "same"; 0 by default.
    #[serde(default)]
    pub padding: Padding,
    /// Groups of channels that do not see each other, 1 by default.
    #[serde(default = "one_group")]
    pub groups: usize,
    /// Whether there is a bias; none by default.
    #[serde(default)]
    pub bias: bool,
}

fn one() -> Pair {
    Pair([1, 1])
}

fn one_group() -> usize {
    1
}

impl LayerSpec for Conv2d {
    fn build(&self, input: &[usize], _building: &Building) -> Result<Box<dyn Layer>, Invalid> {
        let window = Window::new(input, "kernel", self.kernel, self.stride, self.padding)?;
        if self.channels == 0 {
            return Err(Invalid::new("channels", "a layer needs at least one channel"));
        }
        let (groups, below, channels) = (self.groups, window.channels, self.channels);
        if groups == 0 || !below.is_multiple_of(groups) || !channels.is_multiple_of(groups) {
            let text = format!(
                "{groups} groups do not divide both the {below} channels that come in and the {channels} that go out"
            );
            return Err(Invalid::new("groups", text));
        }
        let convolution = Convolution { window, filters: channels, groups };
        Ok(Box::new(ConvLayer::new(convolution, self.bias)))
    }
}

impl Entry for Conv2d {
    const ABOUT: &'static str = "y = W * x (+ b): a convolution of images";
    const EXAMPLE: &'static str = "channels = 2\nkernel = 3\npadding = \"same\"";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}

/// The layer of [`Conv2d`]: degree (1, 1).
#[derive(Clone, Debug)]
pub struct ConvLayer {
    convolution: Convolution,
    shape: [usize; 3],
    bias: bool,
    /// Which summand is left out: the homogenization of a sum keeps the highest degree only.
    without_weight: bool,
    without_bias: bool,
}

impl ConvLayer {
    fn new(convolution: Convolution, bias: bool) -> Self {
        let shape = convolution.window.shape(convolution.filters);
        ConvLayer { convolution, shape, bias, without_weight: false, without_bias: false }
    }

    fn weights(&self) -> usize {
        self.convolution.filters * self.convolution.depth()
    }

    /// The bias, where it is added.
    fn added<'a>(&self, params: &'a [f64]) -> Option<&'a [f64]> {
        (self.bias && !self.without_bias).then(|| &params[self.weights()..])
    }

    /// y = W ∗ x + b for every image.
    fn apply(&self, params: &[f64], bias: Option<&[f64]>, x: &[f64], y: &mut [f64]) {
        let (c, inputs) = (&self.convolution, self.convolution.window.inputs());
        let outputs = Outputs { first: 0, y, size: c.outputs(), winners: &mut [] };
        images::forward(outputs, c.work(), &|k, y, _| {
            let (weight, x) = (&params[..self.weights()], &x[k * inputs..][..inputs]);
            with_scratch(|scratch| c.forward(weight, bias, x, y, &mut scratch.columns));
        });
    }

    /// y += b at every place.
    fn add_bias(&self, bias: &[f64], y: &mut [f64]) {
        for image in y.chunks_exact_mut(self.convolution.outputs()) {
            for (y, b) in image.chunks_exact_mut(self.convolution.window.pixels()).zip(bias) {
                y.iter_mut().for_each(|y| *y += b);
            }
        }
    }
}

impl Stage for ConvLayer {
    fn outputs(&self) -> usize {
        self.convolution.outputs()
    }

    fn forward(&self, params: &[f64], x: &[f64], _n: usize, y: &mut [f64], _kept: &mut Kept) {
        let bias = self.added(params);
        if !self.without_weight {
            return self.apply(params, bias, x, y);
        }
        y.fill(0.0);
        if let Some(bias) = bias {
            self.add_bias(bias, y);
        }
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
        let c = &self.convolution;
        let (weight, mut dx) = (&pass.params[..self.weights()], grads.inputs);
        if self.without_weight
            && let Some(dx) = dx.take()
        {
            dx.fill(0.0);
        }
        let (inputs, outputs) = (c.window.inputs(), c.outputs());
        let into = Pulled { dparams: grads.params, dx };
        images::pullback(pass.n, 2 * c.work(), into, &mut kept.scratch, &|k, into| {
            let (x, dy) = (&pass.x[k * inputs..][..inputs], &dy[k * outputs..][..outputs]);
            with_scratch(|scratch| {
                if let Some(dparams) = into.dparams {
                    let (dweight, dbias) = dparams.split_at_mut(self.weights());
                    if !self.without_weight {
                        c.weight_gradient(x, dy, dweight, &mut scratch.columns);
                    }
                    if self.bias && !self.without_bias {
                        c.bias_gradient(dy, dbias);
                    }
                }
                if let Some(dx) = into.dx {
                    c.input_gradient(weight, dy, dx, &mut scratch.columns);
                }
            });
        });
    }
}

impl Layer for ConvLayer {
    fn about(&self) -> String {
        let Convolution { window, filters, groups } = &self.convolution;
        let groups = if *groups > 1 { format!(", {groups} groups") } else { String::new() };
        let bias = if self.bias { " + bias" } else { "" };
        format!("conv2d {} -> {filters}, {}{groups}{bias}", window.channels, window.about())
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn params(&self) -> Vec<Param> {
        let Convolution { window, filters, groups } = &self.convolution;
        let [kh, kw] = window.kernel;
        let start = Start::Drawn(self.convolution.depth());
        let weight = Param::new("weight", &[*filters, window.channels / groups, kh, kw], start);
        let bias = self.bias.then(|| Param::new("bias", &[*filters], Start::At(0.0)));
        std::iter::once(weight).chain(bias).collect()
    }

    fn rise(&self, below: &Piece, parts: &[Part], name: &str) -> Rise {
        let window = &self.convolution.window;
        let (lipschitz, uses) = ((window.coverage() as f64).sqrt(), window.pixels() as f64);
        let affine = Affine::of(below, parts, name, lipschitz, uses);
        let (without_weight, without_bias) = affine.without();
        affine.rise(Box::new(ConvLayer { without_weight, without_bias, ..self.clone() }))
    }

    fn tangent(&self, params: Dual<'_>, x: Dual<'_>, _y: &[f64], _n: usize, dy: &mut [f64]) {
        dy.fill(0.0);
        if let Some(along) = x.along.filter(|_| !self.without_weight) {
            self.apply(params.at, None, along, dy);
        }
        let Some(along) = params.along else { return };
        if !self.without_weight {
            let mut more = vec![0.0; dy.len()];
            self.apply(along, None, x.at, &mut more);
            dy.iter_mut().zip(&more).for_each(|(dy, more)| *dy += more);
        }
        if let Some(bias) = self.added(along) {
            self.add_bias(bias, dy);
        }
    }

    fn is_affine(&self) -> bool {
        true
    }

    /// √coverage·σ_max of the weights as a matrix out × in·kh·kw, the largest of any group.
    fn lipschitz(&self, params: &[f64]) -> f64 {
        if self.without_weight {
            return 0.0;
        }
        let c = &self.convolution;
        let filters = c.filters / c.groups;
        let groups = params[..self.weights()].chunks_exact(filters * c.depth());
        let largest = groups.map(|weight| spectral_norm(weight, filters, c.depth()).unwrap_or(f64::INFINITY));
        (c.window.coverage() as f64).sqrt() * largest.fold(0.0, f64::max)
    }

    /// With ReLU, and with a max-pool after it, where ReLU'(0) = 0.
    fn fuse(&self, after: &[Box<dyn Layer>]) -> Option<(Box<dyn Stage>, usize)> {
        let get = |k: usize| after.get(k).map(|l| l.as_ref() as &dyn Any);
        let relu: &Activation = get(0)?.downcast_ref()?;
        if self.without_weight || !relu.is_plain_relu() {
            return None;
        }
        let conv = ConvRelu::new(self.convolution.clone(), self.bias && !self.without_bias);
        match get(1).and_then(|l| l.downcast_ref::<MaxPoolLayer>()) {
            Some(pool) => Some((Box::new(ConvReluPool::new(conv, pool.window().clone())), 2)),
            None => Some((Box::new(conv), 1)),
        }
    }
}
