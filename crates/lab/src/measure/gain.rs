//! How much a column gains after the data are separated.

use serde::Deserialize;

use super::{Measuring, Seen};
use crate::error::Error;
use crate::findings::separation;
use crate::place::Place;
use crate::stint::read_spec;

/// The column's value at the place minus its value at the first look that finds the data separated.
#[derive(Clone, Debug, Deserialize)]
pub struct Gain(pub String);

impl Measuring for Gain {
    fn of(&self, run: &Seen<'_>, place: &Place) -> Result<f64, Error> {
        let from = separation(&run.columns, &read_spec(run.dir)?);
        let first = from.and_then(|k| run.columns.get(&self.0).get(k).copied());
        Ok(place.read(&run.columns, &self.0) - first.unwrap_or(f64::NAN))
    }

    fn has_place(&self) -> bool {
        true
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.0]
    }
}
