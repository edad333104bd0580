//! Executable theorems: what a paper says of a run, held against the run.
//!
//! A claim says to what it applies ([`Claim::applies`], from the [`Facts`] of spec and problem) and judges the record of
//! a run ([`Claim::judge`], from a [`View`] of its rows). Four verdicts are possible. *Holds* and *violated* are said only
//! where the error analysis allows it; a run whose assumptions fail is *not applicable*, and one that is too short, or
//! too coarse to tell, is *undecided*.
//!
//! # Tolerances
//! An inequality A ≥ B is violated when A < B − tol_round − tol_step.
//!
//! - tol_round = 64·2⁻⁵³·(1 + L)·(largest term that enters A or B, before cancellation).
//! - tol_step is for statements about the flow, which a run follows in steps. The adaptive flow keeps its local error below
//!   rtol‖θ‖, which moves u = ln(1/𝓛) by at most rtol·ρ‖g‖ a step: a bound from the run alone ([`judge::flow`]), within which a
//!   shortfall is undecided. Every other algorithm needs its [`twin`]: the same run at half the step. tol_step is then twice the difference of the two
//!   shortfalls, so a shortfall that goes away with the step is never a violation, and one that stays is.
//! - Limits are never violated at finite time. They hold to a stated tolerance, or are undecided.
//!
//! A statement whose wording or constants are only recalled is reported as a *recalled form*, and never violated.
//!
//! # Adding a claim
//! One file with a [`Stated`] in the directory of its paper, and one line in that directory's `mod.rs`.

use std::fmt;

use latephase_core::cite::Cite;
use serde::Serialize;
use serde_json::{Value, json};

use crate::findings::Columns;

/// The claims of a paper: a module for each, and the list of them.
macro_rules! claims {
    ($($file:ident),+ $(,)?) => {
        $(mod $file;)+
        pub(super) const LIST: &[&super::Stated] = &[$(&$file::CLAIM),+];
    };
}
use claims;

mod direction;
mod facts;
pub mod judge;
mod not_yet;
mod tail;
pub mod twin;
pub mod user;

mod cai;
mod ji_telgarsky;
mod lyu_li;
mod schechtman;
mod telgarsky;
mod tsilivis;

pub use facts::{Batch, Dynamics, Facts, Shape, Tail};
pub use not_yet::NOT_YET;

/// How strict a statement is, strictest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Holds at every θ or every step, up to rounding: a failure is a bug.
    Identity,
    /// An inequality at every θ, without dynamics: a failure is a bug.
    Static,
    /// About every step of an algorithm, of whatever size: a failure is a bug.
    Step,
    /// An identity of the flow.
    FlowIdentity,
    /// An inequality along the flow.
    FlowInequality,
    /// About the limit: never violated at finite time.
    Limit,
    /// A number to report.
    Diagnostic,
    /// What must not come out.
    Negative,
}

impl Kind {
    /// In words, for tables.
    pub fn text(self) -> &'static str {
        match self {
            Kind::Identity => "identity",
            Kind::Static => "static",
            Kind::Step => "step by step",
            Kind::FlowIdentity => "flow identity",
            Kind::FlowInequality => "flow inequality",
            Kind::Limit => "limit",
            Kind::Diagnostic => "diagnostic",
            Kind::Negative => "negative",
        }
    }
}

/// How sure it is that the statement is the paper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Read in the paper.
    Paper,
    /// Proved from the paper's definitions.
    Derived,
    /// Not confirmed: never presented as the paper's, and never violated.
    Recalled,
    /// The user's own conjecture.
    Own,
}

impl Mark {
    /// In words, for tables.
    pub fn text(self) -> &'static str {
        match self {
            Mark::Paper => "paper",
            Mark::Derived => "derived",
            Mark::Recalled => "recalled form",
            Mark::Own => "own",
        }
    }
}

/// What a claim says of itself.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// `paper/statement`.
    pub id: &'a str,
    /// How strict.
    pub kind: Kind,
    /// How sure.
    pub mark: Mark,
    /// The statement, in a sentence.
    pub says: &'a str,
    /// What is compared, in the symbols of NOTATION.md.
    pub formula: &'a str,
    /// The assumptions, in words.
    pub assumes: &'a str,
    /// The work.
    pub cite: Option<Cite>,
    /// Theorem, lemma or equation.
    pub item: &'a str,
    /// Columns without which nothing can be judged, each with the probe that writes it.
    pub needs: &'a [(&'a str, &'a str)],
}

/// What a run says of a claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds at every look.
    Holds {
        /// The least slack, relative to the largest term; what a limit is within, for limits.
        slack: f64,
    },
    /// It does not.
    Violated {
        /// The step of the worst look.
        at: f64,
        /// By how much, relative to the largest term.
        by: f64,
    },
    /// An assumption fails.
    NotApplicable {
        /// Which.
        why: String,
    },
    /// The run cannot tell.
    Undecided {
        /// Why, and what would.
        why: String,
    },
}

impl Verdict {
    /// Undecided, for this reason.
    pub fn undecided(why: impl Into<String>) -> Self {
        Verdict::Undecided { why: why.into() }
    }

    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Holds { .. } => "holds",
            Verdict::Violated { .. } => "violated",
            Verdict::NotApplicable { .. } => "not-applicable",
            Verdict::Undecided { .. } => "undecided",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Holds { slack } if *slack <= 0.0 => f.write_str("to rounding"),
            Verdict::Holds { slack } => write!(f, "slack {slack:.1e}"),
            Verdict::Violated { at, by } => write!(f, "at step {at} by {by:.1e}"),
            Verdict::NotApplicable { why } | Verdict::Undecided { why } => f.write_str(why),
        }
    }
}

/// The record of a run, for judges.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What is known of the run beside its rows.
    pub facts: &'a Facts,
    /// Its rows.
    pub rows: &'a Columns,
    /// The rows of the run at half the step, where it was made.
    pub twin: Option<&'a Columns>,
}

impl View<'_> {
    /// The first look at which the data are separated: ln 𝓛_sum below ln ℓ(0).
    pub fn separation(&self) -> Option<usize> {
        self.rows.get("ln_loss_sum").iter().position(|&l| l < self.facts.ln_threshold)
    }

    /// Looks after separation that f64 can still tell apart.
    pub fn late(&self) -> Vec<usize> {
        judge::late(self.facts, self.rows)
    }

    /// A column at the last late look, NaN where there is none.
    pub fn at_end(&self, column: &str) -> f64 {
        self.late().last().and_then(|&k| self.rows.get(column).get(k).copied()).unwrap_or(f64::NAN)
    }

    /// Undecided for want of a column that only this run's claim needs; nothing where it was measured.
    pub fn lacks(&self, column: &str, probe: &str) -> Option<Verdict> {
        self.rows.get(column).is_empty().then(|| Verdict::undecided(needs(column, probe)))
    }

    /// The column with cos ∠(θ, velocity of the flow): of the bundle where it is measured, else of one gradient.
    pub fn velocity_beta(&self) -> &'static str {
        let bundle = self.rows.get("beta_bundle");
        if bundle.iter().any(|b| b.is_finite()) { "beta_bundle" } else { "beta" }
    }
}

/// ε/‖θ̃‖ at the end, by the best multipliers that were measured: fitted over the near-support set, over the pieces of a
/// kink where the probe `stationarity` is there, and over the bundle where its radius is below 1e-2.
pub fn kkt_residual(view: &View<'_>) -> f64 {
    let Some(&k) = view.late().last() else { return f64::NAN };
    let of = |column: &str| view.rows.get(column).get(k).copied().unwrap_or(f64::NAN);
    let degree = view.facts.order().unwrap_or(f64::NAN);
    // ‖θ̃‖ = γ̄^{−1/L}.
    let scale = of("margin").powf(1.0 / degree);
    let bundle = if of("kkt_radius") <= 1e-2 { of("kkt_epsilon_bundle") * scale } else { f64::NAN };
    let all = [of("kkt_relative"), of("kkt_epsilon_clarke") * scale, bundle];
    all.into_iter().filter(|r| r.is_finite()).reduce(f64::min).unwrap_or(f64::NAN)
}

/// A statement that runs are held against.
pub trait Claim: Sync {
    /// What it says of itself.
    fn about(&self) -> About<'_>;
    /// Whether its assumptions hold of a run.
    ///
    /// # Errors
    /// The assumption that fails.
    fn applies(&self, facts: &Facts) -> Result<(), String>;
    /// What the run says. Called only where it applies and every needed column is there.
    fn judge(&self, view: &View<'_>) -> Verdict;
}

/// A claim of the catalogue, one for each file.
pub struct Stated {
    /// What it says of itself.
    pub about: About<'static>,
    /// Whether its assumptions hold.
    pub applies: fn(&Facts) -> Result<(), String>,
    /// What the run says.
    pub judge: fn(&View<'_>) -> Verdict,
}

impl Claim for Stated {
    fn about(&self) -> About<'_> {
        self.about
    }

    fn applies(&self, facts: &Facts) -> Result<(), String> {
        (self.applies)(facts)
    }

    fn judge(&self, view: &View<'_>) -> Verdict {
        (self.judge)(view)
    }
}

const PAPERS: &[&[&Stated]] =
    &[lyu_li::LIST, ji_telgarsky::LIST, telgarsky::LIST, cai::LIST, schechtman::LIST, tsilivis::LIST];

/// Every claim, paper by paper.
pub fn all() -> impl Iterator<Item = &'static Stated> {
    PAPERS.iter().copied().flatten().copied()
}

/// The claim of this id.
///
/// # Errors
/// When there is none: names the nearest, or says why it is not yet a claim.
pub fn find(id: &str) -> Result<&'static Stated, String> {
    if let Some(found) = all().find(|c| c.about.id == id) {
        return Ok(found);
    }
    if let Some((_, why)) = NOT_YET.iter().find(|(known, _)| *known == id) {
        return Err(format!("`{id}` is not checked yet: {why}"));
    }
    let ids: Vec<&str> = all().map(|c| c.about.id).collect();
    let nearest = ids.iter().max_by(|a, b| {
        let like = |name: &str| {
            strsim::jaro_winkler(name, id) + strsim::jaro_winkler(last_part(name), last_part(id))
        };
        like(a).total_cmp(&like(b))
    });
    let hint = nearest.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
    Err(format!("there is no claim `{id}`{hint} (`latephase list claims` lists them)"))
}

fn last_part(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// A claim with what a run says of it.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// The claim.
    pub about: About<'a>,
    /// The verdict.
    pub verdict: Verdict,
}

impl Judged<'_> {
    /// As JSON, for `findings.json` and `check --json`.
    pub fn json(&self) -> Value {
        let mut value = json!({
            "id": self.about.id,
            "kind": self.about.kind,
            "mark": self.about.mark,
            "says": self.about.says,
            "formula": self.about.formula,
            "assumes": self.about.assumes,
            "source": self.source(),
            "text": self.verdict.to_string(),
        });
        if let (Value::Object(all), Ok(Value::Object(verdict))) =
            (&mut value, serde_json::to_value(&self.verdict))
        {
            all.extend(verdict);
        }
        value
    }

    /// Who says it, and where.
    pub fn source(&self) -> String {
        let key = self.about.cite.map_or("", |c| c.key);
        match self.about.mark {
            Mark::Paper => format!("{key}, {}", self.about.item),
            Mark::Own => self.about.item.to_owned(),
            Mark::Derived => format!("derived from {key}, {}", self.about.item),
            Mark::Recalled => format!("recalled form of {key}, {}", self.about.item),
        }
    }
}

/// Holds one claim against a run.
pub fn judge_one<'a>(claim: &'a dyn Claim, view: &View<'_>) -> Judged<'a> {
    let about = claim.about();
    let verdict = match claim.applies(view.facts) {
        Err(why) => Verdict::NotApplicable { why },
        Ok(()) => match missing(&about, view) {
            Some(why) => Verdict::Undecided { why },
            None => claim.judge(view),
        },
    };
    let verdict = match verdict {
        Verdict::Violated { at, by } if about.mark == Mark::Recalled || about.kind == Kind::Limit => {
            Verdict::undecided(format!(
                "falls short by {by:.1e} at step {at}, in a form that decides nothing"
            ))
        }
        verdict => verdict,
    };
    Judged { about, verdict }
}

/// Why nothing can be judged, where a needed column was not measured.
fn missing(about: &About<'_>, view: &View<'_>) -> Option<String> {
    if view.rows.get("step").is_empty() {
        return Some("the run has no rows".into());
    }
    let absent = about.needs.iter().find(|(column, _)| view.rows.get(column).is_empty())?;
    Some(needs(absent.0, absent.1))
}

fn needs(column: &str, probe: &str) -> String {
    format!("needs the column {column}: add the probe `{probe}`")
}

/// Holds every claim against a run.
pub fn judge_all(view: &View<'_>) -> Vec<Judged<'static>> {
    all().map(|claim| judge_one(claim, view)).collect()
}

/// How many of each verdict.
pub fn tally(judged: &[Judged<'_>]) -> String {
    let count = |word: &str| judged.iter().filter(|j| j.verdict.word() == word).count();
    format!(
        "{} hold, {} violated, {} undecided, {} not applicable",
        count("holds"),
        count("violated"),
        count("undecided"),
        count("not-applicable")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_none_is_both_a_claim_and_not_yet() {
        let mut ids: Vec<&str> = all().map(|c| c.about.id).chain(NOT_YET.iter().map(|(id, _)| *id)).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn an_unknown_id_names_the_nearest_and_one_not_yet_checked_says_why() {
        let text = find("lyu-li/smooth-margin-monotone").err().expect("no such claim");
        assert!(text.contains("did you mean `lyu-li/smoothed-margin-monotone`"), "{text}");
        let (id, why) = NOT_YET[0];
        assert!(find(id).err().expect("not yet").contains(why));
    }
}
