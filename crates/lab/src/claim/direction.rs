//! Whether a record shows that the direction converges.
//!
//! With v = ln ρ the length of the curve of θ̂ ahead is ∫ x dv of the speed x(v) = ‖dθ̂/dv‖. A fit x ~ v^{−p} over the later
//! half of the record leaves x·v/(p − 1) ahead when p > 1, and no finite length when p ≤ 1: the Mexican hat turns like
//! ln ln ρ, which is p = 1. An exponential decay fits with a large p.

use super::{Verdict, View, judge};
use crate::line::Line;

/// The length ahead at which convergence is said to be shown.
const AHEAD: f64 = 1e-2;
/// Fewest windows of a fit.
const WINDOWS: usize = 8;

/// The line through enough points.
fn line(points: &[(f64, f64)]) -> Option<Line> {
    let line = Line::of(points);
    (points.len() >= WINDOWS && line.slope.is_finite()).then_some(line)
}

/// The verdict of `direction converges`.
pub fn converges(view: &View<'_>) -> Verdict {
    if view.separation().is_none() {
        return Verdict::undecided(judge::NOT_SEPARATED);
    }
    let (ln_rho, speed) = (view.rows.get("ln_rho"), view.rows.get("direction_speed"));
    let late = view.late();
    let Some(&first) = late.first() else { return Verdict::undecided(judge::NOT_SEPARATED) };
    // The first window ends one look after separation. v counts from 1 there: what the exponent says does not depend on
    // the unit of ρ.
    let origin = ln_rho[first] - 1.0;
    let known = late.iter().skip(1).map(|&k| (ln_rho[k] - origin, speed[k]));
    let known: Vec<(f64, f64)> = known.filter(|(v, x)| *v > 1.0 && x.is_finite()).collect();
    let Some(&(end, last)) = known.last() else { return Verdict::undecided("no speed was measured") };
    let half: Vec<(f64, f64)> = known
        .iter()
        .filter(|(v, x)| *v >= 1.0 + (end - 1.0) / 2.0 && *x > 0.0)
        .map(|(v, x)| (v.ln(), x.ln()))
        .collect();
    if known.iter().all(|(_, x)| *x == 0.0) {
        return Verdict::Holds { slack: AHEAD };
    }
    let Some(Line { slope, error, .. }) = line(&half).filter(|_| end >= 2.0) else {
        return Verdict::undecided("too short to fit how the direction slows down");
    };
    let p = -(slope + 2.0 * error);
    if p <= 1.0 {
        return Verdict::undecided(format!(
            "the speed goes like (ln rho)^{slope:.2} (+-{:.2}), too slowly for a finite length; {last:.1e} at the end",
            2.0 * error
        ));
    }
    let typical = half.iter().rev().take(WINDOWS).map(|(_, x)| x.exp()).fold(0.0, f64::max);
    judge::limit(view, "the length ahead by the fitted decay", typical * end / (p - 1.0), AHEAD)
}

/// That the run does not show convergence: violated where it does.
pub fn not_shown(view: &View<'_>) -> Verdict {
    match converges(view) {
        Verdict::Holds { slack } => Verdict::Violated { at: view.rows.last("step"), by: slack },
        _ => Verdict::Holds { slack: 0.0 },
    }
}

/// The slope of ln(path ahead) against ln(limit − smoothed margin), as a number to report.
pub fn kl_exponent(view: &View<'_>) -> Verdict {
    let (path, margin) = (view.rows.get("direction_path"), view.rows.get("smooth_margin"));
    let late = view.late();
    let Some(&last) = late.last() else { return Verdict::undecided(judge::NOT_SEPARATED) };
    // The last look stands for the limit, so the fit keeps to what is at least three times as far from it as the look
    // before it is.
    let ahead = |k: usize| (path[last] - path[k], margin[last] - margin[k]);
    let Some(&before) = late.iter().rev().nth(1) else { return Verdict::undecided("too short for a fit") };
    let (near, close) = ahead(before);
    let far = late.iter().map(|&k| ahead(k)).filter(|(p, m)| *p > 3.0 * near && *m > 3.0 * close && *m > 0.0);
    let points: Vec<(f64, f64)> = far.map(|(p, m)| (m.ln(), p.ln())).collect();
    match line(&points) {
        Some(Line { slope, error, .. }) => Verdict::undecided(format!(
            "a number to report: path ahead ~ (margin ahead)^{slope:.2} (+-{:.2})",
            2.0 * error
        )),
        _ => Verdict::undecided("too short for a fit"),
    }
}
