//! Claims of one's own: a TOML file says what, of which runs, and over which columns.
//!
//! ```toml
//! [claim]
//! id = "sign-descent-raises-l2-margin"
//! says = "sign descent never lowers the l2 margin after separation"
//! of = "steps"                            # or "flow": then a hit has to survive at smaller steps
//! [claim.when]
//! norm = "linf"
//! homogeneous = true
//! [claim.check]
//! kind = "monotone"                       # monotone, limit, order, slope or bound
//! column = "margin"
//! from = "separation"
//! tolerance = 1e-9
//! ```

mod check;
mod look;
mod when;

use std::path::Path;

use latephase_core::Invalid;
use serde::Deserialize;

pub use check::{Bound, Check, Direction, Judged, Limit, Monotone, Order, Slope, Statement};
pub use look::{From, Where};
pub use when::{Names, Parts, PhaseParts, When};

use super::twin::STAYS;
use super::{About, Claim, Dynamics, Facts, Kind, Mark, Verdict, View};
use crate::error::Error;
use crate::spec::{Complaint, Origin, choices, line_column};

/// What a claim speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// The steps that are taken, however long they are.
    #[default]
    Steps,
    /// The flow that small steps follow: a violation has to survive at smaller ones.
    Flow,
}

/// A claim of one's own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserClaim {
    /// Its id, in kebab-case.
    pub id: String,
    /// What it says, in a sentence.
    pub says: String,
    /// The formula, where there is one.
    #[serde(default)]
    pub formula: String,
    /// Where it comes from.
    #[serde(default)]
    pub source: String,
    /// `steps` (default) or `flow`.
    #[serde(default)]
    pub of: Of,
    /// The runs that it is about.
    #[serde(default)]
    pub when: When,
    /// What it says of their columns.
    pub check: Check,
    /// The text that it was read from.
    #[serde(skip)]
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    claim: UserClaim,
}

impl UserClaim {
    /// Reads a claim from a file.
    ///
    /// # Errors
    /// A file that cannot be read; otherwise as [`UserClaim::parse`].
    pub fn read(path: &Path, columns: &[String]) -> Result<UserClaim, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
        UserClaim::parse(&text, &path.display().to_string(), columns)
    }

    /// Reads a claim from its text; `file` is what messages call it, `columns` are those that runs can have.
    ///
    /// # Errors
    /// What is wrong with it, at its line and column: a key or a name that is not there, with the nearest one; a column
    /// that no probe writes, with all that there are.
    pub fn parse(text: &str, file: &str, columns: &[String]) -> Result<UserClaim, Error> {
        let table: toml::Table = toml::from_str(text).map_err(|e| {
            let place = line_column(text, e.span().map_or(0, |span| span.start));
            Error::spec(format!("{file}:{place}"), e.message().lines().collect::<Vec<_>>().join("; "))
        })?;
        let origin = Origin::new(file, text, Vec::new());
        let mut track = serde_path_to_error::Track::new();
        let deserializer = serde_path_to_error::Deserializer::new(toml::Value::Table(table), &mut track);
        let parsed = File::deserialize(deserializer).map_err(|e| {
            let path = track.path().to_string();
            origin.complain(Complaint::of(if path == "." { "" } else { &path }, e.message()))
        })?;
        let mut claim = UserClaim { text: text.to_owned(), ..parsed.claim };
        if claim.formula.is_empty() {
            claim.formula = claim.check.says.to_string();
        }
        claim.check(columns).map_err(|invalid| origin.error(&invalid))?;
        Ok(claim)
    }

    fn check(&self, columns: &[String]) -> Result<(), Invalid> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.');
        if self.id.is_empty() || !self.id.chars().all(plain) {
            let text =
                format!("{:?} is no id; use letters, digits and `-`, as in \"my-conjecture\"", self.id);
            return Err(Invalid::new("claim.id", text));
        }
        let at = |table: &str, field: String| match field.as_str() {
            "" => format!("claim.{table}"),
            field => format!("claim.{table}.{field}"),
        };
        self.when.check().map_err(|(field, text)| Invalid::new(at("when", field), text))?;
        self.check.check().map_err(|(field, text)| Invalid::new(at("check", field), text))?;
        let unknown = self.check.columns().into_iter().find(|c| columns.iter().all(|known| known != c));
        match unknown {
            None => Ok(()),
            Some(unknown) => {
                let text =
                    format!("no probe writes the column `{unknown}`{}", choices(unknown, &shown(columns)));
                Err(Invalid::new(at("check", self.check.field_of(unknown)), text))
            }
        }
    }
}

/// The columns without those of the rarer norms, which are named like the others.
fn shown(columns: &[String]) -> Vec<&String> {
    let rare = ["_l3", "_nuclear", "_spectral", "_frobenius_max"];
    columns.iter().filter(|c| rare.iter().all(|end| !c.ends_with(end))).collect()
}

impl Claim for UserClaim {
    fn about(&self) -> About<'_> {
        About {
            id: &self.id,
            kind: match self.of {
                Of::Steps => Kind::Step,
                Of::Flow => Kind::FlowInequality,
            },
            mark: Mark::Own,
            says: &self.says,
            formula: &self.formula,
            assumes: "",
            cite: None,
            item: &self.source,
            needs: &[],
        }
    }

    fn applies(&self, facts: &Facts) -> Result<(), String> {
        if self.of == Of::Flow {
            facts.flow_norm()?;
        }
        self.when.admits(&facts.parts, &facts.degree)
    }

    fn judge(&self, view: &View<'_>) -> Verdict {
        let judged = |rows| self.check.judge(rows, view.facts.ln_threshold);
        let (row, by) = match judged(view.rows) {
            Judged::Holds { slack } => return Verdict::Holds { slack },
            Judged::Undecided { why } => return Verdict::Undecided { why },
            Judged::Violated { row, by } => (row, by),
        };
        let at = view.rows.get("step").get(row).copied().unwrap_or(f64::NAN);
        let is_flow = matches!(view.facts.dynamics(), Some(Dynamics::Flow { .. }));
        match (self.of, view.twin.map(judged)) {
            (Of::Flow, Some(Judged::Violated { by: finer, .. })) if finer >= STAYS * by => {}
            (Of::Flow, Some(_)) => {
                return Verdict::undecided(format!(
                    "falls short by {by:.1e} at step {at}, less at half the step"
                ));
            }
            (Of::Flow, None) if !is_flow => {
                return Verdict::undecided(format!(
                    "falls short by {by:.1e} at step {at}; half the step has to tell: `check --twin`"
                ));
            }
            _ => {}
        }
        Verdict::Violated { at, by }
    }
}
