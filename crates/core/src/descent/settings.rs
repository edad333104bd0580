//! Checks and defaults that several descents share.

use crate::{Breakdown, Invalid, numeric};

use super::Place;

/// A rate of forgetting: at least 0 and below 1.
pub(crate) fn fraction(field: &str, value: f64) -> Result<(), Invalid> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    let why = if value == 1.0 { " never forgets and never learns;" } else { " is not allowed;" };
    Err(Invalid::new(field, format!("{value}{why} use a number of at least 0 and below 1")))
}

/// A finite number of at least 0.
pub(crate) fn not_negative(field: &str, value: f64) -> Result<(), Invalid> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Invalid::new(field, format!("{value} is not allowed; use a finite number of at least 0")))
}

/// What no memory may take in.
///
/// # Errors
/// When ln 𝓛 or an entry of its gradient is not finite.
pub(crate) fn finite(at: &Place<'_>) -> Result<(), Breakdown> {
    // ln 0 = −∞ is a loss like another, with a true gradient of 0.
    if at.ln_loss < f64::INFINITY && numeric::all_finite(at.grad) {
        return Ok(());
    }
    Err(Breakdown::Diverged { what: "ln of the loss or its gradient is no longer finite".into() })
}

pub(crate) fn yes() -> bool {
    true
}

pub(crate) fn nine_tenths() -> f64 {
    0.9
}

pub(crate) fn ninety_nine_hundredths() -> f64 {
    0.99
}
