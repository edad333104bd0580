//! The largest and the least value of a column, over all looks, and where the largest is.

use serde::Deserialize;

use super::{Measuring, Seen};
use crate::error::Error;
use crate::place::Place;

/// The largest value of the column of this name.
#[derive(Clone, Debug, Deserialize)]
pub struct Peak(pub String);

/// The step of the first look at which the column of this name is largest.
#[derive(Clone, Debug, Deserialize)]
pub struct PeakStep(pub String);

/// The least value of the column of this name.
#[derive(Clone, Debug, Deserialize)]
pub struct Least(pub String);

/// The value of the column of this name at the place, over its largest one: 1 for what has never fallen since.
#[derive(Clone, Debug, Deserialize)]
pub struct OfPeak(pub String);

/// (look, value) of the largest known sign·value; none where nothing is known.
fn largest(values: &[f64], sign: f64) -> Option<(usize, f64)> {
    let known = values.iter().copied().enumerate().filter(|(_, v)| v.is_finite());
    known.reduce(|best, next| if sign * next.1 > sign * best.1 { next } else { best })
}

impl Measuring for Peak {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        Ok(largest(run.columns.get(&self.0), 1.0).map_or(f64::NAN, |(_, v)| v))
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.0]
    }
}

impl Measuring for PeakStep {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        let look = largest(run.columns.get(&self.0), 1.0).map(|(k, _)| k);
        Ok(look.and_then(|k| run.columns.get("step").get(k)).copied().unwrap_or(f64::NAN))
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.0]
    }
}

impl Measuring for OfPeak {
    fn of(&self, run: &Seen<'_>, place: &Place) -> Result<f64, Error> {
        let peak = largest(run.columns.get(&self.0), 1.0).map_or(f64::NAN, |(_, v)| v);
        Ok(place.read(&run.columns, &self.0) / peak)
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.0]
    }

    fn has_place(&self) -> bool {
        true
    }
}

impl Measuring for Least {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        Ok(largest(run.columns.get(&self.0), -1.0).map_or(f64::NAN, |(_, v)| v))
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.0]
    }
}
