//! Residual networks without normalisation: near-homogeneous, because every block adds a branch of lower degree.
//!
//! conv 3×3 – σ – blocks – average over the image – dense. A block is σ(conv(σ(conv(x))) + shortcut(x)); the first block of
//! every later stage halves the image, with a 1×1 convolution of stride 2 as its shortcut.

use serde::{Deserialize, Serialize};

use super::cnn::{conv, head};
use super::layer::{AnyLayer, AvgPool, Conv2d, Nonlinearity, Padding, Pair, Residual};
use super::mlp::Bias;
use super::{Architecture, Init, Layers, Model};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};

/// A residual network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resnet {
    /// Channels of each stage, [8, 16] by default.
    #[serde(default = "channels")]
    pub channels: Vec<usize>,
    /// Residual blocks in a stage, 1 by default.
    #[serde(default = "one")]
    pub blocks: usize,
    /// The activation, `relu` by default.
    #[serde(default)]
    pub activation: Nonlinearity,
    /// Which layers have a bias: `none`, `first` or `all` (default).
    #[serde(default = "all")]
    pub bias: Bias,
    /// Weight of the right-hand slope at a kink, in [0, 1]: ReLU'(0), 0 by default.
    #[serde(default)]
    pub kink: f64,
    /// Where θ₀ comes from, `he` by default.
    #[serde(default)]
    pub init: Init,
    /// Blocks that are not trained, by name (`0.weight`) or layer (`0`, `2.body`); none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

fn channels() -> Vec<usize> {
    vec![8, 16]
}

fn one() -> usize {
    1
}

fn all() -> Bias {
    Bias::All
}

impl Resnet {
    fn block(&self, channels: usize, halves: bool) -> AnyLayer {
        let bias = self.bias == Bias::All;
        let step = if halves { 2 } else { 1 };
        let strided = |kernel: usize, padding: usize, bias: bool| -> AnyLayer {
            Conv2d {
                channels,
                kernel: Pair([kernel, kernel]),
                stride: Pair([step, step]),
                padding: Padding::Zeros(Pair([padding, padding])),
                groups: 1,
                bias,
            }
            .into()
        };
        let body = vec![
            strided(3, 1, bias),
            AnyLayer::Activation(self.activation.clone()),
            conv(channels, Pair([3, 3]), bias),
        ];
        let shortcut = if halves { vec![strided(1, 0, false)] } else { Vec::new() };
        Residual { body, shortcut }.into()
    }
}

impl Architecture for Resnet {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        let Some(first) = self.channels.first() else {
            return Err(Invalid::new("channels", "a residual network needs at least one stage"));
        };
        if self.blocks == 0 {
            return Err(Invalid::new("blocks", "a stage needs at least one block"));
        }
        let activation = || AnyLayer::Activation(self.activation.clone());
        let mut layers = vec![conv(*first, Pair([3, 3]), self.bias.in_layer(0)), activation()];
        let mut size: Vec<usize> = input_shape.iter().skip(1).copied().collect();
        for (stage, channels) in self.channels.iter().enumerate() {
            for block in 0..self.blocks {
                let halves = stage > 0 && block == 0;
                layers.extend([self.block(*channels, halves), activation()]);
                if halves {
                    size.iter_mut().for_each(|s| *s = s.div_ceil(2));
                }
            }
        }
        if let &[height, width] = size.as_slice() {
            let all = AvgPool { size: Pair([height, width]), stride: None, padding: Padding::default() };
            layers.push(all.into());
        }
        layers.extend(head(&[], &self.activation, self.bias == Bias::All));
        Layers::network(&layers, input_shape, outputs, self.kink, &self.init, &self.freeze)
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

impl Entry for Resnet {
    const ABOUT: &'static str = "residual network without normalisation, near-homogeneous";
    const EXAMPLE: &'static str = "channels = [2, 3]";
    const CITE: &'static [Cite] = &[CAI_2025];
}
