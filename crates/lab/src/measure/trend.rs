//! How far a column has come: its last known value over its first one.

use serde::Deserialize;

use super::{Measuring, Seen};
use crate::error::Error;
use crate::place::Place;

/// The column of this name.
#[derive(Clone, Debug, Deserialize)]
pub struct Trend(pub String);

impl Measuring for Trend {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        let known: Vec<f64> = run.columns.get(&self.0).iter().copied().filter(|v| v.is_finite()).collect();
        Ok(match (known.first(), known.last()) {
            (Some(first), Some(last)) => last / first,
            _ => f64::NAN,
        })
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.0]
    }
}
