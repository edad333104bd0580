//! When a run, or one phase of it, has arrived.

use std::f64::consts::LN_10;
use std::fmt;

use latephase_core::Invalid;
use serde::{Deserialize, Serialize};

/// The conditions of `stop`, or of a phase's `until`: the first that holds ends it.
///
/// Every count and time is that of the whole run, also in a phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Most steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Most passes over the training set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// log₁₀ of the loss, in the spec's reduction, at or below which the run has arrived; negative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log10_loss: Option<f64>,
    /// ln of the time of the flow that is followed, at or beyond which the run has arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ln_time: Option<f64>,
    /// The algorithm's own clock, at or beyond which the run has arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<f64>,
    /// ln ‖θ‖₂ at or beyond which the run has arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ln_rho: Option<f64>,
    /// KKT residual ε at or below which the run has arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kkt_epsilon: Option<f64>,
    /// Speed of the direction θ/‖θ‖ per unit of ln ρ at or below which the run has arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction_speed: Option<f64>,
}

/// Where a run stands. What is not known is NaN, and an unknown number ends nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Status {
    /// Steps taken.
    pub step: u64,
    /// Passes over the training set that are complete.
    pub epoch: u64,
    /// ln of the loss in the spec's reduction.
    pub ln_loss: f64,
    /// ln of the time of the flow that is followed.
    pub ln_time: f64,
    /// The algorithm's own clock.
    pub clock: f64,
    /// ln ‖θ‖₂.
    pub ln_rho: f64,
    /// KKT residual ε.
    pub kkt_epsilon: f64,
    /// Speed of the direction per unit of ln ρ.
    pub direction_speed: f64,
}

impl Status {
    /// The beginning, with everything unknown but the counts.
    pub fn unknown() -> Self {
        Status {
            step: 0,
            epoch: 0,
            ln_loss: f64::NAN,
            ln_time: f64::NAN,
            clock: f64::NAN,
            ln_rho: f64::NAN,
            kkt_epsilon: f64::NAN,
            direction_speed: f64::NAN,
        }
    }
}

/// A condition that holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reached {
    /// Its key in the spec: `steps`, `log10_loss`, …
    pub condition: &'static str,
    /// Where the run stands.
    pub value: f64,
    /// What the spec asks for.
    pub target: f64,
}

impl Reached {
    /// Whether this only ran out (`steps`, `epochs`), as opposed to a place arrived at.
    pub fn is_budget(&self) -> bool {
        matches!(self.condition, "steps" | "epochs")
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} reached {}", self.condition, self.value, self.target)
    }
}

impl Stop {
    /// The condition that holds, if one does. Where several do, places arrived at come before budgets.
    pub fn reached(&self, at: &Status) -> Option<Reached> {
        let rows = [
            ("log10_loss", self.log10_loss, at.ln_loss / LN_10, Side::Below),
            ("kkt_epsilon", self.kkt_epsilon, at.kkt_epsilon, Side::Below),
            ("direction_speed", self.direction_speed, at.direction_speed, Side::Below),
            ("ln_time", self.ln_time, at.ln_time, Side::Above),
            ("clock", self.clock, at.clock, Side::Above),
            ("ln_rho", self.ln_rho, at.ln_rho, Side::Above),
            ("epochs", self.epochs.map(|n| n as f64), at.epoch as f64, Side::Above),
            ("steps", self.steps.map(|n| n as f64), at.step as f64, Side::Above),
        ];
        rows.into_iter().find_map(|(condition, target, value, side)| {
            let target = target?;
            // NaN compares false: an unknown number ends nothing.
            let holds = match side {
                Side::Below => value <= target,
                Side::Above => value >= target,
            };
            holds.then_some(Reached { condition, value, target })
        })
    }

    /// Whether there is no condition at all.
    pub fn is_empty(&self) -> bool {
        *self == Stop::default()
    }

    /// Whether there is a place to arrive at, as opposed to budgets only.
    pub fn has_target(&self) -> bool {
        !Stop { steps: None, epochs: None, ..self.clone() }.is_empty()
    }

    /// Whether the columns of the KKT probe have to be known to decide.
    pub fn needs_kkt(&self) -> bool {
        self.kkt_epsilon.is_some()
    }

    /// Whether the columns of the direction probe have to be known to decide.
    pub fn needs_direction(&self) -> bool {
        self.direction_speed.is_some()
    }

    /// Checks that there is a condition and that each one can be met.
    ///
    /// # Errors
    /// No condition at all (with an empty field), or one that no run can meet.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.is_empty() {
            let text = "no condition is given, so it would never end; set one of steps, epochs, log10_loss, \
                        ln_time, clock, ln_rho, kkt_epsilon, direction_speed";
            return Err(Invalid::new("", text));
        }
        if let Some(level) = self.log10_loss {
            check_level("log10_loss", level)?;
        }
        let finite = [("ln_time", self.ln_time), ("clock", self.clock), ("ln_rho", self.ln_rho)];
        for (field, value) in finite {
            match value {
                Some(v) if !v.is_finite() => {
                    return Err(Invalid::new(field, format!("{v} is never reached; use a finite number")));
                }
                _ => {}
            }
        }
        let positive = [("kkt_epsilon", self.kkt_epsilon), ("direction_speed", self.direction_speed)];
        for (field, value) in positive {
            match value {
                Some(v) if !(v > 0.0 && v.is_finite()) => {
                    return Err(Invalid::new(field, format!("{v} cannot be reached; use a positive number")));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

enum Side {
    Below,
    Above,
}

/// Checks a level of log₁₀ of the loss.
///
/// # Errors
/// A level of 0 or more, or one that is not finite.
pub(crate) fn check_level(field: &str, level: f64) -> Result<(), Invalid> {
    if level < 0.0 && level.is_finite() {
        return Ok(());
    }
    let hint = if level > 0.0 && level.is_finite() { format!(", such as {}", -level) } else { String::new() };
    let text = format!("{level} is not a late loss; log10_loss is negative{hint}");
    Err(Invalid::new(field, text))
}
