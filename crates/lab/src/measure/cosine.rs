//! The cosine between the weights of two runs.

use serde::Deserialize;

use super::{Measuring, Seen};
use crate::compare::cosine;
use crate::error::Error;
use crate::place::Place;
use crate::stint::snapshot_name;

/// Of θ at a kept level, or at the end.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cosine {
    /// The trained weights.
    Theta,
}

impl Measuring for Cosine {
    fn of(&self, _: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        Ok(f64::NAN)
    }

    fn of_two(&self, run: &Seen<'_>, other: &Seen<'_>, place: &Place) -> Result<f64, Error> {
        let file = place.level().map_or("theta.safetensors".to_owned(), snapshot_name);
        let (ours, theirs) = (run.dir.join(&file), other.dir.join(&file));
        // A level that one of the runs never reached has no θ.
        if ours.exists() && theirs.exists() { cosine(&ours, &theirs) } else { Ok(f64::NAN) }
    }

    fn has_place(&self) -> bool {
        true
    }

    fn needs_two(&self) -> bool {
        true
    }
}
