//! A column at one place of a run.

use serde::Deserialize;

use super::{Measuring, Seen};
use crate::error::Error;
use crate::place::Place;

/// The column of this name.
#[derive(Clone, Debug, Deserialize)]
pub struct Column(pub String);

impl Measuring for Column {
    fn of(&self, run: &Seen<'_>, place: &Place) -> Result<f64, Error> {
        Ok(place.read(&run.columns, &self.0))
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.0]
    }

    fn has_place(&self) -> bool {
        true
    }
}
