//! Which looks of a run a claim of one's own is about.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::findings::Columns;

/// From which look on: `from = "separation"`, `"start"`, `{ step = 100 }`, `{ log10_loss = -10 }` or `{ part = 0.5 }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// The first look at which ln 𝓛_sum is below the threshold of the loss.
    #[default]
    Separation,
    /// The first look.
    Start,
    /// The first look at or after this step.
    Step(u64),
    /// The first look at which log₁₀ of the loss is at most this.
    Log10Loss(f64),
    /// The first look of the last looks, after this part of all.
    Part(f64),
}

impl From {
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        match self {
            From::Part(p) if !(0.0..1.0).contains(p) => {
                Err(format!("part = {p} is no part of a run; use a number from 0 to below 1"))
            }
            From::Log10Loss(l) if !l.is_finite() => Err(format!("log10_loss = {l} is never reached")),
            _ => Ok(()),
        }
    }

    /// The columns that it reads.
    pub fn columns(&self) -> &'static [&'static str] {
        match self {
            From::Separation => &["ln_loss_sum"],
            From::Log10Loss(_) => &["log10_loss"],
            From::Start | From::Step(_) | From::Part(_) => &["step"],
        }
    }

    /// The index of the first look.
    pub fn row(&self, columns: &Columns, ln_threshold: f64) -> Option<usize> {
        let steps = columns.get("step");
        match self {
            From::Separation => columns.get("ln_loss_sum").iter().position(|l| *l < ln_threshold),
            From::Start => Some(0),
            From::Step(step) => steps.iter().position(|s| *s >= *step as f64),
            From::Log10Loss(level) => columns.get("log10_loss").iter().position(|l| *l <= *level),
            From::Part(part) => Some((part * steps.len() as f64) as usize),
        }
    }
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            From::Separation => f.write_str("separation (the loss below its threshold)"),
            From::Start => f.write_str("its first look"),
            From::Step(step) => write!(f, "step {step}"),
            From::Log10Loss(level) => write!(f, "log10_loss = {level}"),
            From::Part(part) => write!(f, "the last looks after {part} of all"),
        }
    }
}

/// A condition on a column: only looks that meet it count.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Where {
    /// The column.
    pub column: String,
    /// Its least value.
    pub at_least: Option<f64>,
    /// Its largest value.
    pub at_most: Option<f64>,
}

impl Where {
    /// Whether a look with this value counts; one at which it is not known does not.
    pub fn admits(&self, value: f64) -> bool {
        !value.is_nan()
            && self.at_least.is_none_or(|least| value >= least)
            && self.at_most.is_none_or(|most| value <= most)
    }
}
