//! One try: a candidate is run in memory and judged, and a hit is held against smaller steps and the twin.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use latephase_core::Data;

use super::candidate::Candidate;
use super::twin::Twin;
use crate::build::build;
use crate::claim::twin::STAYS;
use crate::claim::{Claim, Dynamics, Facts, Kind, Verdict, View, judge_one, twin};
use crate::findings::Columns;
use crate::memory::drive;
use crate::source::Lookup;
use crate::spec::Spec;

/// What stands for the local error of the twin's Runge–Kutta steps.
const TWIN_RTOL: f64 = 1e-8;

/// A run with all that its judges need.
pub(super) struct Ran {
    pub facts: Facts,
    pub rows: Columns,
    pub data: std::sync::Arc<Data>,
    pub spec: Spec,
}

/// The judge: a claim, the probes that write its columns, and what ends everything.
pub(super) struct Judge<'a> {
    pub claim: &'a dyn Claim,
    pub probes: Vec<&'static str>,
    pub stop: &'a AtomicBool,
    /// When it ends by itself.
    pub until: Instant,
}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tried {
    /// No run, or none that the claim is about.
    Nothing,
    /// It has this much to spare; infinity where nothing is known.
    Slack(f64),
    /// A violation at a step by so much, and, where it was not confirmed, why not.
    Hit { at: f64, by: f64, doubt: Option<String> },
}

impl Judge<'_> {
    /// Whether the time is over. A run that is cut short says nothing.
    pub fn over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || Instant::now() > self.until
    }

    /// Whether the statement is about the flow that steps follow.
    pub fn is_flow(&self) -> bool {
        matches!(self.claim.about().kind, Kind::FlowIdentity | Kind::FlowInequality)
    }

    /// Whether it takes half the step to tell the flow that the statement is about from the run's own steps.
    fn is_coarse(&self, ran: &Ran) -> bool {
        self.is_flow() && !matches!(ran.facts.dynamics(), Some(Dynamics::Flow { .. }))
    }

    /// Whether the claim is about runs like this one.
    ///
    /// # Errors
    /// Why not.
    pub fn applies(&self, candidate: &Candidate) -> Result<(), String> {
        let spec = candidate.spec(&self.probes).map_err(|e| e.to_string())?;
        let built = build(&spec, &lookup()).map_err(|e| e.to_string())?;
        self.claim.applies(&Facts::of_built(&spec, &built))
    }

    /// Runs a spec; none where it cannot be built or the claim is not about it.
    fn run(&self, spec: Spec) -> Option<Ran> {
        let mut built = build(&spec, &lookup()).ok()?;
        let facts = Facts::of_built(&spec, &built);
        self.claim.applies(&facts).ok()?;
        let (rows, _) = drive(&mut built, &|| self.over()).ok()?;
        let facts = facts.with_record(&rows);
        let data = std::sync::Arc::clone(&built.run.problem.train);
        Some(Ran { facts, rows, data, spec })
    }

    fn verdict(&self, facts: &Facts, rows: &Columns, twin: Option<&Columns>) -> Verdict {
        judge_one(self.claim, &View { facts, rows, twin }).verdict
    }

    /// Runs, judges, and confirms a hit.
    pub fn try_out(&self, candidate: &Candidate) -> Tried {
        let Some(spec) = candidate.spec(&self.probes).ok() else { return Tried::Nothing };
        let Some(ran) = self.run(spec) else { return Tried::Nothing };
        let half = match self.is_coarse(&ran) {
            true => twin::of(&ran.spec).ok().and_then(|s| self.run(s)),
            false => None,
        };
        let verdict = self.verdict(&ran.facts, &ran.rows, half.as_ref().map(|h| &h.rows));
        if self.over() {
            return Tried::Nothing;
        }
        match verdict {
            Verdict::Holds { slack } => Tried::Slack(slack),
            Verdict::Violated { at, by } => {
                let doubt = self.confirm(candidate, &ran, half, by).err();
                if self.over() { Tried::Nothing } else { Tried::Hit { at, by, doubt } }
            }
            Verdict::NotApplicable { .. } | Verdict::Undecided { .. } => Tried::Slack(f64::INFINITY),
        }
    }

    /// Holds a hit against smaller steps, where the claim is about the flow, and against the twin.
    ///
    /// # Errors
    /// Why it does not count.
    fn confirm(&self, candidate: &Candidate, ran: &Ran, half: Option<Ran>, by: f64) -> Result<(), String> {
        if self.is_flow() {
            let no_run = || "the run at smaller steps cannot be made".to_owned();
            let finer = |ran: &Ran| twin::of(&ran.spec).ok().and_then(|s| self.run(s)).ok_or_else(no_run);
            let half = half.map_or_else(|| finer(ran), Ok)?;
            let quarter = finer(&half)?;
            let verdicts = match self.is_coarse(ran) {
                true => vec![self.verdict(&ran.facts, &half.rows, Some(&quarter.rows))],
                false => [&half, &quarter].map(|r| self.verdict(&ran.facts, &r.rows, None)).to_vec(),
            };
            for verdict in verdicts {
                match verdict {
                    Verdict::Violated { by: smaller, .. } if smaller >= STAYS * by => {}
                    Verdict::Violated { by: smaller, .. } => {
                        return Err(format!("it shrinks with the step, from {by:.1e} to {smaller:.1e}"));
                    }
                    other => return Err(format!("at smaller steps: {} ({other})", other.word())),
                }
            }
        }
        let mut twin = Twin::of(&ran.spec, &ran.data)?;
        twin.judges_points = self.probes.contains(&"stationarity");
        let theta = &candidate.theta;
        let (twin, facts, looks) = match self.is_flow() {
            true => {
                let norm = ran.facts.flow_norm()?.to_owned();
                let phases = vec![Dynamics::Flow { norm, rtol: TWIN_RTOL }];
                (twin.as_flow(), Facts { phases, ..ran.facts.clone() }, Vec::new())
            }
            false => {
                let looks = ran.rows.get("step").iter().map(|s| *s as u64).collect();
                (twin, ran.facts.clone(), looks)
            }
        };
        let ends = ran.rows.last("ln_loss");
        let (steps, ends) = match self.is_flow() {
            true => (20 * candidate.steps.max(100), ends),
            false => (ran.rows.last("step") as u64, f64::NEG_INFINITY),
        };
        let over = || self.over();
        let rows = Columns::of_rows(&twin.run(theta, steps, ends, &looks, &over));
        match self.verdict(&facts, &rows, None) {
            Verdict::Violated { .. } => Ok(()),
            other => Err(format!("in double-double: {} ({other})", other.word())),
        }
    }
}

fn lookup() -> Lookup {
    Lookup::from_env()
}
