//! The CIFAR network of Lyu & Li: a VGG of 14 layers without normalisation, 3×3 convolutions in stages with a pool after each,
//! and one dense layer; L = 14.

use serde::{Deserialize, Serialize};

use super::cnn::{conv, head, pool};
use super::layer::{AnyLayer, Nonlinearity, Pair};
use super::lyu_li_cnn::{first, truncated};
use super::mlp::Bias;
use super::{Architecture, Init, Layers, Model};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};

/// A VGG without normalisation layers (Lyu & Li 2020, appendix K).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vgg {
    /// Channels of each convolution, stage by stage; a max-pool of 2 ends a stage. 2×64, 2×128, 3×256, 3×512, 3×512 by
    /// default.
    #[serde(default = "stages")]
    pub stages: Vec<Vec<usize>>,
    /// Which layers have a bias: `none`, `first` (default, the paper's "without bias") or `all`.
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

fn stages() -> Vec<Vec<usize>> {
    vec![vec![64; 2], vec![128; 2], vec![256; 3], vec![512; 3], vec![512; 3]]
}

impl Architecture for Vgg {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        if let Some(k) = self.stages.iter().position(Vec::is_empty) {
            return Err(Invalid::new(format!("stages[{k}]"), "a stage needs at least one convolution"));
        }
        let (mut layers, mut count) = (Vec::new(), 0);
        for stage in &self.stages {
            for channels in stage {
                layers.push(conv(*channels, Pair([3, 3]), self.bias.in_layer(count)));
                layers.push(AnyLayer::Activation(Nonlinearity::default()));
                count += 1;
            }
            layers.push(pool(2));
        }
        layers.extend(head(&[], &Nonlinearity::default(), self.bias.in_layer(count)));
        Layers::network(&layers, input_shape, outputs, self.kink, &self.init, &self.freeze)
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

impl Entry for Vgg {
    const ABOUT: &'static str = "the 14-layer VGG of Lyu & Li 2020, without normalisation";
    const EXAMPLE: &'static str = "stages = [[2, 2]]";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
