//! The runs that a claim of one's own is about.

use latephase_core::Degree;
use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::descent::AnyDescent;
use latephase_core::loss::AnyLoss;
use latephase_core::model::AnyModel;
use latephase_core::model::layer::Nonlinearity;
use latephase_core::norm::AnyNorm;
use latephase_core::pace::AnyPace;
use serde::{Deserialize, Deserializer, Serialize};

use crate::spec::{Spec, choices};

/// `[claim.when]`: names that the run's parts may have; every part may be anything where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Kinds of algorithm.
    pub algorithm: Names,
    /// Kinds of descent.
    pub descent: Names,
    /// Norms that the algorithm descends in.
    pub norm: Names,
    /// Kinds of pace.
    pub pace: Names,
    /// Losses.
    pub loss: Names,
    /// Models.
    pub model: Names,
    /// Activations of a perceptron; a linear model has the `identity`.
    pub activation: Names,
    /// Whether the model has to be exactly homogeneous.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homogeneous: Option<bool>,
    /// The least degree of homogeneity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degree_at_least: Option<f64>,
    /// The largest degree of homogeneity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degree_at_most: Option<f64>,
}

/// A name, or a list of them; an empty list allows everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Names(pub Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match toml::Value::deserialize(d)? {
            toml::Value::String(one) => Ok(Names(vec![one])),
            toml::Value::Array(list) => {
                let text = |v: toml::Value| match v {
                    toml::Value::String(name) => Ok(name),
                    other => Err(D::Error::custom(format!("a name is a string, not {other}"))),
                };
                list.into_iter().map(text).collect::<Result<_, _>>().map(Names)
            }
            other => Err(D::Error::custom(format!("expected a name or a list of names, not {other}"))),
        }
    }
}

impl Names {
    fn admit(&self, what: &str, name: &str) -> Result<(), String> {
        if self.0.is_empty() || self.0.iter().any(|n| n == name) {
            return Ok(());
        }
        Err(format!("is about the {what} {}; this is {name}", self.0.join(" or ")))
    }
}

impl When {
    /// What is wrong with it: the field and a message.
    pub fn check(&self) -> Result<(), (String, String)> {
        let lists: [(&str, &Names, &[&str]); 7] = [
            ("algorithm", &self.algorithm, AnyAlgorithm::NAMES),
            ("descent", &self.descent, AnyDescent::NAMES),
            ("norm", &self.norm, AnyNorm::NAMES),
            ("pace", &self.pace, AnyPace::NAMES),
            ("loss", &self.loss, AnyLoss::NAMES),
            ("model", &self.model, AnyModel::NAMES),
            ("activation", &self.activation, Nonlinearity::NAMES),
        ];
        for (field, names, allowed) in lists {
            if let Some(unknown) = names.0.iter().find(|n| !allowed.contains(&n.as_str())) {
                let text = format!("unknown {field} `{unknown}`{}", choices(unknown, allowed));
                return Err((field.to_owned(), text));
            }
        }
        Ok(())
    }

    /// Whether a run with these parts and a model of this degree is one of them.
    ///
    /// # Errors
    /// The first condition that fails.
    pub fn admits(&self, parts: &Parts, degree: &Degree) -> Result<(), String> {
        self.model.admit("model", parts.model)?;
        self.loss.admit("loss", parts.loss)?;
        self.activation.admit("activation", parts.activation)?;
        for phase in &parts.phases {
            self.algorithm.admit("algorithm", phase.algorithm)?;
            self.norm.admit("norm", phase.norm)?;
            self.descent.admit("descent", phase.descent)?;
            self.pace.admit("pace", phase.pace)?;
        }
        if self.homogeneous == Some(true) && !degree.is_exact() {
            return Err(format!("is about homogeneous models; this one is {degree}"));
        }
        let order = degree.order();
        let least = self.degree_at_least.is_none_or(|l| order.is_some_and(|d| d >= l));
        let most = self.degree_at_most.is_none_or(|l| order.is_some_and(|d| d <= l));
        if least && most { Ok(()) } else { Err(format!("is about other degrees; this model is {degree}")) }
    }
}

/// The names of a run's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The model.
    pub model: &'static str,
    /// The activation of a perceptron, `identity` for a linear network, else the model.
    pub activation: &'static str,
    /// The loss.
    pub loss: &'static str,
    /// What moves θ, phase by phase.
    pub phases: Vec<PhaseParts>,
}

/// The names of a phase's parts; an algorithm that is no steps stands for its descent and its pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseParts {
    /// The algorithm.
    pub algorithm: &'static str,
    /// The norm whose steepest descent it is.
    pub norm: &'static str,
    /// The descent.
    pub descent: &'static str,
    /// The pace.
    pub pace: &'static str,
}

impl Parts {
    /// The parts of a spec.
    pub fn of(spec: &Spec) -> Parts {
        let phase = |algorithm: &AnyAlgorithm| {
            let (descent, pace) = match algorithm {
                AnyAlgorithm::Stepped(stepped) => (stepped.descent.name(), stepped.pace.name()),
                other => (other.name(), other.name()),
            };
            let norm = algorithm.build().norm().name();
            PhaseParts { algorithm: algorithm.name(), norm, descent, pace }
        };
        Parts {
            model: spec.model.name(),
            activation: match &spec.model {
                AnyModel::Mlp(mlp) if !mlp.widths.is_empty() => mlp.activation.name(),
                AnyModel::Mlp(_) | AnyModel::Linear(_) | AnyModel::DeepLinear(_) => "identity",
                other => other.name(),
            },
            loss: spec.loss.name(),
            phases: spec.algorithm.iter().map(|p| phase(&p.algorithm)).collect(),
        }
    }
}
