//! A run that may violate a claim: small, explicit to the last number, and a spec like any other.

use std::fmt::Write;

use crate::error::Error;
use crate::spec::Spec;

/// σ of the hidden layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// z, a linear or deep linear network.
    Identity,
    /// max(z, 0).
    Relu,
    /// max(z, 0) + slope·min(z, 0).
    LeakyRelu(f64),
    /// max(z, 0)².
    ReluSquared,
}

/// The loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// e^{−q}.
    Exponential,
    /// ln(1 + e^{−q}).
    Logistic,
}

/// The norm that is descended in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Gradient descent.
    L2,
    /// Sign descent.
    Linf,
    /// Coordinate descent.
    L1,
}

impl Norm {
    fn name(self) -> &'static str {
        match self {
            Norm::L2 => "l2",
            Norm::Linf => "linf",
            Norm::L1 => "l1",
        }
    }
}

/// How far a step goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// A constant rate on the loss.
    Constant {
        /// The rate.
        eta: f64,
    },
    /// A rate of η/𝓛.
    LossScaled {
        /// The rate on ln 𝓛.
        eta: f64,
    },
    /// A predicted fall of ln 𝓛, halved where it is off.
    UnitDecrease {
        /// The fall.
        eta: f64,
    },
    /// A length of c/√t.
    Normalized {
        /// The first length.
        c: f64,
    },
}

/// What moves θ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Motion {
    /// The adaptive flow.
    Flow {
        /// Its norm.
        norm: Norm,
        /// Local error allowed in a step.
        rtol: f64,
    },
    /// Steps.
    Steps {
        /// The norm.
        norm: Norm,
        /// Unit steps, whatever the gradient is: `sign`, `coordinate`, `normalized`.
        unit: bool,
        /// How far.
        pace: Pace,
    },
}

impl Motion {
    /// The norm that is descended in.
    pub fn norm(&self) -> Norm {
        match self {
            Motion::Flow { norm, .. } | Motion::Steps { norm, .. } => *norm,
        }
    }

    /// The number that says how far a step goes.
    pub fn length_mut(&mut self) -> &mut f64 {
        match self {
            Motion::Flow { rtol, .. } => rtol,
            Motion::Steps { pace, .. } => match pace {
                Pace::Constant { eta } | Pace::LossScaled { eta } | Pace::UnitDecrease { eta } => eta,
                Pace::Normalized { c } => c,
            },
        }
    }
}

/// A run, in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The points.
    pub inputs: Vec<Vec<f64>>,
    /// 1 or −1 for each.
    pub labels: Vec<i64>,
    /// Hidden widths, from the input side; none for a linear model.
    pub widths: Vec<usize>,
    /// σ.
    pub activation: Activation,
    /// The loss, a sum.
    pub loss: Loss,
    /// What moves θ.
    pub motion: Motion,
    /// θ₀, layer after layer, each outputs × inputs.
    pub theta: Vec<f64>,
    /// Most steps.
    pub steps: u64,
    /// Where the run ends before that; −∞ for nowhere.
    pub log10_loss: f64,
}

/// A number as TOML reads it back to the last bit.
fn float(x: f64) -> String {
    format!("{x:?}")
}

fn list(values: &[f64]) -> String {
    format!("[{}]", values.iter().map(|x| float(*x)).collect::<Vec<_>>().join(", "))
}

impl Candidate {
    /// Numbers in a point.
    pub fn dim(&self) -> usize {
        self.inputs.first().map_or(0, Vec::len)
    }

    /// (outputs, inputs) of every layer.
    pub fn layers(&self) -> Vec<(usize, usize)> {
        let ends: Vec<usize> =
            [self.dim()].into_iter().chain(self.widths.iter().copied()).chain([1]).collect();
        ends.windows(2).map(|w| (w[1], w[0])).collect()
    }

    /// Where each layer begins in θ, and the end.
    pub fn offsets(&self) -> Vec<usize> {
        let mut at = vec![0];
        for (outs, ins) in self.layers() {
            at.push(at[at.len() - 1] + outs * ins);
        }
        at
    }

    /// What makes one run smaller than another: points first, then weights, dimensions, steps, and digits.
    pub fn size(&self) -> (usize, usize, usize, u64, usize) {
        let digits = self.inputs.iter().flatten().chain(&self.theta).map(|x| float(*x).len()).sum();
        (self.inputs.len(), self.theta.len(), self.dim(), self.steps, digits)
    }

    /// The spec as TOML, with these probes.
    pub fn toml(&self, probes: &[&str]) -> String {
        let points: Vec<String> = self.inputs.iter().map(|x| list(x)).collect();
        let labels: Vec<String> = self.labels.iter().map(i64::to_string).collect();
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        let init = format!("init = {{ kind = \"values\", values = {} }}", list(&self.theta));
        let model = match self.activation {
            _ if self.widths.is_empty() => format!("{{ kind = \"linear\", {init} }}"),
            Activation::Identity => {
                format!("{{ kind = \"deep-linear\", widths = [{}], {init} }}", widths.join(", "))
            }
            other => {
                let activation = match other {
                    Activation::LeakyRelu(slope) => {
                        format!("{{ kind = \"leaky-relu\", slope = {} }}", float(slope))
                    }
                    Activation::ReluSquared => "{ kind = \"relu-power\", p = 2.0 }".into(),
                    _ => "\"relu\"".to_owned(),
                };
                let widths = widths.join(", ");
                format!("{{ kind = \"mlp\", widths = [{widths}], activation = {activation}, {init} }}")
            }
        };
        let loss = if self.loss == Loss::Exponential { "exponential" } else { "logistic" };
        let probes: Vec<String> = probes.iter().map(|p| format!("{p:?}")).collect();
        let mut text = String::new();
        let mut put = |line: std::fmt::Arguments<'_>| {
            text.write_fmt(line).expect("writing to a String cannot fail");
            text.push('\n');
        };
        put(format_args!("[data]\nkind = \"points\""));
        put(format_args!("inputs = [{}]\nlabels = [{}]\n", points.join(", "), labels.join(", ")));
        put(format_args!("[algorithm]"));
        match self.motion {
            Motion::Flow { norm, rtol } => {
                put(format_args!("kind = \"flow\"\nnorm = \"{}\"\nrtol = {}", norm.name(), float(rtol)));
            }
            Motion::Steps { norm, unit, pace } => {
                let descent = match (norm, unit) {
                    (norm, false) => format!("{{ kind = \"steepest\", norm = \"{}\" }}", norm.name()),
                    (Norm::Linf, true) => "\"sign\"".into(),
                    (Norm::L1, true) => "\"coordinate\"".into(),
                    (Norm::L2, true) => "\"normalized\"".into(),
                };
                let pace = match pace {
                    Pace::Constant { eta } => format!("{{ kind = \"constant\", eta = {} }}", float(eta)),
                    Pace::LossScaled { eta } => format!("{{ kind = \"loss-scaled\", eta = {} }}", float(eta)),
                    Pace::UnitDecrease { eta } => {
                        format!("{{ kind = \"unit-decrease\", eta = {} }}", float(eta))
                    }
                    Pace::Normalized { c } => format!("{{ kind = \"normalized\", c = {} }}", float(c)),
                };
                put(format_args!("kind = \"stepped\"\ndescent = {descent}\npace = {pace}"));
            }
        }
        // A look at every step of a short run, and some 400 of a long one; the probe of KKT points takes its time.
        let look = match probes.iter().any(|p| p.contains("stationarity")) {
            true => "per_decade_of_step = 1, per_decade_of_ln_loss = 0".to_owned(),
            false => format!("every = {}", self.steps.div_ceil(400).max(1)),
        };
        let stop = match self.log10_loss.is_finite() {
            true => format!("steps = {}, log10_loss = {}", self.steps, float(self.log10_loss)),
            false => format!("steps = {}", self.steps),
        };
        format!(
            "model = {model}\nloss = \"{loss}\"\nstop = {{ {stop} }}\n\
             look = {{ {look} }}\nprobes = [{}]\n\n{text}",
            probes.join(", ")
        )
    }

    /// The spec.
    ///
    /// # Errors
    /// Numbers that no run can have.
    pub fn spec(&self, probes: &[&str]) -> Result<Spec, Error> {
        Spec::parse(&self.toml(probes), "spec.toml", &[])
    }

    /// What it is, in a line.
    pub fn describe(&self) -> String {
        let points = match self.inputs.len() {
            1 => "1 point".to_owned(),
            n => format!("{n} points"),
        };
        let name = match self.activation {
            _ if self.widths.is_empty() => "a linear model".to_owned(),
            Activation::Identity => format!("a deep linear network of widths {:?}", self.widths),
            Activation::Relu => format!("a ReLU network of widths {:?}", self.widths),
            Activation::LeakyRelu(slope) => {
                format!("a leaky ReLU network (slope {slope}) of widths {:?}", self.widths)
            }
            Activation::ReluSquared => format!("a ReLU² network of widths {:?}", self.widths),
        };
        let motion = match self.motion {
            Motion::Flow { norm, .. } => format!("the {} flow", norm.name()),
            Motion::Steps { norm, unit, pace } => {
                let unit = if unit { "unit " } else { "" };
                let pace = match pace {
                    Pace::Constant { eta } => format!("at the constant rate {eta}"),
                    Pace::LossScaled { eta } => format!("at the rate {eta}/loss"),
                    Pace::UnitDecrease { eta } => format!("with a predicted fall of ln loss by {eta}"),
                    Pace::Normalized { c } => format!("of length {c}/sqrt(t)"),
                };
                format!("{unit}steps in {} {pace}", norm.name())
            }
        };
        let dim = match self.dim() {
            1 => "1 dimension".to_owned(),
            d => format!("{d} dimensions"),
        };
        format!("{points} in {dim}, {name}, {motion}, at most {} steps", self.steps)
    }
}
