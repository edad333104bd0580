//! Which examples a step sees.

use std::sync::Arc;

use rand::Rng;
use rand::seq::{SliceRandom, index};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::rng::stream;
use crate::{Invalid, RowSet, State};

/// How batches are drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Batches {
    /// The whole training set, every step.
    #[default]
    Full,
    /// A new permutation every epoch, cut into batches; an incomplete last batch is dropped (Lyu & Li 2020).
    Shuffle {
        /// Examples in a batch.
        size: usize,
        /// Seed of the stream `batch`; the run's by default.
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
    },
    /// A uniform subset drawn afresh and independently at every step (Schechtman & Schreuder 2025).
    Fresh {
        /// Examples in a batch.
        size: usize,
        /// Seed of the stream `batch`; the run's by default.
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
    },
}

impl<'de> Deserialize<'de> for Batches {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use crate::catalogue::{quoted, settings, split_kind};
        use serde::de::Error;
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Sized {
            size: usize,
            seed: Option<u64>,
        }
        let value = toml::Value::deserialize(d)?;
        let (kind, table) = split_kind("batch", Self::NAMES, value).map_err(D::Error::custom)?;
        let parsed = match kind.as_str() {
            "full" => settings::<Nothing>(table).map(|_| Batches::Full),
            "shuffle" => settings::<Sized>(table).map(|s| Batches::Shuffle { size: s.size, seed: s.seed }),
            "fresh" => settings::<Sized>(table).map(|s| Batches::Fresh { size: s.size, seed: s.seed }),
            other => Err(format!("@kind@unknown batch `{other}`, expected one of {}", quoted(Self::NAMES))),
        };
        parsed.map_err(D::Error::custom)
    }
}

impl Batches {
    /// The names that a spec may use.
    pub const NAMES: &'static [&'static str] = &["full", "shuffle", "fresh"];

    /// Checks the size against the number of examples.
    ///
    /// # Errors
    /// A size of 0, or beyond the training set.
    pub fn check(&self, n: usize) -> Result<(), Invalid> {
        match self {
            Batches::Shuffle { size, .. } | Batches::Fresh { size, .. } if *size == 0 || *size > n => Err(
                Invalid::new("batch.size", format!("{size} is not between 1 and the {n} training examples")),
            ),
            _ => Ok(()),
        }
    }

    /// The seed of the spec, if it names one, else the run's.
    pub fn seed(&self, run: u64) -> u64 {
        match self {
            Batches::Shuffle { seed: Some(s), .. } | Batches::Fresh { seed: Some(s), .. } => *s,
            _ => run,
        }
    }
}

/// The stream of batches of a run. Draws are numbered, so that a checkpoint keeps two counters.
#[derive(Clone, Debug)]
pub struct BatchStream {
    kind: Batches,
    seed: u64,
    n: usize,
    /// Draws made: permutations of a shuffle, batches when fresh. A go-back does not take it back.
    draws: u64,
    /// Steps into the current epoch.
    position: u64,
    /// The permutation of a shuffle, with its draw.
    order: Option<(u64, Vec<usize>)>,
    /// Memory of batches: those that nobody holds any more are written again.
    rooms: Vec<Arc<Vec<usize>>>,
    /// Room for a draw.
    drawn: Vec<usize>,
}

/// Batches whose memory is kept: the one at hand, the one before it and one to come.
const ROOMS: usize = 3;

impl BatchStream {
    /// The stream over `n` examples.
    pub fn new(kind: Batches, seed: u64, n: usize) -> Self {
        BatchStream {
            kind,
            seed,
            n,
            draws: 0,
            position: 0,
            order: None,
            rooms: Vec::new(),
            drawn: Vec::new(),
        }
    }

    /// Steps in an epoch.
    pub fn per_epoch(&self) -> u64 {
        match self.kind {
            Batches::Full => 1,
            Batches::Shuffle { size, .. } => (self.n / size) as u64,
            Batches::Fresh { size, .. } => self.n.div_ceil(size) as u64,
        }
    }

    /// Whether an epoch has just ended, or none has begun.
    pub fn at_epoch_start(&self) -> bool {
        self.position == 0
    }

    /// The rows of the step at hand.
    pub fn current(&mut self) -> RowSet {
        match self.kind {
            Batches::Full => RowSet::Full,
            Batches::Shuffle { size, .. } => {
                if self.order.as_ref().is_none_or(|(of, _)| *of != self.draws) {
                    self.permute();
                }
                let from = self.position as usize * size;
                let id = self.draws * self.per_epoch() + self.position;
                let own = self.order.as_ref().map_or(&[][..], |(_, order)| &order[from..from + size]);
                RowSet::Batch(id, written(&mut self.rooms, own))
            }
            Batches::Fresh { size, .. } => {
                subset(&mut stream(self.seed, "batch", self.draws), self.n, size, &mut self.drawn);
                RowSet::Batch(self.draws, written(&mut self.rooms, &self.drawn))
            }
        }
    }

    /// Goes on to the next step; true when that ends an epoch.
    pub fn advance(&mut self) -> bool {
        self.position += 1;
        let ended = self.position == self.per_epoch();
        if ended {
            self.position = 0;
        }
        if ended || matches!(self.kind, Batches::Fresh { .. }) {
            self.draws += 1;
        }
        ended
    }

    /// Goes on with new batches from the start of an epoch.
    pub fn restart_epoch(&mut self) {
        if self.position != 0 {
            self.position = 0;
            self.draws += 1;
        }
    }

    fn permute(&mut self) {
        let mut order = self.order.take().map_or_else(Vec::new, |(_, order)| order);
        order.clear();
        order.extend(0..self.n);
        order.shuffle(&mut stream(self.seed, "batch", self.draws));
        self.order = Some((self.draws, order));
    }

    /// Saves the position.
    pub fn save(&self) -> State {
        let mut state = State::default();
        state.put_counts("position", &[self.draws, self.position]);
        state
    }

    /// Loads the position.
    ///
    /// # Errors
    /// When the checkpoint does not fit.
    pub fn load(&mut self, state: &State) -> Result<(), Invalid> {
        [self.draws, self.position] = state.counters("position")?;
        self.order = None;
        Ok(())
    }
}

/// The rows of a batch, in memory that nobody holds any more where there is some.
fn written(rooms: &mut Vec<Arc<Vec<usize>>>, rows: &[usize]) -> Arc<Vec<usize>> {
    let free = rooms.iter_mut().position(|room| Arc::get_mut(room).is_some());
    let mut room = free.map_or_else(Arc::default, |k| rooms.swap_remove(k));
    let batch = Arc::make_mut(&mut room);
    batch.clear();
    batch.extend_from_slice(rows);
    if rooms.len() < ROOMS {
        rooms.push(room.clone());
    }
    room
}

/// A uniform subset of 0 to n − 1 in ascending order: the draws of [`index::sample`], in memory that is used again. Only a
/// small part of half a million examples or more is drawn in fresh memory.
fn subset(rng: &mut ChaCha8Rng, n: usize, size: usize, drawn: &mut Vec<usize>) {
    drawn.clear();
    // The bounds from which on it shuffles the beginning of a list rather than drawing number by number (Floyd).
    let of_size = size as f32;
    let dense = match size {
        0..=11 => false,
        12..=162 => (n as f32) < (10.0 + 1.6 * of_size) * of_size,
        _ => (n as f32) < 270.0 * of_size,
    };
    match u32::try_from(n) {
        Ok(n) if n < 500_000 && dense => {
            drawn.extend(0..n as usize);
            for i in 0..size {
                let j = rng.random_range(i as u32..n);
                drawn.swap(i, j as usize);
            }
            drawn.truncate(size);
        }
        Ok(n) if n < 500_000 && size < 163 => {
            for j in n - size as u32..n {
                let t = rng.random_range(..=j) as usize;
                if let Some(place) = drawn.iter().position(|x| *x == t) {
                    drawn[place] = j as usize;
                }
                drawn.push(t);
            }
        }
        _ => drawn.extend(index::sample(rng, n, size)),
    }
    drawn.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_is_the_one_that_rand_draws() {
        let sizes = [1, 2, 11, 12, 13, 40, 100, 162, 163, 164, 400];
        for n in [1, 12, 50, 163, 1000, 5000, 20_000, 45_000, 60_000, 499_999, 500_000] {
            for size in sizes.into_iter().filter(|s| *s <= n) {
                let (mut ours, mut theirs) = (stream(1, "batch", n as u64), stream(1, "batch", n as u64));
                let mut drawn = vec![7; 3];
                subset(&mut ours, n, size, &mut drawn);
                let mut known = index::sample(&mut theirs, n, size).into_vec();
                known.sort_unstable();
                assert_eq!(drawn, known, "{size} of {n}");
                // And the generator stands at the same place.
                assert_eq!(ours.random::<u64>(), theirs.random::<u64>());
            }
        }
    }

    #[test]
    fn batches_that_are_held_are_not_written_over() {
        for kind in [Batches::Shuffle { size: 7, seed: None }, Batches::Fresh { size: 7, seed: None }] {
            let draw = |keep: bool| {
                let mut stream = BatchStream::new(kind.clone(), 4, 50);
                let mut held = Vec::new();
                let mut seen = Vec::new();
                for _ in 0..40 {
                    let rows = stream.current();
                    let RowSet::Batch(id, batch) = &rows else { panic!("a batch is a batch") };
                    seen.push((*id, batch.to_vec()));
                    held.extend(keep.then(|| rows.clone()));
                    stream.advance();
                }
                for (rows, (id, batch)) in held.iter().zip(&seen) {
                    assert_eq!(*rows, RowSet::Batch(*id, Arc::new(batch.clone())));
                }
                seen
            };
            assert_eq!(draw(true), draw(false));
        }
    }
}
