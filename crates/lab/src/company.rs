//! What many runs share: their data, and the threads of a worker.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::build::{Built, build_on};
use crate::error::Error;
use crate::source::{Loaded, Lookup, Source};
use crate::spec::Spec;

/// Data sets that are remembered: runs that differ in more than that differ in their data.
const REMEMBERED: usize = 4;

/// Data that have been loaded, by source and seed.
#[derive(Debug, Default)]
pub struct Data {
    loaded: Mutex<Vec<(Source, Loaded)>>,
}

impl Data {
    /// The run of a spec, on data that runs before it have loaded where they are the same.
    ///
    /// # Errors
    /// As [`build`](crate::build::build).
    pub fn build(&self, spec: &Spec, lookup: &Lookup) -> Result<Built, Error> {
        let source = spec.data.resolved(spec.seed);
        let known = self.lock().iter().find(|(known, _)| *known == source).map(|(_, loaded)| loaded.clone());
        let loaded = match known {
            Some(loaded) => loaded,
            None => {
                let loaded = source.load(spec.seed, lookup).map_err(Error::from)?;
                let mut all = self.lock();
                if all.len() == REMEMBERED {
                    all.remove(0);
                }
                all.push((source, loaded.clone()));
                loaded
            }
        };
        build_on(loaded, spec, lookup)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Source, Loaded)>> {
        self.loaded.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Works through 0 to `count` − 1 on `workers` threads, each with a pool of `inside` threads of its own and the next number when it
/// is free: an idle worker of one common pool would begin a second run inside the first. Results in order.
///
/// # Errors
/// When the system gives no threads.
///
/// # Panics
/// With the panic of `work`.
pub fn share<T: Send>(
    count: usize,
    workers: usize,
    inside: usize,
    work: impl Fn(usize, &ThreadPool) -> T + Sync,
) -> Result<Vec<T>, Error> {
    let pools = (0..workers).map(|_| pool(Some(inside))).collect::<Result<Vec<_>, _>>()?;
    let next = AtomicUsize::new(0);
    let (next, work) = (&next, &work);
    let mut all: Vec<(usize, T)> = std::thread::scope(|scope| {
        let one = |pool| {
            let mine = move || {
                let numbers = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
                numbers.take_while(|k| *k < count).map(|k| (k, work(k, pool))).collect::<Vec<_>>()
            };
            scope.spawn(mine)
        };
        let begun: Vec<_> = pools.iter().map(one).collect();
        begun.into_iter().flat_map(|w| w.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    all.sort_by_key(|(k, _)| *k);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}

/// A pool of `threads` threads; all cores when absent.
///
/// # Errors
/// When the system gives none.
pub fn pool(threads: Option<usize>) -> Result<ThreadPool, Error> {
    let pool = ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    pool.map_err(|e| Error::usage(format!("cannot start the threads: {e}")))
}
