//! A run in memory: nothing is written, and the spec may hold parts made in code.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use latephase_core::State;
use latephase_core::probe::Row;

use crate::build::{Built, build};
use crate::claim::Facts;
use crate::company;
use crate::error::Error;
use crate::findings::Columns;
use crate::outcome::Outcome;
use crate::run::{Sink, Tick};
use crate::source::Lookup;
use crate::spec::Spec;
use crate::stop::Status;
use crate::sweep::thread_count;

/// What is left of a run in memory.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// What claims want to know of it.
    pub facts: Facts,
    /// Its rows.
    pub rows: Columns,
    /// How it ended.
    pub outcome: Outcome,
}

/// Runs a spec in memory, until its end or until `stop` is set.
///
/// # Errors
/// What is wrong with the spec.
///
/// # Examples
/// ```
/// # use std::sync::atomic::AtomicBool;
/// use latephase_lab::{Spec, memory, source::Lookup};
/// let text = "data = 'two-points'\nmodel = 'linear'\nloss = 'exponential'\nalgorithm = 'flow'\nstop = { log10_loss = -20 }";
/// let spec = Spec::parse(text, "spec", &[])?;
/// let run = memory::run(&spec, &Lookup::from_env(), &AtomicBool::new(false))?;
/// assert!(run.rows.last("log10_loss") <= -20.0);
/// # Ok::<(), latephase_lab::Error>(())
/// ```
pub fn run(spec: &Spec, lookup: &Lookup, stop: &AtomicBool) -> Result<Remembered, Error> {
    remembered(spec, &mut build(spec, lookup)?, stop)
}

/// Runs many specs in memory, each on one thread and as many at a time as there are threads; they share what data they have in
/// common. The runs are those of [`run`], to the last byte.
///
/// # Errors
/// When there are no threads to be had. What is wrong with a spec stands in its place.
///
/// # Examples
/// ```
/// # use std::sync::atomic::AtomicBool;
/// use latephase_lab::{Spec, memory, source::Lookup};
/// let text = "data = 'two-points'\nmodel = 'linear'\nloss = 'exponential'\nalgorithm = 'flow'\nstop = { log10_loss = -20 }";
/// let spec = Spec::parse(text, "spec", &[])?;
/// let specs: Vec<Spec> = (0..10).map(|seed| Spec { seed, ..spec.clone() }).collect();
/// let runs = memory::run_many(&specs, &Lookup::from_env(), None, &AtomicBool::new(false))?;
/// assert!(runs.iter().all(|run| run.as_ref().is_ok_and(|run| run.outcome.is_reached())));
/// # Ok::<(), latephase_lab::Error>(())
/// ```
pub fn run_many(
    specs: &[Spec],
    lookup: &Lookup,
    threads: Option<usize>,
    stop: &AtomicBool,
) -> Result<Vec<Result<Remembered, Error>>, Error> {
    let workers = thread_count(threads).min(specs.len()).max(1);
    let data = company::Data::default();
    company::share(specs.len(), workers, 1, |k, pool| {
        let spec = &specs[k];
        pool.install(|| {
            let mut built = data.build(spec, lookup).map_err(|e| spec.locate(e))?;
            remembered(spec, &mut built, stop)
        })
    })
}

fn remembered(spec: &Spec, built: &mut Built, stop: &AtomicBool) -> Result<Remembered, Error> {
    let (rows, outcome) = drive(built, &|| stop.load(Ordering::Relaxed))?;
    let facts = Facts::of_built(spec, built).with_record(&rows);
    Ok(Remembered { facts, rows, outcome })
}

/// Runs what has been built, until its end or until `over` says so.
///
/// # Errors
/// None that a run in memory has.
pub fn drive(built: &mut Built, over: &dyn Fn() -> bool) -> Result<(Columns, Outcome), Error> {
    let columns = built.columns.iter().map(|name| (name.clone(), Vec::new())).collect();
    let mut rows = Rows { columns: Columns(columns), over };
    let outcome = built.run.go(&mut rows)?;
    Ok((rows.columns, outcome))
}

struct Rows<'a> {
    columns: Columns,
    over: &'a dyn Fn() -> bool,
}

impl Sink for Rows<'_> {
    fn row(&mut self, row: &Row) -> Result<ControlFlow<()>, Error> {
        for ((_, values), (_, value)) in self.columns.0.iter_mut().zip(&row.cells) {
            values.push(*value);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn tick(&mut self, _: &Status) -> Tick {
        if (self.over)() { Tick::Stop("asked to stop".into()) } else { Tick::Continue }
    }

    fn checkpoint(&mut self, _: State) -> Result<(), Error> {
        Ok(())
    }

    fn keep(&mut self, _: f64, _: &[f64]) -> Result<(), Error> {
        Ok(())
    }
}
