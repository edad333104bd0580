//! Which examples a step sees.

use std::sync::Arc;

use rand::seq::{SliceRandom, index};
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
    order: Option<(u64, Arc<Vec<usize>>)>,
}

impl BatchStream {
    /// The stream over `n` examples.
    pub fn new(kind: Batches, seed: u64, n: usize) -> Self {
        BatchStream { kind, seed, n, draws: 0, position: 0, order: None }
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
                if self.position == 0 && self.order.as_ref().is_none_or(|(of, _)| *of != self.draws) {
                    self.order = Some((self.draws, Arc::new(self.permutation(self.draws))));
                }
                let order = match &self.order {
                    Some((_, order)) => order.clone(),
                    None => Arc::new(self.permutation(self.draws)),
                };
                let from = self.position as usize * size;
                let id = self.draws * self.per_epoch() + self.position;
                RowSet::Batch(id, Arc::new(order[from..from + size].to_vec()))
            }
            Batches::Fresh { size, .. } => {
                let mut rng = stream(self.seed, "batch", self.draws);
                let mut indices = index::sample(&mut rng, self.n, size).into_vec();
                indices.sort_unstable();
                RowSet::Batch(self.draws, Arc::new(indices))
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

    fn permutation(&self, draw: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.n).collect();
        order.shuffle(&mut stream(self.seed, "batch", draw));
        order
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
        self.order = Some((self.draws, Arc::new(self.permutation(self.draws))));
        Ok(())
    }
}
