//! The network of Lyu & Li's MNIST experiment: conv 32 5×5 – pool – conv 64 3×3 – pool – dense 1024 – dense, ReLU, both
//! convolutions padded to keep the image's size; L = 4.

use serde::{Deserialize, Serialize};

use super::cnn::{conv, head, pool};
use super::init::Scheme;
use super::layer::{AnyLayer, Nonlinearity, Pair};
use super::mlp::Bias;
use super::{Architecture, Init, Layers, Model};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};

/// The network of Lyu & Li 2020, section 5 and appendix K.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LyuLiCnn {
    /// Channels of the two convolutions, [32, 64] by default.
    #[serde(default = "channels")]
    pub channels: [usize; 2],
    /// Width of the hidden dense layer, 1024 by default.
    #[serde(default = "width")]
    pub width: usize,
    /// Which layers have a bias. `first` (default) is what the paper calls "without bias": one in the first layer keeps the
    /// network homogeneous; `all` is its network "with bias".
    #[serde(default = "first")]
    pub bias: Bias,
    /// Weight of the right-hand slope at a kink, in [0, 1]: ReLU'(0), 0 by default.
    #[serde(default)]
    pub kink: f64,
    /// Where θ₀ comes from; the paper's truncated normal law by default.
    #[serde(default = "truncated")]
    pub init: Init,
    /// Blocks that are not trained, by name (`0.weight`) or layer (`0`); none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

fn channels() -> [usize; 2] {
    [32, 64]
}

fn width() -> usize {
    1024
}

/// What the paper calls "without bias".
pub(super) fn first() -> Bias {
    Bias::First
}

/// The law of the authors' code.
pub(super) fn truncated() -> Init {
    Init { kind: Scheme::HeTruncated, ..Init::default() }
}

impl Architecture for LyuLiCnn {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        let relu = || AnyLayer::Activation(Nonlinearity::default());
        let [one, two] = self.channels;
        let mut layers = vec![
            conv(one, Pair([5, 5]), self.bias.in_layer(0)),
            relu(),
            pool(2),
            conv(two, Pair([3, 3]), self.bias.in_layer(1)),
            relu(),
            pool(2),
        ];
        layers.extend(head(&[self.width], &Nonlinearity::default(), self.bias.in_layer(2)));
        Layers::network(&layers, input_shape, outputs, self.kink, &self.init, &self.freeze)
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

impl Entry for LyuLiCnn {
    const ABOUT: &'static str = "the MNIST network of Lyu & Li 2020";
    const EXAMPLE: &'static str = "channels = [2, 3]\nwidth = 5";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
