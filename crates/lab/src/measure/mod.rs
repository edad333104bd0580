//! What can be measured of a run, or of two: one file and one line add a measure.
//!
//! In a recipe a measure is `{ name = settings }`: `{ column = "margin" }`, `{ first-step = { column =
//! "train_accuracy", at_least = 1.0 } }`.

use std::path::Path;

use serde::Deserialize;

use crate::error::Error;
use crate::findings::Columns;
use crate::place::Place;

mod band;
mod claim;
mod column;
mod cosine;
mod decrease;
mod direction_error;
mod extreme;
mod first_step;
mod gain;
mod rises;
mod slope;
mod trend;

pub use band::Band;
pub use claim::ClaimIs;
pub use column::Column;
pub use cosine::Cosine;
pub use decrease::Decrease;
pub use direction_error::DirectionError;
pub use extreme::{Least, OfPeak, Peak, PeakStep};
pub use first_step::FirstStep;
pub use gain::Gain;
pub use rises::Rises;
pub use slope::Slope;
pub use trend::Trend;

/// A run directory with its rows.
pub struct Seen<'a> {
    /// Where it stands.
    pub dir: &'a Path,
    /// Its rows.
    pub columns: Columns,
}

impl Seen<'_> {
    /// Reads the rows of a run directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(dir: &Path) -> Result<Seen<'_>, Error> {
        Ok(Seen { dir, columns: Columns::read(dir)? })
    }
}

/// One number about a run.
pub trait Measuring {
    /// The number; NaN where it is not known.
    ///
    /// # Errors
    /// When a file of the run cannot be read.
    fn of(&self, run: &Seen<'_>, place: &Place) -> Result<f64, Error>;

    /// The number about this run and another; the ratio of both by default.
    ///
    /// # Errors
    /// When a file of the runs cannot be read.
    fn of_two(&self, run: &Seen<'_>, other: &Seen<'_>, place: &Place) -> Result<f64, Error> {
        Ok(self.of(run, place)? / self.of(other, place)?)
    }

    /// The columns that it reads, for finding slips before anything runs.
    fn columns(&self) -> Vec<&str> {
        Vec::new()
    }

    /// What is wrong with its settings.
    ///
    /// # Errors
    /// Settings that measure nothing.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// What a value of it is called, where a number says less than a word.
    fn told(&self, _value: f64) -> Option<String> {
        None
    }

    /// Whether it is read at one place of the run, and so may be given one.
    fn has_place(&self) -> bool {
        false
    }

    /// Whether it is about two runs and needs `against`.
    fn needs_two(&self) -> bool {
        false
    }
}

macro_rules! measures {
    ($($(#[doc = $doc:literal])+ $name:literal => $ty:ident,)+) => {
        /// What is measured.
        #[derive(Clone, Debug, Deserialize)]
        pub enum Measure {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $ty($ty),)+
        }

        impl Measure {
            /// The names, in order.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// What does the measuring.
            pub fn part(&self) -> &dyn Measuring {
                match self { $(Measure::$ty(part) => part,)+ }
            }
        }
    };
}

#[cfg(test)]
mod tests;

measures! {
    /// A column, at the place.
    "column" => Column,
    /// The last value of a column over its first one.
    "trend" => Trend,
    /// What a column gains after separation, up to the place.
    "gain" => Gain,
    /// The least factor by which a column grows from one level of loss to the next.
    "rises" => Rises,
    /// The largest relative decrease of a column between looks after separation.
    "decrease" => Decrease,
    /// The largest value of a column.
    "peak" => Peak,
    /// The step at which a column is largest.
    "peak-step" => PeakStep,
    /// A column, at the place, over its largest value.
    "of-peak" => OfPeak,
    /// The least value of a column.
    "least" => Least,
    /// The first look at which a column passes a value, as its step.
    "first-step" => FirstStep,
    /// The slope of one column against another at the end.
    "slope" => Slope,
    /// Largest over least value of a column over the last decades of steps.
    "band" => Band,
    /// Whether a claim has the verdict that is expected: 1 or 0.
    "claim" => ClaimIs,
    /// The cosine between the θ of two runs, at the place.
    "cosine" => Cosine,
    /// The distance of the direction of θ from the exact one.
    "direction-error" => DirectionError,
}
