//! Which examples of a file become the training and the test set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SourceError;
use super::random::{shuffle, stream};

/// The order in which examples are taken from a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As they stand in the file.
    #[default]
    First,
    /// Shuffled by the source's seed.
    Random,
    /// Shuffled, and then one of each class in turn, as long as there are any: equal shares.
    Balanced,
}

/// A row of a file and the class it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    pub row: usize,
    pub class: u32,
}

impl Order {
    /// Puts the examples in the order in which they are taken.
    pub(super) fn arrange(self, picks: &mut [Pick], seed: u64, name: &str) {
        if self == Order::First {
            return;
        }
        shuffle(&mut stream(seed, name), picks);
        if self == Order::Balanced {
            // The k-th of its class goes to round k.
            let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
            let place = |pick: &Pick| {
                let round = seen.entry(pick.class).or_default();
                *round += 1;
                (*round, pick.class, *pick)
            };
            let mut rounds: Vec<(usize, u32, Pick)> = picks.iter().map(place).collect();
            rounds.sort_by_key(|&(round, class, _)| (round, class));
            picks.iter_mut().zip(rounds).for_each(|(pick, (.., chosen))| *pick = chosen);
        }
    }
}

/// The first `n`, or an error that says how many there are.
pub(super) fn first<'a>(
    picks: &'a [Pick],
    n: usize,
    field: &str,
    classes: &[String],
) -> Result<&'a [Pick], SourceError> {
    picks.get(..n).ok_or_else(|| {
        let message = format!("{n} examples asked for, but there are {} of {}", picks.len(), named(classes));
        SourceError::setting(field, message)
    })
}

/// The first `train` for training; the next `test`, or all the rest, for testing.
pub(super) fn split<'a>(
    picks: &'a [Pick],
    train: usize,
    test: Option<usize>,
    classes: &[String],
) -> Result<(&'a [Pick], &'a [Pick]), SourceError> {
    let head = first(picks, train, "train", classes)?;
    let rest = picks.get(train..).unwrap_or(&[]);
    match test {
        None => Ok((head, rest)),
        Some(m) => match rest.get(..m) {
            Some(tail) => Ok((head, tail)),
            None => {
                let left = rest.len();
                let message = format!(
                    "{m} examples asked for, but {left} of {} are left after {train} for training",
                    named(classes)
                );
                Err(SourceError::setting("test", message))
            }
        },
    }
}

/// The inputs and class indices of the picked rows of a table.
pub(super) fn gather<T: Copy + Into<f64>>(values: &[T], dim: usize, picks: &[Pick]) -> (Vec<f64>, Vec<u32>) {
    let mut inputs = Vec::with_capacity(picks.len() * dim);
    for pick in picks {
        inputs.extend(values[pick.row * dim..(pick.row + 1) * dim].iter().map(|&v| v.into()));
    }
    (inputs, picks.iter().map(|p| p.class).collect())
}

fn named(classes: &[String]) -> String {
    let mut list = classes.iter().take(12).map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
    if classes.len() > 12 {
        list.push_str(", …");
    }
    format!("the {} {list}", if classes.len() == 1 { "class" } else { "classes" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balanced_order_gives_every_class_its_turn_while_it_lasts() {
        let classes = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2];
        let mut picks: Vec<Pick> = (0..10).map(|row| Pick { row, class: classes[row] }).collect();
        Order::Balanced.arrange(&mut picks, 5, "train");
        let order: Vec<u32> = picks.iter().map(|p| p.class).collect();
        assert_eq!(order, [0, 1, 2, 0, 1, 2, 0, 1, 0, 0]);
        let mut rows: Vec<usize> = picks.iter().map(|p| p.row).collect();
        assert!(picks.iter().all(|p| classes[p.row] == p.class));
        rows.sort_unstable();
        assert_eq!(rows, (0..10).collect::<Vec<_>>());
        // Another seed takes other members of the classes.
        let mut others: Vec<Pick> = (0..10).map(|row| Pick { row, class: classes[row] }).collect();
        Order::Balanced.arrange(&mut others, 6, "train");
        assert!(others.iter().zip(&picks).any(|(a, b)| a.row != b.row));
    }
}
