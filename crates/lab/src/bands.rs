//! Curves of several runs as one: the mean, in a band from the least to the largest.
//!
//! Runs of different seeds look at different steps, so each is interpolated on a grid that they share: linear between
//! looks, in ln x where the axis is logarithmic, and only where every run is defined.

use crate::findings::Columns;
use crate::report::Trace;

/// Points of the common grid.
const GRID: usize = 200;
/// Before separation ln(1/𝓛) is negative and has no place on a logarithmic axis.
const LATE: f64 = 0.5;

/// What every caption of a figure with bands says.
pub const SAYS: &str = "Line: mean over seeds; band: from the least to the largest seed.";

/// The horizontal axis of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Across {
    /// A column, or `ln(1/L)`.
    pub column: String,
    /// Whether it is logarithmic.
    pub log: bool,
}

impl Across {
    /// The axis of a column; logarithmic for what grows over decades, unless said otherwise.
    pub fn of(column: &str, log: Option<bool>) -> Across {
        let grows = [Columns::DECAY, "step", "epoch", "evaluations"].contains(&column);
        Across { column: column.to_owned(), log: log.unwrap_or(grows) }
    }

    fn admits(&self, x: f64) -> bool {
        let least = if self.column == Columns::DECAY { LATE } else { 0.0 };
        x.is_finite() && (!self.log || x > least)
    }
}

/// One column of the runs of a group, as a curve: the curve itself for one run, mean and band for several.
pub fn trace(name: &str, runs: &[Columns], across: &Across, column: &str) -> Trace {
    let curves: Vec<Vec<(f64, f64)>> = runs.iter().map(|run| points(run, across, column)).collect();
    let mut trace = Trace { name: name.to_owned(), ..Trace::default() };
    if let [one] = curves.as_slice() {
        (trace.x, trace.y) = one.iter().copied().unzip();
        return trace;
    }
    let curves: Vec<Vec<(f64, f64)>> = curves.iter().map(|c| forward(c)).collect();
    for x in grid(&curves, across.log) {
        let values: Vec<f64> = curves.iter().map(|c| value_at(c, x, across.log)).collect();
        let known = values.iter().all(|v| v.is_finite());
        let fold =
            |f: fn(f64, f64) -> f64| values.iter().copied().reduce(f).filter(|_| known).unwrap_or(f64::NAN);
        trace.x.push(x);
        trace.y.push(if known { crate::seeds::Spread::of(&values).mean } else { f64::NAN });
        trace.low.push(fold(f64::min));
        trace.high.push(fold(f64::max));
    }
    trace
}

/// The looks of a run that have a place on the axis. Of several runs a curve has to be a function of x.
fn points(run: &Columns, across: &Across, column: &str) -> Vec<(f64, f64)> {
    let (x, y) = (run.series(&across.column), run.series(column));
    x.into_iter().zip(y).filter(|(x, _)| across.admits(*x)).collect()
}

/// The looks at which x is further than ever before, in the direction in which it goes from first to last.
fn forward(curve: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let (Some(first), Some(last)) = (curve.first(), curve.last()) else { return Vec::new() };
    let sign = if last.0 < first.0 { -1.0 } else { 1.0 };
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for point in curve {
        match kept.last_mut() {
            // Of several looks at one x the last has seen the most.
            Some(end) if point.0 == end.0 => *end = *point,
            Some(end) if sign * point.0 < sign * end.0 => {}
            _ => kept.push(*point),
        }
    }
    if sign < 0.0 {
        kept.reverse();
    }
    kept
}

/// The grid over the stretch that all curves, ascending in x, cover; empty where there is none.
fn grid(curves: &[Vec<(f64, f64)>], log: bool) -> Vec<f64> {
    let mut stretch = (f64::NEG_INFINITY, f64::INFINITY);
    for curve in curves {
        let (Some(first), Some(last)) = (curve.first(), curve.last()) else { return Vec::new() };
        stretch = (stretch.0.max(first.0), stretch.1.min(last.0));
    }
    let (low, high) = stretch;
    if !(low < high && low.is_finite() && high.is_finite()) {
        return Vec::new();
    }
    let at = |k: usize| {
        let part = k as f64 / (GRID - 1) as f64;
        let x = if log { low * (high / low).powf(part) } else { low + part * (high - low) };
        // Rounding must not leave the stretch.
        x.clamp(low, high)
    };
    (0..GRID).map(at).collect()
}

/// A curve, ascending in x, at x: linear between looks; NaN beside a gap.
fn value_at(curve: &[(f64, f64)], x: f64, log: bool) -> f64 {
    let k = curve.partition_point(|p| p.0 < x);
    match (k.checked_sub(1).and_then(|k| curve.get(k)), curve.get(k)) {
        (_, Some((at, y))) if *at == x => *y,
        (Some(a), Some(b)) => {
            let place = |x: f64| if log { x.ln() } else { x };
            let part = (place(x) - place(a.0)) / (place(b.0) - place(a.0));
            a.1 + part * (b.1 - a.1)
        }
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(x: &[f64], y: impl Fn(f64) -> f64) -> Columns {
        let values = x.iter().map(|x| y(*x)).collect();
        Columns(vec![("step".into(), x.to_vec()), ("y".into(), values)])
    }

    fn steps() -> Across {
        Across::of("step", None)
    }

    // A function linear in ln x is interpolated exactly, up to rounding.
    #[test]
    fn runs_that_look_at_different_steps_meet_on_a_grid() {
        let y = |c: f64| move |x: f64| c + x.ln();
        let runs = [
            run(&[0.0, 1.0, 10.0, 1000.0], y(0.0)),
            run(&[2.0, 7.0, 100.0, 400.0], y(1.0)),
            run(&[1.0, 3.0, 500.0], y(-4.0)),
        ];
        let band = trace("a", &runs, &steps(), "y");
        assert_eq!((band.x[0], band.x[GRID - 1]), (2.0, 400.0), "only where all are defined");
        for (k, x) in band.x.iter().enumerate() {
            for (found, expected) in
                [(band.y[k], x.ln() - 1.0), (band.low[k], x.ln() - 4.0), (band.high[k], x.ln() + 1.0)]
            {
                assert!((found - expected).abs() < 1e-12, "at {x}: {found} for {expected}");
            }
        }
        let ratio = band.x[1] / band.x[0];
        assert!(
            band.x.windows(2).all(|w| (w[1] / w[0] / ratio - 1.0).abs() < 1e-10),
            "even on a logarithmic axis"
        );
    }

    #[test]
    fn one_run_is_its_own_curve_without_a_band() {
        let one = trace("a", &[run(&[0.0, 1.0, 2.0], |x| x * x)], &steps(), "y");
        assert_eq!(
            (one.x, one.y),
            (vec![1.0, 2.0], vec![1.0, 4.0]),
            "step 0 has no place on a logarithmic axis"
        );
        assert!(one.low.is_empty() && one.high.is_empty());
        let linear = trace("a", &[run(&[0.0, 1.0], |x| x)], &Across::of("step", Some(false)), "y");
        assert_eq!(linear.x, [0.0, 1.0]);
    }

    #[test]
    fn a_gap_in_one_run_is_a_gap_of_the_band() {
        let gap = |x: f64| if (10.0..100.0).contains(&x) { f64::NAN } else { x };
        let x: Vec<f64> = (1..=1000).map(f64::from).collect();
        let band = trace("a", &[run(&x, gap), run(&x, |x| x)], &steps(), "y");
        for (x, y) in band.x.iter().zip(&band.y) {
            assert_eq!(y.is_nan(), *x > 9.0 && *x < 100.0, "at {x}: {y}");
        }
    }

    #[test]
    fn an_axis_that_falls_or_goes_back_is_read_where_it_goes_on() {
        let falls = run(&[5.0, 3.0, 4.0, 1.0], |x| 10.0 * x);
        let linear = Across::of("step", Some(false));
        let band = trace("a", &[falls.clone(), falls], &linear, "y");
        assert_eq!((band.x[0], band.x[GRID - 1]), (1.0, 5.0));
        assert!(band.x.iter().zip(&band.y).all(|(x, y)| (y - 10.0 * x).abs() < 1e-12));
    }

    #[test]
    fn runs_without_a_common_stretch_have_no_band() {
        let apart = [run(&[1.0, 2.0], |x| x), run(&[3.0, 4.0], |x| x)];
        assert!(trace("a", &apart, &steps(), "y").x.is_empty());
        assert!(trace("a", &[run(&[1.0, 2.0], |x| x), run(&[], |x| x)], &steps(), "y").x.is_empty());
        assert!(trace("a", &[], &steps(), "y").x.is_empty());
    }
}
