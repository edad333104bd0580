//! Live progress on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use latephase_core::probe::Row;
use latephase_lab::progress::{Meter, Reading};
use latephase_lab::stint::Progress;
use latephase_lab::stop::{Status, Stop};

/// Between two updates of the bar, and of the lines.
const BAR_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Positions of a full bar.
const FULL: u64 = 1000;

/// A watcher for a terminal, for a log, or none.
pub struct Watch {
    show: Show,
    meter: Meter,
}

enum Show {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

impl Watch {
    /// Watches a run that ends with `stop`.
    pub fn new(stop: &Stop, quiet: bool) -> Watch {
        let (show, every) = if quiet {
            (Show::Nothing, LINE_EVERY)
        } else if std::io::stderr().is_terminal() {
            (Show::Bar(bar(stop)), BAR_EVERY)
        } else {
            (Show::Lines, LINE_EVERY)
        };
        Watch { show, meter: Meter::new(stop, every) }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Show::Bar(bar) = self.show {
            bar.finish_and_clear();
        }
    }

    fn show(&self, reading: Reading) {
        match &self.show {
            Show::Nothing => {}
            Show::Bar(bar) => {
                bar.set_position((reading.part.unwrap_or(0.0) * FULL as f64) as u64);
                bar.set_message(reading.text);
            }
            // A log that nobody reads any more must not end the run.
            Show::Lines => drop(writeln!(std::io::stderr(), "{}", reading.text)),
        }
    }
}

impl Progress for Watch {
    fn look(&mut self, row: &Row) {
        self.meter.look(row);
    }

    fn step(&mut self, status: &Status) {
        if matches!(self.show, Show::Nothing) {
            return;
        }
        if let Some(reading) = self.meter.step(status) {
            self.show(reading);
        }
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
