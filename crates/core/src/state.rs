//! Named arrays: what a stateful part saves into a checkpoint and loads from it.

use std::collections::BTreeMap;

use crate::Invalid;

/// One saved array.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// Floating-point numbers, kept bit by bit.
    F64(Vec<f64>),
    /// Counters, seeds and flags.
    U64(Vec<u64>),
}

/// Saved arrays by name. Names are dotted paths; the order is the names', so that equal states are equal bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The arrays.
    pub arrays: BTreeMap<String, Array>,
}

impl State {
    /// Saves floating-point numbers.
    pub fn put(&mut self, name: &str, values: &[f64]) {
        self.arrays.insert(name.to_owned(), Array::F64(values.to_vec()));
    }

    /// Saves counters.
    pub fn put_counts(&mut self, name: &str, values: &[u64]) {
        self.arrays.insert(name.to_owned(), Array::U64(values.to_vec()));
    }

    /// Loads floating-point numbers.
    ///
    /// # Errors
    /// When there is no such array of numbers.
    pub fn get(&self, name: &str) -> Result<&[f64], Invalid> {
        match self.arrays.get(name) {
            Some(Array::F64(values)) => Ok(values),
            _ => Err(Invalid::new(name, "the checkpoint lacks this array of numbers")),
        }
    }

    /// Loads one floating-point number.
    ///
    /// # Errors
    /// When there is no such array, or it is empty.
    pub fn number(&self, name: &str) -> Result<f64, Invalid> {
        self.get(name)?.first().copied().ok_or_else(|| Invalid::new(name, "the checkpoint's array is empty"))
    }

    /// Loads exactly `N` floating-point numbers.
    ///
    /// # Errors
    /// When there is no such array, or it has another length.
    pub fn numbers<const N: usize>(&self, name: &str) -> Result<[f64; N], Invalid> {
        let found = self.get(name)?;
        found.try_into().map_err(|_| Invalid::new(name, format!("{} numbers, expected {N}", found.len())))
    }

    /// Loads counters.
    ///
    /// # Errors
    /// When there is no such array of counters.
    pub fn counts(&self, name: &str) -> Result<&[u64], Invalid> {
        match self.arrays.get(name) {
            Some(Array::U64(values)) => Ok(values),
            _ => Err(Invalid::new(name, "the checkpoint lacks this array of counters")),
        }
    }

    /// Loads exactly `N` counters.
    ///
    /// # Errors
    /// When there is no such array, or it has another length.
    pub fn counters<const N: usize>(&self, name: &str) -> Result<[u64; N], Invalid> {
        let found = self.counts(name)?;
        found.try_into().map_err(|_| Invalid::new(name, format!("{} counters, expected {N}", found.len())))
    }

    /// Adds another part's arrays under `prefix.`.
    pub fn nest(&mut self, prefix: &str, part: State) {
        for (name, array) in part.arrays {
            self.arrays.insert(format!("{prefix}.{name}"), array);
        }
    }

    /// The arrays under `prefix.`, with the prefix taken off.
    pub fn part(&self, prefix: &str) -> State {
        let prefix = format!("{prefix}.");
        let arrays = self.arrays.iter().filter_map(|(name, array)| {
            name.strip_prefix(&prefix).map(|rest| (rest.to_owned(), array.clone()))
        });
        State { arrays: arrays.collect() }
    }
}
