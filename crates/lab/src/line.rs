//! Least-squares lines.

/// y = height + slope·(x − middle).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    /// Mean of the abscissae.
    pub middle: f64,
    /// Mean of the ordinates.
    pub height: f64,
    /// NaN where all points share one abscissa, or there are none.
    pub slope: f64,
    /// Standard error of the slope; NaN of fewer than three points.
    pub error: f64,
}

impl Line {
    /// The line nearest to the points.
    pub fn of(points: &[(f64, f64)]) -> Line {
        let n = points.len() as f64;
        let middle = points.iter().map(|p| p.0).sum::<f64>() / n;
        let height = points.iter().map(|p| p.1).sum::<f64>() / n;
        let along: f64 = points.iter().map(|p| (p.0 - middle).powi(2)).sum();
        let across: f64 = points.iter().map(|p| (p.0 - middle) * (p.1 - height)).sum();
        let slope = if along > 0.0 { across / along } else { f64::NAN };
        let rest: f64 = points.iter().map(|p| (p.1 - height - slope * (p.0 - middle)).powi(2)).sum();
        let error = if n > 2.0 { (rest / (n - 2.0) / along).sqrt() } else { f64::NAN };
        Line { middle, height, slope, error }
    }
}
