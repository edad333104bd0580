//! Work on a thread of its own, while the calling thread listens to signals and tells how it goes.
//!
//! Python handles signals on its main thread alone, and only where it is asked; a run works on the threads of a pool. So the
//! caller waits without the interpreter's lock, and takes it a few times a second to ask for signals and to call back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latephase_core::probe::Row;
use latephase_lab::Error;
use latephase_lab::progress::{Meter, Reading};
use latephase_lab::stint::Progress;
use latephase_lab::stop::{Status, Stop};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::errors::{internal, message, raised};

/// Between two questions for signals.
const LISTEN_EVERY: Duration = Duration::from_millis(50);
/// Between two calls back.
pub const TELL_EVERY: Duration = Duration::from_millis(100);
/// Bytes of the stack of a worker.
const STACK: usize = 16 << 20;

/// What a worker tells.
pub enum Told {
    /// Where a run stands.
    At(Reading),
    /// A sentence, such as how a run of a sweep has ended.
    Said(String),
}

/// Takes what a worker tells; cloned for every run of a sweep.
#[derive(Clone)]
pub struct Teller(Sender<Told>);

impl Teller {
    /// Says a sentence.
    pub fn say(&self, text: String) {
        // Nobody listens any more: there is nobody to tell.
        let _ = self.0.send(Told::Said(text));
    }

    /// Tells how a search goes, and what part of it is done.
    pub fn search(&self, part: Option<f64>, text: String) {
        let part = part.map(|part| part.min(1.0));
        let _ =
            self.0.send(Told::At(Reading { step: 0, log10_loss: f64::NAN, margin: f64::NAN, part, text }));
    }

    /// Watches a run that ends with `stop`.
    pub fn watch(&self, stop: &Stop) -> Watch {
        Watch { meter: Meter::new(stop, TELL_EVERY), teller: self.clone() }
    }
}

/// Watches a run for the calling thread.
pub struct Watch {
    meter: Meter,
    teller: Teller,
}

impl Progress for Watch {
    fn look(&mut self, row: &Row) {
        self.meter.look(row);
    }

    fn step(&mut self, status: &Status) {
        if let Some(reading) = self.meter.step(status) {
            let _ = self.teller.0.send(Told::At(reading));
        }
    }
}

/// What came of attended work.
pub struct Attended<T> {
    /// What it gave.
    pub value: T,
    /// The signal's exception or the callback's, after which the work was asked to end.
    pub why: Option<PyErr>,
}

impl<T> Attended<T> {
    /// Raises what ended the work early; a `KeyboardInterrupt` says what `saved` says.
    ///
    /// # Errors
    /// That exception.
    pub fn finished(self, py: Python<'_>, saved: impl FnOnce(&T) -> String) -> PyResult<T> {
        match self.why {
            None => Ok(self.value),
            Some(why) if why.is_instance_of::<PyKeyboardInterrupt>(py) => {
                Err(PyKeyboardInterrupt::new_err(saved(&self.value)))
            }
            Some(why) => Err(why),
        }
    }
}

/// Does `work` on another thread, without the interpreter's lock. It is given the switch that asks it to end, which Ctrl-C or an
/// exception of `progress` turns on; `progress` is called with `(step, log10_loss, margin, part, text)`, or with `text` alone as
/// the last of five where a sentence is told.
///
/// # Errors
/// The error or the panic of `work`.
pub fn attended<T: Send + 'static>(
    py: Python<'_>,
    progress: Option<Bound<'_, PyAny>>,
    work: impl FnOnce(&AtomicBool, Teller) -> Result<T, Error> + Send + 'static,
) -> PyResult<Attended<T>> {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = channel();
    let receiver = Mutex::new(receiver);
    let switch = Arc::clone(&stop);
    let body =
        move || catch_unwind(AssertUnwindSafe(|| work(&switch, Teller(sender)))).map_err(|p| message(&*p));
    let worker = std::thread::Builder::new().name("latephase".into()).stack_size(STACK).spawn(body)?;
    let mut why: Option<PyErr> = None;
    loop {
        let told = py.detach(|| {
            let receiver = receiver.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            receiver.recv_timeout(LISTEN_EVERY)
        });
        if why.is_none() {
            let heard = match (&told, &progress) {
                (Ok(told), Some(progress)) => tell(progress, told),
                _ => Ok(()),
            };
            why = heard.and_then(|()| py.check_signals()).err();
            if why.is_some() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        if matches!(told, Err(RecvTimeoutError::Disconnected)) {
            break;
        }
    }
    let ended = py.detach(|| worker.join());
    match ended {
        Ok(Ok(Ok(value))) => Ok(Attended { value, why }),
        // What went wrong while saving matters more than who asked to end.
        Ok(Ok(Err(error))) => Err(raised(py, &error)),
        Ok(Err(said)) => Err(internal(py, &said)),
        Err(payload) => Err(internal(py, &message(&*payload))),
    }
}

fn tell(progress: &Bound<'_, PyAny>, told: &Told) -> PyResult<()> {
    match told {
        Told::At(r) => progress.call1((r.step, r.log10_loss, r.margin, r.part, r.text.as_str()))?,
        Told::Said(text) => {
            progress.call1((Option::<u64>::None, f64::NAN, f64::NAN, Option::<f64>::None, text.as_str()))?
        }
    };
    Ok(())
}
