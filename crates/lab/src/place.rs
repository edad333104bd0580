//! Where in a run a column is read: at the end, at a level of loss, at a step or an epoch.

use serde::Deserialize;

use crate::findings::Columns;

/// The keys of a place, as an expectation or a table has them.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct PlaceKeys {
    /// At this level of log10 loss.
    pub at: Option<f64>,
    /// At this step.
    pub at_step: Option<f64>,
    /// At this epoch.
    pub at_epoch: Option<f64>,
    /// A run that ended before keeps its last value.
    pub hold: bool,
}

/// Where a column is read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// The mark on the way.
    pub mark: Mark,
    /// Whether a run that never got there is read at its end; it is not known otherwise.
    pub hold: bool,
}

/// A mark on the way of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Mark {
    /// The last look.
    #[default]
    End,
    /// Where log10 of the loss first passes a level; linear in ln(1/𝓛) between looks.
    Level(f64),
    /// At a value of the column `step` or `epoch`; linear between looks.
    Count(&'static str, f64),
}

impl PlaceKeys {
    /// The place.
    ///
    /// # Errors
    /// Two marks at once; a count below 0; `hold` without a mark.
    pub fn place(&self) -> Result<Place, String> {
        let count = |name, key, value: Option<f64>| match value {
            Some(v) if !(v >= 0.0 && v.is_finite()) => Err(format!("{key} = {v} is before the start")),
            Some(v) => Ok(Some(Mark::Count(name, v))),
            None => Ok(None),
        };
        let level = match self.at {
            Some(level) if !level.is_finite() => Err(format!("at = {level} is no level of log10_loss")),
            level => Ok(level.map(Mark::Level)),
        };
        let marks =
            [level?, count("step", "at_step", self.at_step)?, count("epoch", "at_epoch", self.at_epoch)?];
        let mut marks = marks.into_iter().flatten();
        match (marks.next(), marks.next()) {
            (Some(_), Some(_)) => Err("give one of `at`, `at_step` and `at_epoch`".into()),
            (None, _) if self.hold => Err("`hold` needs `at`, `at_step` or `at_epoch`".into()),
            (mark, _) => Ok(Place { mark: mark.unwrap_or_default(), hold: self.hold }),
        }
    }
}

impl Place {
    /// The level of log10 loss, where the place is one.
    pub fn level(&self) -> Option<f64> {
        match self.mark {
            Mark::Level(level) => Some(level),
            _ => None,
        }
    }

    /// A column there; NaN where the run never got there or the column was not measured.
    pub fn read(&self, columns: &Columns, name: &str) -> f64 {
        let found = match self.mark {
            Mark::End => Some(columns.last(name)),
            Mark::Level(level) => {
                let passed = columns.get("log10_loss").iter().any(|&l| l <= level);
                passed.then(|| columns.at_level(name, level))
            }
            Mark::Count(count, at) => between(columns.get(count), columns.get(name), at),
        };
        match found {
            None if self.hold => columns.last(name),
            found => found.unwrap_or(f64::NAN),
        }
    }
}

/// `values` where the ascending `counts` pass `at`, linear between; none where they never do.
fn between(counts: &[f64], values: &[f64], at: f64) -> Option<f64> {
    let k = counts.iter().position(|&c| c >= at)?;
    let value = |k: usize| values.get(k).copied().unwrap_or(f64::NAN);
    if counts[k] == at {
        // Several looks at one count: the last of them has seen the most.
        let last = counts.iter().rposition(|&c| c == at).unwrap_or(k);
        return Some(value(last));
    }
    let Some(before) = k.checked_sub(1) else { return Some(f64::NAN) };
    let part = (at - counts[before]) / (counts[k] - counts[before]);
    Some(value(before) + part * (value(k) - value(before)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Columns {
        let column = |name: &str, values: [f64; 4]| (name.to_owned(), values.to_vec());
        Columns(vec![
            column("step", [0.0, 10.0, 30.0, 40.0]),
            column("epoch", [0.0, 1.0, 3.0, 4.0]),
            column("log10_loss", [0.5, -1.0, -2.0, -4.0]),
            column("margin", [f64::NAN, 1.0, 2.0, 5.0]),
        ])
    }

    fn at(keys: PlaceKeys) -> f64 {
        keys.place().expect("a place").read(&run(), "margin")
    }

    #[test]
    fn a_column_is_read_at_the_end_at_a_level_at_a_step_and_at_an_epoch() {
        assert_eq!(at(PlaceKeys::default()), 5.0);
        assert_eq!(at(PlaceKeys { at: Some(-3.0), ..Default::default() }), 3.5);
        assert_eq!(at(PlaceKeys { at_step: Some(30.0), ..Default::default() }), 2.0);
        assert_eq!(at(PlaceKeys { at_step: Some(15.0), ..Default::default() }), 1.25);
        assert_eq!(at(PlaceKeys { at_epoch: Some(3.5), ..Default::default() }), 3.5);
        assert!(
            at(PlaceKeys { at_step: Some(5.0), ..Default::default() }).is_nan(),
            "beside what is not known"
        );
    }

    #[test]
    fn a_run_that_ended_before_is_not_known_there_unless_its_end_holds() {
        for keys in [
            PlaceKeys { at_step: Some(41.0), ..Default::default() },
            PlaceKeys { at: Some(-5.0), ..Default::default() },
        ] {
            assert!(at(keys).is_nan());
            assert_eq!(at(PlaceKeys { hold: true, ..keys }), 5.0);
        }
        // To hold is of the end, not of a gap on the way.
        assert!(at(PlaceKeys { at_step: Some(5.0), hold: true, ..Default::default() }).is_nan());
    }

    #[test]
    fn two_marks_and_marks_that_are_none_are_refused() {
        for keys in [
            PlaceKeys { at: Some(-1.0), at_step: Some(3.0), ..Default::default() },
            PlaceKeys { at_step: Some(-3.0), ..Default::default() },
            PlaceKeys { at: Some(f64::NAN), ..Default::default() },
            PlaceKeys { hold: true, ..Default::default() },
        ] {
            assert!(keys.place().is_err(), "{keys:?}");
        }
    }
}
