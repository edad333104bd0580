//! Measures of how a column ends: its largest value, its slope, the band it stays in.
//!
//! Statements about limits are never violated at a finite step; what a run can show is the trend over the last decades.

use serde::Deserialize;

use crate::findings::Columns;

/// The slope of `column` against `against` over the last `decades` of the latter, by least squares.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slope {
    /// The column on the vertical axis.
    pub column: String,
    /// The column on the horizontal axis.
    pub against: String,
    /// Whether the logarithm of `column` is taken; not by default.
    #[serde(default)]
    pub column_log: bool,
    /// Whether the logarithm of `against` is taken; not by default.
    #[serde(default)]
    pub against_log: bool,
    /// The looks at which `against` is above 10^−decades of its last value; all when absent.
    pub decades: Option<f64>,
}

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

/// The largest known value of a column; NaN where nothing is known.
pub fn peak(columns: &Columns, name: &str) -> f64 {
    let known = columns.get(name).iter().copied().filter(|v| v.is_finite());
    known.reduce(f64::max).unwrap_or(f64::NAN)
}

/// (x, y) at the looks whose x is within the last `decades` and where both are finite.
fn last(x: &[f64], y: &[f64], decades: f64) -> Vec<(f64, f64)> {
    let end = x.iter().rev().copied().find(|x| x.is_finite()).unwrap_or(f64::NAN);
    // The shift keeps a look at 10⁵ of 10⁶ steps inside, whatever the power rounds to.
    let from = end * 10f64.powf(-decades) * (1.0 - 1e-12);
    let pairs = x.iter().copied().zip(y.iter().copied());
    pairs.filter(|(x, y)| *x >= from && x.is_finite() && y.is_finite()).collect()
}

impl Slope {
    /// The slope; NaN with fewer than two looks.
    pub fn of(&self, columns: &Columns) -> f64 {
        let scaled = |v: f64, log: bool| if log { v.ln() } else { v };
        let (x, y) = (columns.get(&self.against), columns.get(&self.column));
        let decades = self.decades.unwrap_or(f64::INFINITY);
        let points: Vec<(f64, f64)> = last(x, y, decades)
            .into_iter()
            .map(|(x, y)| (scaled(x, self.against_log), scaled(y, self.column_log)))
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        let n = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
        let (x, y) = (mean(|p| p.0), mean(|p| p.1));
        let across: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
        let along: f64 = points.iter().map(|p| (p.0 - x) * (p.0 - x)).sum();
        if along > 0.0 { across / along } else { f64::NAN }
    }
}

impl Band {
    /// The ratio; NaN with no value, or where the column changes sign.
    pub fn of(&self, columns: &Columns) -> f64 {
        let points = last(columns.get("step"), columns.get(&self.column), self.decades);
        let ends = |by: fn(f64, f64) -> f64| points.iter().map(|p| p.1.abs()).reduce(by).unwrap_or(f64::NAN);
        let one_sign = points.iter().all(|p| p.1 > 0.0) || points.iter().all(|p| p.1 < 0.0);
        if one_sign { ends(f64::max) / ends(f64::min) } else { f64::NAN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        let step = vec![0.0, 1.0, 10.0, 100.0, 1000.0];
        let power = vec![f64::NAN, 5.0, 7.0, 9.0, 11.0];
        let sign = vec![1.0, 1.0, 1.0, -1.0, 1.0];
        Columns(vec![("step".into(), step), ("power".into(), power), ("sign".into(), sign)])
    }

    #[test]
    fn a_line_in_the_logarithm_has_its_slope_over_any_span() {
        for decades in [None, Some(1.0), Some(2.0), Some(2.5)] {
            let slope = Slope {
                column: "power".into(),
                against: "step".into(),
                column_log: false,
                against_log: true,
                decades,
            };
            let found = slope.of(&columns());
            assert!((found - 2.0 / 10f64.ln()).abs() < 1e-14, "{decades:?}: {found}");
        }
    }

    #[test]
    fn a_band_is_over_the_last_decades_of_steps_and_of_one_sign() {
        let band = |column: &str, decades| Band { column: column.into(), decades }.of(&columns());
        assert_eq!(band("power", 1.0), 11.0 / 9.0);
        assert_eq!(band("power", 2.0), 11.0 / 7.0);
        assert!(band("sign", 1.0).is_nan() && band("nothing", 1.0).is_nan());
        assert_eq!(band("sign", 0.5), 1.0);
        assert_eq!(peak(&columns(), "power"), 11.0);
        assert!(peak(&columns(), "nothing").is_nan());
    }
}
