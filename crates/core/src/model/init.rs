//! Where θ₀ comes from.

use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Normal, Uniform};
use serde::{Deserialize, Serialize};

use crate::{Invalid, Layout};

/// The law of the initial weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Normal with variance 2/fan_in (He et al. 2015).
    #[default]
    He,
    /// Normal with variance 1/fan_in (LeCun et al. 1998).
    Lecun,
    /// Uniform on ±1/√fan_in, PyTorch's default for dense layers.
    Uniform,
    /// Read from `path`, a safetensors file whose keys are the block names.
    File,
}

/// Settings of the initialisation.
///
/// `alpha` multiplies every weight: large α stays near the kernel regime for longer, small α is the rich one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Init {
    /// The law.
    pub kind: Scheme,
    /// Factor on every weight, 1 by default.
    pub alpha: Option<f64>,
    /// Seed of the stream `model.init`; the run's seed by default.
    pub seed: Option<u64>,
    /// The file, for `kind = "file"`.
    pub path: Option<String>,
}

impl<'de> Deserialize<'de> for Init {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use crate::catalogue::{quoted, settings, split_kind};
        use serde::de::Error;
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Drawn {
            alpha: Option<f64>,
            seed: Option<u64>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct FromFile {
            path: String,
            alpha: Option<f64>,
        }
        const NAMES: &[&str] = &["he", "lecun", "uniform", "file"];
        let value = toml::Value::deserialize(d)?;
        let (kind, table) = split_kind("initialisation", NAMES, value).map_err(D::Error::custom)?;
        let scheme = match kind.as_str() {
            "he" => Scheme::He,
            "lecun" => Scheme::Lecun,
            "uniform" => Scheme::Uniform,
            "file" => {
                let s: FromFile = settings(table).map_err(D::Error::custom)?;
                return Ok(Init { kind: Scheme::File, alpha: s.alpha, seed: None, path: Some(s.path) });
            }
            other => {
                let text =
                    format!("@kind@unknown initialisation `{other}`, expected one of {}", quoted(NAMES));
                return Err(D::Error::custom(text));
            }
        };
        let s: Drawn = settings(table).map_err(D::Error::custom)?;
        Ok(Init { kind: scheme, alpha: s.alpha, seed: s.seed, path: None })
    }
}

impl Init {
    /// Checks the settings.
    ///
    /// # Errors
    /// A scale that is not a positive finite number.
    pub fn check(&self) -> Result<(), Invalid> {
        match self.alpha {
            Some(a) if !(a > 0.0 && a.is_finite()) => {
                Err(Invalid::new("init.alpha", format!("{a} is not a scale; use a positive number")))
            }
            _ => Ok(()),
        }
    }

    /// Draws θ₀ for a layout; `fan_in` per block, 0 for blocks that start at zero. Blocks of a `file` start at zero too.
    pub fn draw(&self, layout: &Layout, fan_in: &[usize], rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut theta = vec![0.0; layout.dim()];
        for (block, &fan) in layout.blocks().iter().zip(fan_in) {
            if fan == 0 {
                continue;
            }
            let alpha = self.alpha.unwrap_or(1.0);
            let std = |gain: f64| alpha * (gain / fan as f64).sqrt();
            let out = block.of_mut(&mut theta);
            match self.kind {
                Scheme::He => fill(out, Normal::new(0.0, std(2.0)), rng),
                Scheme::Lecun => fill(out, Normal::new(0.0, std(1.0)), rng),
                Scheme::Uniform => fill(out, Uniform::new_inclusive(-std(1.0), std(1.0)), rng),
                Scheme::File => {}
            }
        }
        theta
    }
}

fn fill<D: Distribution<f64>, E: std::fmt::Debug>(out: &mut [f64], law: Result<D, E>, rng: &mut ChaCha8Rng) {
    let law = law.expect("Init::check admits only positive finite scales");
    out.iter_mut().for_each(|w| *w = law.sample(rng));
}
