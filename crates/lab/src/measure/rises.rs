//! Whether a column rises from one level of loss to the next.

use serde::Deserialize;

use super::{Measuring, Seen};
use crate::error::Error;
use crate::place::{Mark, Place};

/// The least factor by which the column grows from one level to the next: above 1 where it strictly increases. NaN unless
/// every level was reached, with a positive value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rises {
    /// The column.
    pub column: String,
    /// Levels of log10 loss, falling.
    pub levels: Vec<f64>,
}

impl Measuring for Rises {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        let read =
            |level: &f64| Place { mark: Mark::Level(*level), hold: false }.read(&run.columns, &self.column);
        let values: Vec<f64> = self.levels.iter().map(read).collect();
        if values.iter().any(|v| v.is_nan() || *v <= 0.0) {
            return Ok(f64::NAN);
        }
        Ok(values.windows(2).map(|pair| pair[1] / pair[0]).fold(f64::INFINITY, f64::min))
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.column]
    }

    fn check(&self) -> Result<(), String> {
        if self.levels.len() < 2 || self.levels.windows(2).any(|pair| !(pair[1] < pair[0])) {
            return Err(format!("rises: {:?} are not falling levels of log10 loss", self.levels));
        }
        Ok(())
    }
}
