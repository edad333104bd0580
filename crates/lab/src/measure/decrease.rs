//! The largest relative decrease of a column between looks, after the data are separated.

use serde::Deserialize;

use super::{Measuring, Seen};
use crate::error::Error;
use crate::findings::{largest_relative_decrease, separation};
use crate::place::Place;
use crate::stint::read_spec;

/// The column of this name; 0 where it never falls.
#[derive(Clone, Debug, Deserialize)]
pub struct Decrease(pub String);

impl Measuring for Decrease {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        let from = separation(&run.columns, &read_spec(run.dir)?);
        Ok(from.map_or(f64::NAN, |from| largest_relative_decrease(run.columns.get(&self.0), from)))
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.0]
    }
}
