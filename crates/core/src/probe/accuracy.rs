//! Share of examples classified correctly.

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::Cite;

/// `train_accuracy` and, with a test set, `test_accuracy` (NaN without), in [0, 1]; ties count as wrong.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {}

impl Probe for Accuracy {
    fn begin(&mut self, _context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        Ok(vec!["train_accuracy".into(), "test_accuracy".into()])
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let problem = at.problem;
        row.put("train_accuracy", problem.accuracy(&at.full.outputs, problem.train.labels()));
        let test = at.test_outputs().zip(problem.test.as_ref());
        row.put("test_accuracy", test.map_or(f64::NAN, |(out, test)| problem.accuracy(out, test.labels())));
    }
}

impl Entry for Accuracy {
    const ABOUT: &'static str = "train and test accuracy";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[];
}
