//! When a column first passes a value: the step of the first look at which it has.

use serde::Deserialize;

use super::{Measuring, Seen};
use crate::error::Error;
use crate::place::Place;

/// The step of the first look with `column` ≥ `at_least`, or ≤ `at_most`. It is as exact as the looks are dense.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstStep {
    /// The column.
    pub column: String,
    /// Passed from below.
    pub at_least: Option<f64>,
    /// Passed from above.
    pub at_most: Option<f64>,
}

impl Measuring for FirstStep {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        let passed = |v: &f64| {
            self.at_least.is_none_or(|least| *v >= least) && self.at_most.is_none_or(|most| *v <= most)
        };
        let look = run.columns.get(&self.column).iter().position(passed);
        Ok(look.and_then(|k| run.columns.get("step").get(k)).copied().unwrap_or(f64::NAN))
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.column]
    }

    fn check(&self) -> Result<(), String> {
        match (self.at_least, self.at_most) {
            (None, None) => Err("first-step needs `at_least` or `at_most`".into()),
            _ => Ok(()),
        }
    }
}
