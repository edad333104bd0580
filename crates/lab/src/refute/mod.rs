//! Searching for a run that violates a claim.
//!
//! Proposals are small runs within the claim's assumptions: random ones, awkward ones, and changes of those that came
//! nearest to a violation. Each is run in memory and judged. A hit counts when it survives
//!
//! 1. at half and at a quarter of the step, where the claim is about the flow that steps follow; and
//! 2. in double-double, by a [`twin`] that shares no code with the core.
//!
//! Then it is shrunk: fewer points, layers, neurons, dimensions and steps, rounder numbers, for as long as it counts.
//!
//! # Properties
//! The seed determines the order of the proposals and what becomes of each, on any number of threads; the budget
//! determines how many there are.

pub mod candidate;
mod columns;
pub mod dd;
mod point;
mod propose;
mod shrink;
mod trial;
pub mod twin;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde_json::{Value, json};

use crate::claim::user::{Statement, UserClaim};
use crate::claim::{self, Claim, Kind, Mark};
use crate::error::Error;
use crate::stint::pretty;
use crate::store::write_whole;
use candidate::Candidate;
use propose::{Class, Proposer};
use trial::{Judge, Tried};

pub use columns::columns;

/// Proposals between two looks at the clock.
const BATCH: usize = 32;
/// How many of the nearest runs are kept for changes.
const POOL: usize = 24;
/// Time for shrinking, where the budget leaves less.
const SHRINK: Duration = Duration::from_secs(20);
/// How many hits are shrunk.
const SHRUNK: usize = 6;
/// A violation may shrink to this part of itself along with the run.
const SHRINKS_TO: f64 = 0.2;

/// Conjectures that are part of the program: name and text.
pub const CONJECTURES: &[(&str, &str)] = &[
    ("gd-any-step-monotone", include_str!("../../../../conjectures/gd-any-step-monotone.toml")),
    (
        "sign-descent-raises-l2-margin",
        include_str!("../../../../conjectures/sign-descent-raises-l2-margin.toml"),
    ),
    (
        "every-kkt-point-is-local-maximum",
        include_str!("../../../../conjectures/every-kkt-point-is-local-maximum.toml"),
    ),
];

/// What is to be refuted.
pub enum Target {
    /// A claim of the catalogue.
    Stated(&'static claim::Stated),
    /// A claim of one's own.
    Own(Box<UserClaim>),
}

impl Target {
    /// A file that ends in `.toml`, a conjecture of the program, or the id of a claim.
    ///
    /// # Errors
    /// A file that is wrong; a name that is not there, with the nearest one; a claim that no finite run can violate.
    pub fn find(name: &str) -> Result<Target, Error> {
        if name.ends_with(".toml") {
            return Ok(Target::Own(Box::new(UserClaim::read(Path::new(name), &columns())?)));
        }
        if let Some((id, text)) = CONJECTURES.iter().find(|(id, _)| *id == name) {
            let file = format!("conjectures/{id}.toml");
            return Ok(Target::Own(Box::new(UserClaim::parse(text, &file, &columns())?)));
        }
        let near = CONJECTURES.iter().map(|(id, _)| *id);
        let near = near.map(|id| (strsim::jaro_winkler(id, name), id)).max_by(|a, b| a.0.total_cmp(&b.0));
        let found = claim::find(name).map_err(|text| match near {
            Some((likeness, id)) if likeness > 0.85 => {
                Error::usage(format!("there is no conjecture `{name}`; did you mean `{id}`?"))
            }
            _ => Error::usage(text),
        })?;
        let target = Target::Stated(found);
        let about = target.claim().about();
        let why = match (about.kind, about.mark) {
            (Kind::Limit, _) => "is about a limit, which no finite run violates",
            (Kind::Diagnostic, _) => "is a number to report, which nothing violates",
            (Kind::Negative, _) => "is about what must not come out of one construction",
            (_, Mark::Recalled) => "is only a recalled form, which is never called violated",
            _ => return Ok(target),
        };
        Err(Error::usage(format!("`{name}` {why}; there is nothing to search for")))
    }

    /// The claim.
    pub fn claim(&self) -> &dyn Claim {
        match self {
            Target::Stated(claim) => *claim,
            Target::Own(claim) => claim.as_ref(),
        }
    }

    /// The columns without which it cannot be judged and which the twin in double-double does not write: a hit cannot be
    /// confirmed where there is one.
    pub fn beyond_the_twin(&self) -> Vec<String> {
        let needed: Vec<&str> = match self {
            Target::Stated(claim) => claim.about.needs.iter().map(|(column, _)| *column).collect(),
            Target::Own(claim) => claim.check.columns(),
        };
        let known = |c: &&str| twin::COLUMNS.contains(c) || twin::POINT_COLUMNS.contains(c);
        needed.into_iter().filter(|c| !known(c)).map(str::to_owned).collect()
    }

    /// Whether it is about the neighbourhood of a limit, which only late runs get to.
    fn is_late(&self) -> bool {
        let limit = matches!(self, Target::Own(claim) if matches!(claim.check.says, Statement::Limit(_)));
        limit || self.probes().iter().any(|p| matches!(*p, "kkt" | "stationarity"))
    }

    fn probes(&self) -> Vec<&'static str> {
        match self {
            Target::Stated(claim) => {
                let needed: Vec<&'static str> = claim.about.needs.iter().map(|(_, probe)| *probe).collect();
                let mut probes = vec!["margin", "alignment"];
                needed.into_iter().for_each(|p| {
                    if !probes.contains(&p) {
                        probes.push(p)
                    }
                });
                probes
            }
            Target::Own(claim) => columns::probes(claim.check.columns().into_iter()),
        }
    }
}

/// How long, from which seed, and who is told.
pub struct Search<'a> {
    /// Wall-clock budget of the search.
    pub budget: Duration,
    /// Seed of the proposals.
    pub seed: u64,
    /// Set from outside to end.
    pub stop: &'a AtomicBool,
    /// Told now and then.
    pub progress: &'a mut dyn FnMut(&Standing),
}

/// Where a search stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Part of the budget that is used.
    pub part: f64,
    /// Runs that were judged.
    pub tried: u64,
    /// The least slack so far; infinity where none is known.
    pub slack: f64,
    /// Hits that did not survive.
    pub doubtful: u64,
    /// Changes kept while shrinking, once there is a violation.
    pub shrunk: Option<u64>,
}

/// A violation that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The run.
    pub candidate: Candidate,
    /// Its step.
    pub at: f64,
    /// By how much, in the unit of the claim's tolerance.
    pub by: f64,
    /// Its spec.
    pub spec: String,
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The violation, shrunk.
    pub found: Option<Found>,
    /// Runs that the claim is about.
    pub tried: u64,
    /// Those of them that decided it, one way or the other.
    pub decided: u64,
    /// Hits that did not survive, and why the last one did not.
    pub doubtful: u64,
    /// Why.
    pub doubt: Option<String>,
    /// The least slack.
    pub slack: f64,
    /// Seconds.
    pub seconds: f64,
    /// Whether it was ended from outside.
    pub stopped: bool,
}

/// Searches for a run that violates a claim.
///
/// # Errors
/// When no run that can be proposed meets the claim's assumptions.
pub fn refute(target: &Target, search: Search<'_>) -> Result<Report, Error> {
    let begun = Instant::now();
    let until = begun + search.budget;
    let mut judge = Judge { claim: target.claim(), probes: target.probes(), stop: search.stop, until };
    let mut why = String::new();
    let mut classes = Vec::new();
    for class in Class::all() {
        match judge.applies(&class.example()) {
            Ok(()) => classes.push(class),
            Err(text) => why = text,
        }
    }
    if classes.is_empty() {
        let text = "no run that can be proposed (small bias-free perceptrons, binary losses, descent in l2, l1, linf) meets \
                    the assumptions of";
        return Err(Error::usage(format!(
            "{text} `{}`; of the last one tried it says: {why}",
            judge.claim.about().id
        )));
    }
    let mut proposer = Proposer::new(search.seed, classes, target.is_late());
    let mut pool: Vec<(f64, Candidate)> = Vec::new();
    let mut report = Report {
        found: None,
        tried: 0,
        decided: 0,
        doubtful: 0,
        doubt: None,
        slack: f64::INFINITY,
        seconds: 0.0,
        stopped: false,
    };
    let stopped = || search.stop.load(Ordering::Relaxed);
    let mut hits: Vec<Hit> = Vec::new();
    while !judge.over() && hits.is_empty() {
        let batch: Vec<Candidate> = (0..BATCH)
            .map(|_| match proposer.choose(pool.len()) {
                Some(k) => proposer.near(&pool[k].1.clone()),
                None => proposer.fresh(),
            })
            .collect();
        let tried: Vec<Tried> = batch.par_iter().map(|c| judge.try_out(c)).collect();
        for (candidate, tried) in batch.into_iter().zip(tried) {
            match tried {
                Tried::Nothing => {}
                Tried::Slack(slack) => {
                    report.tried += 1;
                    if slack.is_finite() {
                        report.decided += 1;
                        report.slack = report.slack.min(slack);
                        pool.push((slack, candidate));
                    }
                }
                Tried::Hit { doubt: Some(doubt), .. } => {
                    report.tried += 1;
                    report.doubtful += 1;
                    report.doubt = Some(doubt);
                }
                Tried::Hit { at, by, doubt: None } => {
                    report.tried += 1;
                    report.decided += 1;
                    hits.push(Hit { candidate, at, by });
                }
            }
        }
        pool.sort_by(|a, b| a.0.total_cmp(&b.0));
        pool.truncate(POOL);
        (search.progress)(&Standing {
            part: begun.elapsed().as_secs_f64() / search.budget.as_secs_f64(),
            tried: report.tried,
            slack: report.slack,
            doubtful: report.doubtful,
            shrunk: None,
        });
    }
    if !hits.is_empty() {
        // Several hits shrink to different sizes, and the smallest is told. The least network first: it is cheap.
        hits.sort_by_key(|hit| hit.candidate.size());
        hits.truncate(SHRUNK);
        let left = search.budget.saturating_sub(begun.elapsed());
        judge.until = Instant::now() + SHRINK.max(left / 2);
        let mut kept = 0;
        let mut tell = || {
            kept += 1;
            (search.progress)(&Standing {
                part: 1.0,
                tried: report.tried,
                slack: report.slack,
                doubtful: report.doubtful,
                shrunk: Some(kept),
            });
        };
        let all = hits.into_iter().map(|hit| shrunk(&judge, hit, &mut tell));
        let best = all.min_by_key(|hit| hit.candidate.size());
        report.found = best.map(|Hit { candidate, at, by }| {
            let spec = candidate.toml(&judge.probes);
            Found { candidate, at, by, spec }
        });
    }
    report.stopped = stopped();
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// A violation that counts.
struct Hit {
    candidate: Candidate,
    at: f64,
    by: f64,
}

/// Keeps every change that leaves a violation that counts, until none does, or the time is over. A violation may become
/// smaller, but not vanish into the tolerance.
fn shrunk(judge: &Judge<'_>, hit: Hit, tell: &mut dyn FnMut()) -> Hit {
    let least = SHRINKS_TO * hit.by;
    let mut best = hit;
    loop {
        let smaller = shrink::smaller(&best.candidate, judge.is_flow());
        // The first in order, whichever thread finds one first.
        let next = smaller.into_par_iter().find_map_first(|candidate| match judge.over() {
            true => None,
            false => match judge.try_out(&candidate) {
                Tried::Hit { at, by, doubt: None } if by >= least => Some(Hit { candidate, at, by }),
                _ => None,
            },
        });
        match next {
            Some(next) if !judge.over() => best = next,
            _ => return best,
        }
        tell();
    }
}

impl Report {
    /// As JSON.
    pub fn json(&self, claim: &dyn Claim) -> Value {
        let found = self.found.as_ref().map(|f| {
            json!({ "what": f.candidate.describe(), "points": f.candidate.inputs.len(),
                    "dimensions": f.candidate.dim(), "widths": f.candidate.widths, "at_step": f.at, "by": f.by })
        });
        json!({
            "claim": claim.about().id,
            "says": claim.about().says,
            "refuted": self.found.is_some(),
            "found": found,
            "tried": self.tried,
            "decided": self.decided,
            "doubtful": self.doubtful,
            "least_slack": Some(self.slack).filter(|s| s.is_finite()),
            "seconds": self.seconds,
            "stopped": self.stopped,
        })
    }
}

/// Writes `spec.toml`, `refuted.json` and, of a claim of one's own, `claim.toml` into a directory, which is made if need be.
///
/// # Errors
/// What cannot be written.
pub fn save(dir: &Path, target: &Target, report: &Report) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(|e| Error::io(dir, "create", e))?;
    if let Some(found) = &report.found {
        let about = target.claim().about();
        let head = format!(
            "# Violates `{}` at step {} by {:.1e}:\n# {}\n# {}\n",
            about.id,
            found.at,
            found.by,
            about.says.replace('\n', " "),
            found.candidate.describe()
        );
        write_whole(&dir.join("spec.toml"), format!("{head}{}", found.spec).as_bytes())?;
    }
    if let Target::Own(claim) = target {
        write_whole(&dir.join("claim.toml"), claim.text.as_bytes())?;
    }
    write_whole(&dir.join("refuted.json"), &pretty(&report.json(target.claim())))
}
