//! Live progress on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use latephase_core::probe::Row;
use latephase_lab::stint::Progress;
use latephase_lab::stop::{Status, Stop};
use latephase_lab::summary;

use crate::timeleft::{TimeLeft, duration};

/// Steps between two looks at the clock: a step may take a few microseconds, and `Instant::now` costs some 30 ns.
const STRIDE: u64 = 64;
/// Between two updates of the bar, and of the lines.
const BAR_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Positions of a full bar.
const FULL: u64 = 1000;

/// A watcher for a terminal, for a log, or none.
pub struct Watch {
    stop: Stop,
    show: Show,
    started: Instant,
    last: Instant,
    /// Ticks since the clock was looked at.
    ticks: u64,
    /// −log₁₀ of the first loss below 1, where the bar begins.
    first: Option<f64>,
    first_step: Option<u64>,
    margin: f64,
    decades: TimeLeft,
    steps: TimeLeft,
}

enum Show {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

impl Watch {
    /// Watches a run that ends with `stop`.
    pub fn new(stop: &Stop, quiet: bool) -> Watch {
        let show = if quiet {
            Show::Nothing
        } else if std::io::stderr().is_terminal() {
            Show::Bar(bar(stop))
        } else {
            Show::Lines
        };
        let started = Instant::now();
        Watch {
            stop: stop.clone(),
            show,
            started,
            last: started,
            // The first step is shown at once.
            ticks: STRIDE - 1,
            first: None,
            first_step: None,
            margin: f64::NAN,
            decades: TimeLeft::curved(),
            steps: TimeLeft::steady(),
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Show::Bar(bar) = self.show {
            bar.finish_and_clear();
        }
    }

    fn update(&mut self, status: &Status, now: Instant) {
        let seconds = now.duration_since(self.started).as_secs_f64();
        let u = -status.ln_loss / std::f64::consts::LN_10;
        self.decades.note(seconds, u);
        self.steps.note(seconds, status.step as f64);
        if u > 0.0 && self.first.is_none() {
            self.first = Some(u);
        }
        self.first_step.get_or_insert(status.step);
        let every = match self.show {
            Show::Nothing => return,
            Show::Bar(_) => BAR_EVERY,
            Show::Lines => LINE_EVERY,
        };
        if now.duration_since(self.last) < every {
            return;
        }
        self.last = now;
        let text = self.text(status, u);
        match &self.show {
            Show::Nothing => {}
            Show::Bar(bar) => {
                bar.set_position((self.part(status, u) * FULL as f64) as u64);
                bar.set_message(text);
            }
            // A log that nobody reads any more must not end the run.
            Show::Lines => drop(writeln!(std::io::stderr(), "{text}")),
        }
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
    fn part(&self, status: &Status, u: f64) -> f64 {
        let (from, at, to) = match (self.stop.log10_loss, self.stop.steps) {
            (Some(level), _) => (self.first.unwrap_or(0.0), u, -level),
            (None, Some(steps)) => (self.first_step.unwrap_or(0) as f64, status.step as f64, steps as f64),
            (None, None) => return 0.0,
        };
        // NaN, before the loss is known, is the beginning.
        ((at - from) / (to - from)).clamp(0.0, 1.0).max(0.0)
    }
}

impl Progress for Watch {
    fn look(&mut self, row: &Row) {
        self.margin = row.get("margin");
    }

    fn step(&mut self, status: &Status) {
        self.ticks += 1;
        if self.ticks < STRIDE {
            return;
        }
        let now = Instant::now();
        // Steps of a second each are shown one by one.
        let slow = now.duration_since(self.last) > BAR_EVERY;
        self.ticks =
            if slow && self.steps.speed().is_none_or(|s| s < 10.0 * STRIDE as f64) { STRIDE - 1 } else { 0 };
        self.update(status, now);
    }
}

fn bar(stop: &Stop) -> ProgressBar {
    let has_length = stop.log10_loss.is_some() || stop.steps.is_some();
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let (bar, template) = match has_length {
        true => (ProgressBar::with_draw_target(Some(FULL), target), "{bar:30} {percent:>3} %  {msg}"),
        false => (ProgressBar::with_draw_target(None, target), "{spinner} {elapsed}  {msg}"),
    };
    // The templates above are constants that a test parses; the plain style stands in otherwise.
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
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

    fn watch(stop: Stop) -> Watch {
        Watch::new(&stop, true)
    }

    #[test]
    fn a_bar_counts_decades_where_there_is_a_level_and_steps_otherwise() {
        let mut status = Status::unknown();
        let mut by_loss = watch(Stop { log10_loss: Some(-100.0), steps: Some(10), ..Stop::default() });
        by_loss.first = Some(20.0);
        assert_eq!(by_loss.part(&status, 60.0), 0.5);
        assert_eq!(by_loss.part(&status, f64::NAN), 0.0);
        let by_steps = watch(Stop { steps: Some(10), ..Stop::default() });
        status.step = 5;
        assert_eq!(by_steps.part(&status, 60.0), 0.5);
    }

    #[test]
    fn a_line_names_step_loss_and_margin_however_small_the_loss() {
        let mut watch = watch(Stop { log10_loss: Some(-1e5), ..Stop::default() });
        watch.margin = 0.25;
        let status = Status { step: 7, ..Status::unknown() };
        assert_eq!(watch.text(&status, 54321.0), "step 7  loss 1.0e-54321  margin 0.25000");
    }
}
