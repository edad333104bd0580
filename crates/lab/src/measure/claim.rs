//! Whether a claim has the verdict that is expected.

use serde::Deserialize;

use super::{Measuring, Seen};
use crate::claim::find;
use crate::error::Error;
use crate::findings::{listed, read};
use crate::place::Place;

/// The verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// It holds.
    #[default]
    Holds,
    /// It is violated.
    Violated,
    /// It does not apply.
    NotApplicable,
    /// The run cannot tell.
    Undecided,
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Word::Holds => "holds",
            Word::Violated => "violated",
            Word::NotApplicable => "not-applicable",
            Word::Undecided => "undecided",
        }
    }
}

/// 1 where the run has the verdict `is` (`holds` by default) on the claim `id`, 0 where it has another. A claim that was
/// expected to hold and is undecided is not known: NaN.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimIs {
    /// The claim.
    pub id: String,
    /// The verdict.
    #[serde(default)]
    pub is: Word,
}

impl Measuring for ClaimIs {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        let findings = read(run.dir);
        let verdict = listed(&findings, "claims")
            .iter()
            .find(|c| c["id"] == self.id.as_str())
            .and_then(|c| c["verdict"].as_str());
        Ok(match verdict {
            None => f64::NAN,
            Some(word) if word == self.is.text() => 1.0,
            Some("undecided") if self.is == Word::Holds => f64::NAN,
            Some(_) => 0.0,
        })
    }

    fn told(&self, value: f64) -> Option<String> {
        let word = self.is.text().replace('-', " ");
        Some(match value {
            1.0 => word,
            0.0 => format!("not {word}"),
            v if v.is_nan() => "undecided".into(),
            share => format!("{word} in a share of {share:.2}"),
        })
    }

    fn check(&self) -> Result<(), String> {
        find(&self.id).map(|_| ())
    }
}
