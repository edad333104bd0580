//! Convolutional networks: convolution, activation and pool, over and over, then dense layers.

use serde::{Deserialize, Serialize};

use super::layer::{AnyLayer, Conv2d, Dense, Flatten, MaxPool, Nonlinearity, Padding, Pair};
use super::mlp::Bias;
use super::{Architecture, Init, Layers, Model};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};

/// A plain convolutional network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cnn {
    /// Channels of each convolution, from the input side.
    pub channels: Vec<usize>,
    /// Size of the kernels, padded to keep the image's size; 3 by default.
    #[serde(default = "three")]
    pub kernel: Pair,
    /// Size of the max-pool after each convolution, 1 for none; 2 by default.
    #[serde(default = "two")]
    pub pool: usize,
    /// Widths of the dense layers before the last one; none by default.
    #[serde(default)]
    pub widths: Vec<usize>,
    /// The activation, `relu` by default.
    #[serde(default)]
    pub activation: Nonlinearity,
    /// Which layers have a bias: `none` (default), `first` or `all`.
    #[serde(default)]
    pub bias: Bias,
    /// Weight of the right-hand slope at a kink, in [0, 1]: ReLU'(0), 0 by default.
    #[serde(default)]
    pub kink: f64,
    /// Where θ₀ comes from, `he` by default.
    #[serde(default)]
    pub init: Init,
    /// Blocks that are not trained, by name (`0.weight`) or layer (`0`); none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

fn three() -> Pair {
    Pair([3, 3])
}

fn two() -> usize {
    2
}

/// A convolution that keeps the image's size.
pub(super) fn conv(channels: usize, kernel: Pair, bias: bool) -> AnyLayer {
    Conv2d { channels, kernel, stride: Pair([1, 1]), padding: Padding::Same, groups: 1, bias }.into()
}

/// A max-pool of non-overlapping windows.
pub(super) fn pool(size: usize) -> AnyLayer {
    MaxPool { size: Pair([size, size]), stride: None, padding: Padding::default() }.into()
}

/// Dense layers of these widths after a convolutional part, the last one as wide as the network's outputs.
pub(super) fn head(widths: &[usize], activation: &Nonlinearity, bias: bool) -> Vec<AnyLayer> {
    let mut layers = vec![Flatten {}.into()];
    for width in widths {
        layers.push(Dense { width: Some(*width), bias }.into());
        layers.push(AnyLayer::Activation(activation.clone()));
    }
    layers.push(Dense { width: None, bias }.into());
    layers
}

impl Architecture for Cnn {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        if self.channels.is_empty() {
            return Err(Invalid::new("channels", "a convolutional network needs at least one convolution"));
        }
        if self.pool == 0 {
            return Err(Invalid::new("pool", "0 is no size of a window; use 1 for no pooling"));
        }
        let mut layers = Vec::new();
        for (k, channels) in self.channels.iter().enumerate() {
            layers.push(conv(*channels, self.kernel, self.bias.in_layer(k)));
            layers.push(AnyLayer::Activation(self.activation.clone()));
            if self.pool > 1 {
                layers.push(pool(self.pool));
            }
        }
        layers.extend(head(&self.widths, &self.activation, self.bias == Bias::All));
        Layers::network(&layers, input_shape, outputs, self.kink, &self.init, &self.freeze)
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

impl Entry for Cnn {
    const ABOUT: &'static str = "convolutions with max-pools, then dense layers";
    const EXAMPLE: &'static str = "channels = [3]\npool = 1";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
