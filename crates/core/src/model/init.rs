//! Where θ₀ comes from.

use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Normal, Uniform};
use serde::{Deserialize, Serialize};

use super::layer::Start;
use crate::{Block, Invalid, Layout};

/// The law of the initial weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Normal with variance 2/fan_in (He et al. 2015).
    #[default]
    He,
    /// The same without what lies beyond two standard deviations, drawn again: what TensorFlow calls a truncated normal,
    /// and Lyu & Li's code starts from. Its variance is .774 of the untruncated one's.
    HeTruncated,
    /// Normal with variance 1/fan_in (LeCun et al. 1998).
    Lecun,
    /// Uniform on ±1/√fan_in, PyTorch's default for dense layers.
    Uniform,
    /// Uniform on ±1/fan: with `alpha` the law of Tsilivis et al. 2024, appendix D.
    UniformFan,
    /// Normal with standard deviation `std`, whatever the fan.
    Normal,
    /// Read from `path`, a safetensors file whose keys are the block names.
    File,
    /// The numbers of `values`, block after block in the order of the layout, frozen blocks included.
    Values,
}

/// The number that a `uniform-fan` law divides by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fan {
    /// Numbers that feed one output of the block.
    #[default]
    In,
    /// Outputs of the block; 1 for a vector.
    Out,
}

/// Settings of the initialisation.
///
/// `alpha` multiplies every weight: large α stays near the kernel regime for longer, small α is the rich one. `layers`
/// multiplies layer by layer on top of it, and `outer` gives the last layer a law of its own, which `alpha` and `std`
/// of the others do not touch.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Init {
    /// The law.
    pub kind: Scheme,
    /// Factor on every weight, 1 by default.
    pub alpha: Option<f64>,
    /// Standard deviation, for `kind = "normal"`.
    pub std: Option<f64>,
    /// What `kind = "uniform-fan"` divides by, `in` by default.
    pub fan: Option<Fan>,
    /// Seed of the stream `model.init`; the run's seed by default.
    pub seed: Option<u64>,
    /// The file, for `kind = "file"`.
    pub path: Option<String>,
    /// Every weight, for `kind = "values"`.
    pub values: Option<Vec<f64>>,
    /// A further factor for each layer with weights, from the input side.
    pub layers: Option<Vec<f64>>,
    /// The law of the last layer; that of the others by default.
    pub outer: Option<Box<Init>>,
}

impl Init {
    /// The names that a spec may use.
    pub const NAMES: &'static [&'static str] =
        &["he", "he-truncated", "lecun", "uniform", "uniform-fan", "normal", "file", "values"];

    /// Whether the weights are drawn: neither read nor given.
    pub fn is_drawn(&self) -> bool {
        !matches!(self.kind, Scheme::File | Scheme::Values)
    }
}

/// Settings of every law that is drawn.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drawn {
    alpha: Option<f64>,
    seed: Option<u64>,
    layers: Option<Vec<f64>>,
    outer: Option<Box<Init>>,
}

impl Drawn {
    fn with(self, kind: Scheme) -> Init {
        let Drawn { alpha, seed, layers, outer } = self;
        Init { kind, alpha, seed, layers, outer, ..Init::default() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfFan {
    alpha: Option<f64>,
    fan: Option<Fan>,
    seed: Option<u64>,
    layers: Option<Vec<f64>>,
    outer: Option<Box<Init>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfStd {
    alpha: Option<f64>,
    std: f64,
    seed: Option<u64>,
    layers: Option<Vec<f64>>,
    outer: Option<Box<Init>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FromFile {
    path: String,
    alpha: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    values: Vec<f64>,
    alpha: Option<f64>,
}

impl<'de> Deserialize<'de> for Init {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use crate::catalogue::{quoted, settings, split_kind};
        use serde::de::Error;
        let value = toml::Value::deserialize(d)?;
        let (kind, table) = split_kind("initialisation", Self::NAMES, value).map_err(D::Error::custom)?;
        let parsed = match kind.as_str() {
            "he" => settings::<Drawn>(table).map(|s| s.with(Scheme::He)),
            "he-truncated" => settings::<Drawn>(table).map(|s| s.with(Scheme::HeTruncated)),
            "lecun" => settings::<Drawn>(table).map(|s| s.with(Scheme::Lecun)),
            "uniform" => settings::<Drawn>(table).map(|s| s.with(Scheme::Uniform)),
            "uniform-fan" => settings(table).map(|OfFan { alpha, fan, seed, layers, outer }| Init {
                fan,
                ..Drawn { alpha, seed, layers, outer }.with(Scheme::UniformFan)
            }),
            "normal" => settings(table).map(|OfStd { alpha, std, seed, layers, outer }| Init {
                std: Some(std),
                ..Drawn { alpha, seed, layers, outer }.with(Scheme::Normal)
            }),
            "file" => settings(table).map(|FromFile { path, alpha }| Init {
                kind: Scheme::File,
                alpha,
                path: Some(path),
                ..Init::default()
            }),
            "values" => settings(table).map(|Given { values, alpha }| Init {
                kind: Scheme::Values,
                alpha,
                values: Some(values),
                ..Init::default()
            }),
            other => Err(format!(
                "@kind@unknown initialisation `{other}`, expected one of {}",
                quoted(Self::NAMES)
            )),
        };
        parsed.map_err(D::Error::custom)
    }
}

impl Init {
    /// Checks the settings.
    ///
    /// # Errors
    /// A scale that is not a positive finite number; a law of the last layer that is not a law alone.
    pub fn check(&self) -> Result<(), Invalid> {
        self.check_at("init")
    }

    fn check_at(&self, path: &str) -> Result<(), Invalid> {
        let factors = self.layers.iter().flatten().enumerate();
        let factors = factors.map(|(k, a)| (format!("layers[{k}]"), *a));
        let scales = [("alpha", self.alpha), ("std", self.std)];
        let scales = scales.into_iter().filter_map(|(name, a)| Some((name.to_owned(), a?)));
        for (name, a) in scales.chain(factors) {
            if !(a > 0.0 && a.is_finite()) {
                let text = format!("{a} is not a scale; use a positive number");
                return Err(Invalid::new(format!("{path}.{name}"), text));
            }
        }
        if let Some(k) = self.values.iter().flatten().position(|w| !w.is_finite()) {
            return Err(Invalid::new(format!("{path}.values[{k}]"), "a weight has to be finite"));
        }
        let Some(outer) = &self.outer else { return Ok(()) };
        let taken = [
            ("seed", outer.seed.is_some()),
            ("layers", outer.layers.is_some()),
            ("outer", outer.outer.is_some()),
            ("kind", !outer.is_drawn()),
        ];
        match taken.into_iter().find(|(_, taken)| *taken) {
            Some((name, _)) => {
                let text = "the last layer is drawn after the others from the same stream; \
                            give only the law and its scale here";
                Err(Invalid::new(format!("{path}.outer.{name}"), text))
            }
            None => outer.check_at(&format!("{path}.outer")),
        }
    }

    /// Holds `layers` to the layers of a layout, and `values` to its length.
    ///
    /// # Errors
    /// More or fewer factors than layers, or values than weights.
    pub fn check_layers(&self, layout: &Layout) -> Result<(), Invalid> {
        if let Some(values) = self.values.as_ref().filter(|values| values.len() != layout.dim()) {
            let size = |b: &Block| format!("{} in `{}`", b.len(), b.name);
            let blocks = layout.blocks().iter().map(size).collect::<Vec<_>>().join(", ");
            let text = format!("{} numbers for {} weights: {blocks}", values.len(), layout.dim());
            return Err(Invalid::new("init.values", text));
        }
        let names = layer_names(layout);
        match &self.layers {
            Some(factors) if factors.len() != names.len() => {
                let (given, wanted) = (factors.len(), names.len());
                let text = format!(
                    "{given} factors for {wanted} layers with weights; give one for each of {}",
                    names.join(", ")
                );
                Err(Invalid::new("init.layers", text))
            }
            _ => Ok(()),
        }
    }

    /// Draws θ₀ for a layout, given how each block starts. Drawn blocks of a `file` start at zero.
    pub fn draw(&self, layout: &Layout, starts: &[Start], rng: &mut ChaCha8Rng) -> Vec<f64> {
        if let Some(values) = &self.values {
            return values.iter().map(|w| self.alpha.unwrap_or(1.0) * w).collect();
        }
        let mut theta = vec![0.0; layout.dim()];
        let names = layer_names(layout);
        for (block, start) in layout.blocks().iter().zip(starts) {
            let fan = match *start {
                Start::Drawn(fan) => fan,
                Start::At(number) => {
                    block.of_mut(&mut theta).fill(number);
                    continue;
                }
            };
            let layer = names.iter().position(|n| *n == block.layer()).unwrap_or(0);
            let factor = self.layers.as_ref().and_then(|f| f.get(layer)).copied().unwrap_or(1.0);
            let law = match &self.outer {
                Some(outer) if layer + 1 == names.len() => outer,
                _ => self,
            };
            law.fill(block, fan, factor, block.of_mut(&mut theta), rng);
        }
        theta
    }

    fn fill(&self, block: &Block, fan_in: usize, factor: f64, out: &mut [f64], rng: &mut ChaCha8Rng) {
        let alpha = self.alpha.unwrap_or(1.0) * factor;
        let std = |gain: f64| alpha * (gain / fan_in as f64).sqrt();
        match self.kind {
            Scheme::He => fill(out, Normal::new(0.0, std(2.0)), rng),
            Scheme::HeTruncated => {
                let law = Normal::new(0.0, 1.0).expect("a standard normal law");
                out.iter_mut().for_each(|w| *w = std(2.0) * truncated(&law, rng));
            }
            Scheme::Lecun => fill(out, Normal::new(0.0, std(1.0)), rng),
            Scheme::Uniform => fill(out, Uniform::new_inclusive(-std(1.0), std(1.0)), rng),
            Scheme::UniformFan => {
                let fan = match self.fan.unwrap_or_default() {
                    Fan::In => fan_in,
                    Fan::Out => block.rows,
                };
                let end = alpha / fan as f64;
                fill(out, Uniform::new_inclusive(-end, end), rng);
            }
            Scheme::Normal => fill(out, Normal::new(0.0, alpha * self.std.unwrap_or(1.0)), rng),
            Scheme::File | Scheme::Values => {}
        }
    }
}

/// The layers that have blocks, from the input side.
fn layer_names(layout: &Layout) -> Vec<&str> {
    let mut names: Vec<&str> = layout.blocks().iter().map(Block::layer).collect();
    names.dedup();
    names
}

/// A standard normal number within [−2, 2].
fn truncated(law: &Normal<f64>, rng: &mut ChaCha8Rng) -> f64 {
    loop {
        let z = law.sample(rng);
        if z.abs() <= 2.0 {
            return z;
        }
    }
}

fn fill<D: Distribution<f64>, E: std::fmt::Debug>(out: &mut [f64], law: Result<D, E>, rng: &mut ChaCha8Rng) {
    let law = law.expect("Init::check admits only positive finite scales");
    out.iter_mut().for_each(|w| *w = law.sample(rng));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_law_has_the_variance_of_its_formula() {
        let init = Init { kind: Scheme::HeTruncated, ..Init::default() };
        let mut layout = Layout::default();
        layout.push("0.weight", &[200, 500], 1.0);
        let mut rng = crate::rng::stream(1, "model.init", 0);
        let theta = init.draw(&layout, &[Start::Drawn(500)], &mut rng);
        let std = (2.0 / 500.0f64).sqrt();
        assert!(theta.iter().all(|w| w.abs() <= 2.0 * std));
        // 1 − 2·2φ(2)/(Φ(2) − Φ(−2)), φ the normal density; 100,000 draws know it to half a per cent.
        let (density, mass) = ((-2.0f64).exp() / std::f64::consts::TAU.sqrt(), 0.954_499_736_103_641_6);
        let expected = 1.0 - 4.0 * density / mass;
        let variance = theta.iter().map(|w| w * w).sum::<f64>() / theta.len() as f64 / (std * std);
        assert!((variance / expected - 1.0).abs() < 0.015, "{variance} and {expected}");
    }
}
