//! How far a run has come, in words and as a part of the way, for whoever draws it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use latephase_core::probe::Row;

use crate::stint::Progress;
use crate::stop::{Status, Stop};
use crate::summary;
use crate::timeleft::{TimeLeft, duration};

/// Steps between two looks at the clock: a step may take a few microseconds, and `Instant::now` costs some 30 ns.
const STRIDE: u64 = 64;

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Steps taken.
    pub step: u64,
    /// log₁₀ of the loss; NaN before it is known.
    pub log10_loss: f64,
    /// The normalised margin of the last look; NaN where it is not measured.
    pub margin: f64,
    /// The part of the way that is done, from 0 to 1; none where nothing tells how long the way is.
    pub part: Option<f64>,
    /// Loss, margin, speed and time left.
    pub text: String,
}

/// Follows a run and reads off, no more often than asked, where it stands.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use latephase_lab::{progress::Meter, stop::{Status, Stop}};
/// let mut meter = Meter::new(&Stop { steps: Some(10), ..Stop::default() }, Duration::ZERO);
/// let reading = meter.step(&Status::unknown()).expect("a reading a step");
/// assert_eq!((reading.part, reading.text.as_str()), (Some(0.0), "step 0"));
/// ```
pub struct Meter {
    stop: Stop,
    every: Duration,
    started: Instant,
    last: Instant,
    /// Steps since the clock was looked at.
    ticks: u64,
    /// −log₁₀ of the first loss below 1, where the way begins.
    first: Option<f64>,
    first_step: Option<u64>,
    margin: f64,
    decades: TimeLeft,
    steps: TimeLeft,
}

impl Meter {
    /// For a run that ends with `stop`; readings are at least `every` apart.
    pub fn new(stop: &Stop, every: Duration) -> Meter {
        let started = Instant::now();
        Meter {
            stop: stop.clone(),
            every,
            started,
            last: started,
            // The first step looks at the clock.
            ticks: STRIDE - 1,
            first: None,
            first_step: None,
            margin: f64::NAN,
            decades: TimeLeft::curved(),
            steps: TimeLeft::steady(),
        }
    }

    /// A look was written.
    pub fn look(&mut self, row: &Row) {
        self.margin = row.get("margin");
    }

    /// A step was taken; a reading where one is due. Cheap enough to be called after every step.
    pub fn step(&mut self, status: &Status) -> Option<Reading> {
        self.ticks += 1;
        if self.ticks < STRIDE {
            return None;
        }
        let now = Instant::now();
        let since = now.duration_since(self.last);
        // Steps of a second each are shown one by one.
        let slow = since > self.every && self.steps.speed().is_none_or(|speed| speed < 10.0 * STRIDE as f64);
        self.ticks = if slow { STRIDE - 1 } else { 0 };
        let seconds = now.duration_since(self.started).as_secs_f64();
        let u = -status.ln_loss / std::f64::consts::LN_10;
        self.decades.note(seconds, u);
        self.steps.note(seconds, status.step as f64);
        if u > 0.0 && self.first.is_none() {
            self.first = Some(u);
        }
        self.first_step.get_or_insert(status.step);
        if since < self.every {
            return None;
        }
        self.last = now;
        Some(Reading {
            step: status.step,
            log10_loss: -u,
            margin: self.margin,
            part: self.part(status, u),
            text: self.text(status, u),
        })
    }

    /// Loss, margin, speed and time left.
    fn text(&self, status: &Status, u: f64) -> String {
        let mut parts = vec![format!("step {}", status.step)];
        if u.is_finite() {
            parts.push(format!("loss {}", summary::loss(-u)));
        }
        if self.margin.is_finite() {
            parts.push(format!("margin {}", summary::plain(self.margin)));
        }
        let in_decades = self.stop.log10_loss.is_some();
        match (in_decades, self.decades.speed(), self.steps.speed()) {
            (true, Some(speed), _) => parts.push(format!("{} decades/s", short(speed))),
            (_, _, Some(speed)) => parts.push(format!("{} steps/s", short(speed))),
            _ => {}
        }
        parts.extend(self.left());
        parts.join("  ")
    }

    /// The stop that comes first decides; one that cannot be foretold does not.
    fn left(&self) -> Option<String> {
        let loss = self.stop.log10_loss.and_then(|level| self.decades.seconds_to(-level));
        let steps = self.stop.steps.and_then(|n| self.steps.seconds_to(n as f64));
        match (loss, steps) {
            (Some(a), Some(b)) => Some(format!("about {} left", duration(a.min(b)))),
            (Some(a), None) => Some(format!("about {} left", duration(a))),
            // Beside a target that nobody can foretell, the steps are an upper bound.
            (None, Some(b)) if self.stop.has_target() => Some(format!("at most {} left", duration(b))),
            (None, Some(b)) => Some(format!("about {} left", duration(b))),
            (None, None) => None,
        }
    }

    /// The part of the way that is done, in decades of loss, else in steps.
    fn part(&self, status: &Status, u: f64) -> Option<f64> {
        let (from, at, to) = match (self.stop.log10_loss, self.stop.steps) {
            (Some(level), _) => (self.first.unwrap_or(0.0), u, -level),
            (None, Some(steps)) => (self.first_step.unwrap_or(0) as f64, status.step as f64, steps as f64),
            (None, None) => return None,
        };
        // NaN, before the loss is known, is the beginning.
        Some(((at - from) / (to - from)).clamp(0.0, 1.0).max(0.0))
    }
}

/// Passes on to the watcher of the run at hand, which changes from run to run.
pub struct Current<'a, W>(pub &'a Mutex<Option<W>>);

impl<W: Progress> Current<'_, W> {
    fn with(&mut self, tell: impl FnOnce(&mut W)) {
        if let Some(watch) = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).as_mut() {
            tell(watch);
        }
    }
}

impl<W: Progress> Progress for Current<'_, W> {
    fn look(&mut self, row: &Row) {
        self.with(|watch| watch.look(row));
    }

    fn step(&mut self, status: &Status) {
        self.with(|watch| watch.step(status));
    }
}

fn short(speed: f64) -> String {
    match speed {
        s if s >= 100.0 => format!("{s:.0}"),
        s if s >= 1.0 => format!("{s:.1}"),
        s => format!("{s:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(stop: Stop) -> Meter {
        Meter::new(&stop, Duration::ZERO)
    }

    #[test]
    fn the_way_is_counted_in_decades_where_there_is_a_level_and_in_steps_otherwise() {
        let mut status = Status::unknown();
        let mut by_loss = meter(Stop { log10_loss: Some(-100.0), steps: Some(10), ..Stop::default() });
        by_loss.first = Some(20.0);
        assert_eq!(by_loss.part(&status, 60.0), Some(0.5));
        assert_eq!(by_loss.part(&status, f64::NAN), Some(0.0));
        let by_steps = meter(Stop { steps: Some(10), ..Stop::default() });
        status.step = 5;
        assert_eq!(by_steps.part(&status, 60.0), Some(0.5));
        assert_eq!(meter(Stop { ln_rho: Some(9.0), ..Stop::default() }).part(&status, 60.0), None);
    }

    #[test]
    fn the_text_names_step_loss_and_margin_however_small_the_loss() {
        let mut meter = meter(Stop { log10_loss: Some(-1e5), ..Stop::default() });
        meter.margin = 0.25;
        let status = Status { step: 7, ..Status::unknown() };
        assert_eq!(meter.text(&status, 54321.0), "step 7  loss 1.0e-54321  margin 0.25000");
    }

    #[test]
    fn readings_are_no_more_frequent_than_asked() {
        let mut meter =
            Meter::new(&Stop { steps: Some(10_000), ..Stop::default() }, Duration::from_secs(3600));
        let read = |step| meter.step(&Status { step, ..Status::unknown() }).is_some();
        assert_eq!((0..1000).map(read).filter(|due| *due).count(), 0);
    }
}
