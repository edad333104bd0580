//! The spec: everything that determines a run, as plain data.
//!
//! Command line, recipes and tests all enter through it. See [`Spec`] for its keys.
//!
//! # Examples
//! An override reaches any key, and a wrong one is shown where it stands:
//! ```
//! use latephase_lab::Spec;
//! let text = r#"
//! data = "two-points"
//! model = "linear"
//! loss = "logistic"
//! algorithm = { kind = "flow", norm = "l2" }
//! stop = { log10_loss = -100 }
//! "#;
//! let spec = Spec::parse(text, "spec.toml", &["stop.log10_loss=-1000".into()]).unwrap();
//! assert_eq!(spec.stop.log10_loss, Some(-1000.0));
//!
//! let error = Spec::parse(&text.replace("l2", "l-inf"), "spec.toml", &[]).unwrap_err();
//! assert!(error.to_string().starts_with("spec.toml:5:37: unknown norm `l-inf` in algorithm.norm"));
//! ```

mod check;
mod complaint;
mod origin;
mod phases;
mod read;
mod resolved;

use latephase_core::loss::AnyLoss;
use latephase_core::model::AnyModel;
use latephase_core::probe::{AnyProbe, ON_REQUEST};
use serde::{Deserialize, Serialize};

use crate::cadence::Cadence;
use crate::source::Source;
use crate::stop::Stop;

pub use origin::Origin;
pub use phases::Phase;

pub(crate) use complaint::{Complaint, choices};
pub(crate) use origin::{Applied, line_column};
pub(crate) use phases::resolve as resolve_phases;

/// A run, in full. Two specs with the same resolved text give the same bytes.
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
    /// What is measured at a look; by default everything but what is [on request](ON_REQUEST).
    #[serde(default = "every_probe")]
    pub probes: Vec<AnyProbe>,
    /// Whether the reference optima of the margins are computed at the end, into `exact.json`; off by default.
    #[serde(default, skip_serializing_if = "is_off")]
    pub exact: bool,
    /// Where the settings were written, for messages.
    #[serde(skip)]
    pub origin: Origin,
}

/// Where θ is kept on the way, in `snapshots/`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Levels of log₁₀ of the loss: θ is kept when the loss first gets there; none by default.
    #[serde(default)]
    pub log10_loss: Vec<f64>,
}

fn is_off(switch: &bool) -> bool {
    !switch
}

fn every_probe() -> Vec<AnyProbe> {
    let cheap = AnyProbe::NAMES.iter().filter(|name| !ON_REQUEST.contains(name));
    cheap.map(|name| AnyProbe::example(name)).collect()
}
