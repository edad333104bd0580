//! How a run ended. A run cannot fail: it ends with a sentence and advice.

use latephase_core::Breakdown;
use serde::Serialize;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Outcome {
    /// A target of `stop` was reached.
    Reached {
        /// What was reached.
        what: String,
    },
    /// The steps or epochs of `stop` ran out before its target.
    OutOfSteps {
        /// Which budget.
        what: String,
    },
    /// A number that must be finite no longer is, or the margins have left for the wrong side.
    Diverged {
        /// What happened.
        what: String,
    },
    /// The field is discontinuous here and the integrator crawls.
    Chattering {
        /// How short the steps are.
        what: String,
    },
    /// f64 can no longer resolve what the run needs.
    Precision {
        /// What.
        what: String,
    },
    /// There is no direction that lowers the loss.
    Stationary {
        /// Why.
        what: String,
    },
    /// A foreign model failed.
    Failed {
        /// Its message.
        what: String,
    },
    /// The caller asked to stop, or a budget of wall-clock time ran out.
    Interrupted {
        /// Why.
        what: String,
    },
}

impl Outcome {
    /// Its name, as in `kind`.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Reached { .. } => "reached",
            Outcome::OutOfSteps { .. } => "out-of-steps",
            Outcome::Diverged { .. } => "diverged",
            Outcome::Chattering { .. } => "chattering",
            Outcome::Precision { .. } => "precision",
            Outcome::Stationary { .. } => "stationary",
            Outcome::Failed { .. } => "failed",
            Outcome::Interrupted { .. } => "interrupted",
        }
    }

    /// Whether the spec's own conditions ended the run.
    pub fn is_reached(&self) -> bool {
        matches!(self, Outcome::Reached { .. })
    }

    /// Whether the run can go on from its last checkpoint.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Outcome::Interrupted { .. })
    }

    /// One sentence, with advice where there is some.
    pub fn sentence(&self) -> String {
        match self {
            Outcome::Reached { what } => format!("Reached {what}."),
            Outcome::OutOfSteps { what } => {
                format!("Ended by {what} before its target; raise the limit, or lengthen the pace.")
            }
            Outcome::Diverged { what } => {
                format!("Diverged: {what}; shorten the steps (a smaller eta or kappa).")
            }
            Outcome::Chattering { what } | Outcome::Precision { what } | Outcome::Stationary { what } => {
                let mut text = format!("{what}.");
                if let Some(first) = text.get(..1) {
                    text.replace_range(..1, &first.to_uppercase());
                }
                text
            }
            Outcome::Failed { what } => format!("Failed: {what}."),
            Outcome::Interrupted { what } => {
                format!(
                    "Interrupted ({what}); everything is saved, and `latephase resume` goes on from here."
                )
            }
        }
    }
}

impl From<Breakdown> for Outcome {
    fn from(breakdown: Breakdown) -> Self {
        let sentence = breakdown.to_string();
        match breakdown {
            Breakdown::Diverged { what } => Outcome::Diverged { what },
            Breakdown::Chattering { .. } => Outcome::Chattering { what: sentence },
            Breakdown::Precision { .. } => Outcome::Precision { what: sentence },
            Breakdown::Stationary { .. } => Outcome::Stationary { what: sentence },
            Breakdown::Failed { what } => Outcome::Failed { what },
        }
    }
}
