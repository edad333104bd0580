//! The slope of one column against another at the end of a run, by least squares.
//!
//! With logarithms of both it is the power b of y ≈ c·x^b: over the last decades of ln(1/𝓛) a residual that falls like
//! 1/ln(1/𝓛) has slope −1.

use serde::Deserialize;

use super::{Measuring, Seen};
use crate::error::Error;
use crate::line::Line;
use crate::place::Place;

/// The slope of `column` against `against` over the last `decades` of the latter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slope {
    /// The column on the vertical axis.
    pub column: String,
    /// The column on the horizontal axis; `ln(1/L)` is one of them.
    pub against: String,
    /// Whether the logarithm of the size of `column` is taken, whatever its sign; not by default.
    #[serde(default)]
    pub column_log: bool,
    /// Whether the logarithm of `against` is taken; not by default.
    #[serde(default)]
    pub against_log: bool,
    /// The looks at which `against` is above 10^−decades of its last value; all that are known when absent.
    pub decades: Option<f64>,
}

impl Measuring for Slope {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        let (x, y) = (run.columns.series(&self.against), run.columns.series(&self.column));
        let last = x.iter().rev().copied().find(|x| x.is_finite()).unwrap_or(f64::NAN);
        let least = self.decades.map_or(f64::NEG_INFINITY, |d| last * 10f64.powf(-d));
        let scaled = |v: f64| if self.against_log { v.ln() } else { v };
        let points: Vec<(f64, f64)> = x
            .iter()
            .zip(&y)
            .filter(|(x, _)| **x >= least)
            .map(|(x, y)| (scaled(*x), if self.column_log { y.abs().ln() } else { *y }))
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        Ok(Line::of(&points).slope)
    }

    fn columns(&self) -> Vec<&str> {
        vec![&self.column, &self.against]
    }

    fn check(&self) -> Result<(), String> {
        match self.decades {
            Some(d) if !(d > 0.0 && d.is_finite()) => {
                Err(format!("decades = {d} spans nothing; use a positive number"))
            }
            _ => Ok(()),
        }
    }
}
