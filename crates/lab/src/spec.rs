//! The spec: everything that determines a run, as plain data.
//!
//! Command line, recipes and tests all enter through it. See [`Spec`] for its keys.

mod phases;
mod placeholder;

use latephase_core::loss::AnyLoss;
use latephase_core::model::AnyModel;
use serde::{Deserialize, Serialize};

use crate::cadence::Cadence;
use crate::stop::Stop;

pub use phases::Phase;
pub use placeholder::{AnyProbe, Source};

/// A run, in full. Two equal specs give the same bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What to call the run; the file's name by default. It has no influence on the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Seed of every random stream that has none of its own; 0 by default.
    #[serde(default)]
    pub seed: u64,
    /// The training and test sets.
    pub data: Source,
    /// The network.
    pub model: AnyModel,
    /// The loss.
    pub loss: AnyLoss,
    /// The algorithm, or several that follow each other.
    #[serde(with = "phases")]
    pub algorithm: Vec<Phase>,
    /// When the run ends.
    pub stop: Stop,
    /// When it is looked at.
    #[serde(default)]
    pub look: Cadence,
    /// Which θ are kept.
    #[serde(default)]
    pub keep: Keep,
    /// What is measured at a look; everything by default.
    #[serde(default = "every_probe")]
    pub probes: Vec<AnyProbe>,
}

/// Where θ is kept on the way, in `snapshots/`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Levels of log₁₀ of the loss: θ is kept when the loss first gets there; none by default.
    #[serde(default)]
    pub log10_loss: Vec<f64>,
}

fn every_probe() -> Vec<AnyProbe> {
    AnyProbe::NAMES.iter().map(|name| AnyProbe::example(name)).collect()
}
