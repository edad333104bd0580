//! What can be wrong with a construction, and what can end a step.

/// A setting that makes no sense, with the field's name; the lab adds file, line and column.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// The offending setting, as a dotted path relative to what was being built.
    pub field: String,
    /// What was given, what is allowed.
    pub message: String,
}

impl Invalid {
    /// A complaint about one field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Invalid { field: field.into(), message: message.into() }
    }
}

/// Why an algorithm could not take a step. It ends a run with an outcome; it is not an error.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Breakdown {
    /// A number that must be finite is not, or the loss has grown beyond sense.
    #[error("diverged: {what}")]
    Diverged {
        /// What happened to which quantity.
        what: String,
    },
    /// Steps shrank below the floor: the field is discontinuous here.
    #[error(
        "chattering: steps shrank to {step:.1e}, below {floor:.1e}; the field is discontinuous here \
         (a ReLU kink, or ties in l1 or linf). Use the bundle, a smooth activation, or the stepped algorithm with a small eta"
    )]
    Chattering {
        /// The last length tried.
        step: f64,
        /// The floor.
        floor: f64,
    },
    /// The update no longer changes θ, or margins can no longer be told apart.
    #[error("precision exhausted: {what}")]
    Precision {
        /// What f64 can no longer resolve, and advice.
        what: String,
    },
    /// The point is stationary for ln L: nothing to follow.
    #[error("stationary: {what}")]
    Stationary {
        /// Why.
        what: String,
    },
    /// A foreign model or a numerical kernel failed.
    #[error("failed: {what}")]
    Failed {
        /// Its message.
        what: String,
    },
}
