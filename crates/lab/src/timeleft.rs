//! How long a run still takes, from how it has gone.
//!
//! Let u = −log₁₀ 𝓛. How fast u grows depends on the pace and on how far the run has come: with a fixed decrease a
//! step u is linear in time; with steps scaled by 1/𝓛 on a model of degree L, du/dt grows like u^(2−2/L); with a
//! constant step length u is close to ln t and slows down all the way. All of these are, locally, a power law
//!
//! > du/dt = c·u^q,
//!
//! a straight line of slope q in ln u against ln(du/dt). So c and q are fitted to the recent past, and the time to the
//! target is the integral ∫ du/(c u^q). Where that leaves the range in which an extrapolation means something, nothing
//! is said: no number is better than a wrong one.

/// Samples kept before every other one is dropped.
const KEPT: usize = 256;
/// Samples in the window, and seconds of age, below which nothing is said: a run's first moments are not like the rest.
const FEWEST: usize = 8;
const YOUNGEST: f64 = 2.0;
/// How much of a change of ln u it takes for q to be believed: with less, noise in the speed is all there is, and q
/// leans towards 0, a constant speed.
const LEVER: f64 = 0.05;
/// The steepest laws that are believed. Above 2, u would blow up in finite time faster than any degree makes it.
const POWERS: (f64, f64) = (-4.0, 2.0);
/// Times the stint's age beyond which an estimate is only a guess.
const FARTHEST: f64 = 1000.0;

/// Recent progress of one quantity that grows towards a target.
#[derive(Clone, Debug)]
pub struct TimeLeft {
    /// (seconds, u), with u increasing.
    samples: Vec<(f64, f64)>,
    /// Seconds between samples.
    spacing: f64,
    /// Whether q is fitted, or 0 (a count of steps).
    curved: bool,
}

impl TimeLeft {
    /// For a quantity whose speed changes as it grows: u = −log₁₀ 𝓛.
    pub fn curved() -> TimeLeft {
        TimeLeft { samples: Vec::new(), spacing: 0.05, curved: true }
    }

    /// For a count whose parts take equally long: steps.
    pub fn steady() -> TimeLeft {
        TimeLeft { curved: false, ..TimeLeft::curved() }
    }

    /// Takes note of u at `seconds`. A u that is not above all before it (a loss that rose) is left out.
    pub fn note(&mut self, seconds: f64, u: f64) {
        let Some(&(before, most)) = self.samples.last() else {
            if u > 0.0 && u.is_finite() {
                self.samples.push((seconds, u));
            }
            return;
        };
        if !(u > most && u.is_finite()) || seconds < before + self.spacing {
            return;
        }
        self.samples.push((seconds, u));
        if self.samples.len() == KEPT {
            let mut odd = false;
            self.samples.retain(|_| {
                odd = !odd;
                odd
            });
            self.spacing *= 2.0;
        }
    }

    /// The later half of the stint: long enough to see a trend, short enough to forget the beginning.
    fn window(&self) -> &[(f64, f64)] {
        let (Some(&(first, _)), Some(&(last, _))) = (self.samples.first(), self.samples.last()) else {
            return &[];
        };
        let half = first + 0.5 * (last - first);
        let start = self.samples.partition_point(|&(t, _)| t < half);
        &self.samples[start..]
    }

    /// du/dt over the window.
    pub fn speed(&self) -> Option<f64> {
        let window = self.window();
        match (window.first(), window.last()) {
            (Some(&(t0, u0)), Some(&(t1, u1))) if t1 > t0 => Some((u1 - u0) / (t1 - t0)),
            _ => None,
        }
    }

    /// Seconds until u reaches `target`; none where the past does not tell.
    pub fn seconds_to(&self, target: f64) -> Option<f64> {
        let window = self.window();
        if window.len() < FEWEST {
            return None;
        }
        let ((t0, u0), (t2, u2)) = (*window.first()?, *window.last()?);
        let (t1, u1) = window[window.len() / 2];
        if target <= u2 {
            return Some(0.0);
        }
        // The mean speed over an interval stands for that at its geometric middle: for equal ratios of u, the factor
        // between the two is the same on both sides and drops out of q.
        let (early, late) = ((u1 - u0) / (t1 - t0), (u2 - u1) / (t2 - t1));
        let (early_at, late_at) = ((u0 * u1).sqrt(), (u1 * u2).sqrt());
        let q = match self.curved {
            true => {
                let (x, y) = ((late_at / early_at).ln(), (late / early).ln());
                (x * y / (x * x + LEVER * LEVER)).clamp(POWERS.0, POWERS.1)
            }
            false => 0.0,
        };
        let c = integral(u1, u2, q) / (t2 - t1);
        let left = integral(u2, target, q) / c;
        let age = t2 - self.samples.first()?.0;
        (left.is_finite() && age >= YOUNGEST && left <= FARTHEST * age).then_some(left)
    }
}

/// ∫ u^(−q) du from a to b.
fn integral(a: f64, b: f64, q: f64) -> f64 {
    let p = 1.0 - q;
    if p.abs() < 1e-6 {
        return (b / a).ln();
    }
    (b.powf(p) - a.powf(p)) / p
}

/// Seconds for people: `40 s`, `3 min`, `2.5 h`, `4 days`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows u(t) until `until` and asks for the time to u(`target`).
    fn estimate(mut left: TimeLeft, u: impl Fn(f64) -> f64, until: f64, target: f64) -> f64 {
        let mut t = 0.0;
        while t <= until {
            left.note(t, u(t));
            t += 0.02;
        }
        left.seconds_to(u(target)).expect("enough samples")
    }

    // The fit sees the law only through mean speeds of finite intervals: a few per cent.
    #[test]
    fn a_law_that_is_linear_in_time_is_extrapolated() {
        let left = estimate(TimeLeft::curved(), |t| 3.0 + 2.0 * t, 20.0, 100.0);
        assert!((left - 80.0).abs() < 1.0, "{left}");
    }

    #[test]
    fn a_law_that_is_exponential_in_time_is_extrapolated() {
        let left = estimate(TimeLeft::curved(), |t| (0.3 * t).exp(), 20.0, 30.0);
        assert!((left - 10.0).abs() < 0.5, "{left}");
    }

    #[test]
    fn a_law_that_slows_down_like_a_root_is_extrapolated() {
        let left = estimate(TimeLeft::curved(), |t| (1.0 + t).sqrt(), 20.0, 60.0);
        assert!((left - 40.0).abs() < 2.0, "{left}");
    }

    #[test]
    fn counts_are_extrapolated_by_their_recent_speed() {
        // Slow at first: the early samples are outside the window.
        let steps = |t: f64| if t < 5.0 { 1.0 + t } else { 6.0 + 100.0 * (t - 5.0) };
        let left = estimate(TimeLeft::steady(), steps, 40.0, 50.0);
        // The last sample is up to a spacing old.
        assert!((left - 10.0).abs() < 0.5, "{left}");
    }

    #[test]
    fn without_progress_nothing_is_said() {
        let mut left = TimeLeft::curved();
        assert_eq!(left.seconds_to(1.0), None);
        for k in 0..1000 {
            left.note(f64::from(k), 2.0);
        }
        assert_eq!(left.seconds_to(3.0), None);
        left.note(2000.0, f64::NAN);
        left.note(2001.0, f64::INFINITY);
        assert_eq!(left.seconds_to(3.0), None);
    }

    #[test]
    fn a_logarithm_of_time_is_too_far_to_tell() {
        let mut left = TimeLeft::curved();
        for k in 0..2000 {
            let t = 0.02 * f64::from(k);
            left.note(t, (2.0 + 1000.0 * t).log10());
        }
        assert_eq!(left.seconds_to(1000.0), None);
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(12.4), "12 s");
        assert_eq!(duration(600.0), "10 min");
        assert_eq!(duration(9000.0), "2.5 h");
        assert_eq!(duration(864_000.0), "10 days");
    }
}
