//! The band that a column stays in at the end of a run.
//!
//! Statements about limits are never violated at a finite step; what a run can show is how much still moves over the last
//! decades.

use serde::Deserialize;

use super::{Measuring, Seen};
use crate::error::Error;
use crate::findings::Columns;
use crate::place::Place;

/// The largest value of `column` over its least in the last `decades` of steps: 1 for what has settled.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// The column.
    pub column: String,
    /// Decades of steps, 1 by default.
    #[serde(default = "one")]
    pub decades: f64,
}

fn one() -> f64 {
    1.0
}

impl Band {
    /// The ratio; NaN with no value, or where the column changes sign.
    fn over(&self, columns: &Columns) -> f64 {
        let (steps, values) = (columns.get("step"), columns.series(&self.column));
        let end = steps.iter().rev().copied().find(|x| x.is_finite()).unwrap_or(f64::NAN);
        // The shift keeps a look at 10⁵ of 10⁶ steps inside, whatever the power rounds to.
        let from = end * 10f64.powf(-self.decades) * (1.0 - 1e-12);
        let late = steps.iter().zip(&values).filter(|(step, v)| **step >= from && v.is_finite());
        let late: Vec<f64> = late.map(|(_, v)| *v).collect();
        let one_sign = late.iter().all(|v| *v > 0.0) || late.iter().all(|v| *v < 0.0);
        let end = |by: fn(f64, f64) -> f64| late.iter().map(|v| v.abs()).reduce(by).unwrap_or(f64::NAN);
        if one_sign { end(f64::max) / end(f64::min) } else { f64::NAN }
    }
}

impl Measuring for Band {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        Ok(self.over(&run.columns))
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.column]
    }

    fn check(&self) -> Result<(), String> {
        if self.decades > 0.0 && self.decades.is_finite() {
            return Ok(());
        }
        Err(format!("decades = {} spans nothing; use a positive number", self.decades))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_is_over_the_last_decades_of_steps_and_of_one_sign() {
        let columns = Columns(vec![
            ("step".into(), vec![0.0, 1.0, 10.0, 100.0, 1000.0]),
            ("power".into(), vec![f64::NAN, 5.0, 7.0, 9.0, 11.0]),
            ("sign".into(), vec![1.0, 1.0, 1.0, -1.0, 1.0]),
        ]);
        let band = |column: &str, decades| Band { column: column.into(), decades }.over(&columns);
        assert_eq!(band("power", 1.0), 11.0 / 9.0);
        assert_eq!(band("power", 2.0), 11.0 / 7.0);
        assert!(band("sign", 1.0).is_nan() && band("nothing", 1.0).is_nan());
        assert_eq!(band("sign", 0.5), 1.0);
        assert!(Band { column: "power".into(), decades: 0.0 }.check().is_err());
    }
}
