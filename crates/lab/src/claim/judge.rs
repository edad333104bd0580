//! How slacks become verdicts.
//!
//! A judge gives, look by look or window by window, the slack A − B of an inequality A ≥ B and the size of the largest term
//! that enters it. Everything about tolerances is here.

use super::{Dynamics, Facts, Verdict, View};
use crate::findings::Columns;

/// Roundings allowed, in units of 2⁻⁵³·(1 + L)·(largest term).
const ROUNDINGS: f64 = 64.0;

/// A − B with the size of the largest term in either, before cancellation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slack {
    /// A − B.
    pub value: f64,
    /// Largest term.
    pub size: f64,
    /// What rounding adds beyond 64·2⁻⁵³(1 + L)·size: the rounding of a column that A or B was formed from.
    pub extra: f64,
}

impl Slack {
    /// The slack of A ≥ B.
    pub fn of(a: f64, b: f64) -> Slack {
        Slack { value: a - b, size: a.abs().max(b.abs()), extra: 0.0 }
    }

    /// The same, with terms of this size behind A and B.
    pub fn sized(a: f64, b: f64, size: f64) -> Slack {
        Slack { value: a - b, size: size.abs().max(a.abs()).max(b.abs()), extra: 0.0 }
    }

    fn rounding(&self, degree: f64) -> f64 {
        ROUNDINGS * 2f64.powi(-53) * (1.0 + degree) * self.size + self.extra
    }
}

/// Looks after separation that are not flagged for precision.
pub fn late(facts: &Facts, rows: &Columns) -> Vec<usize> {
    let loss = rows.get("ln_loss_sum");
    let flagged = rows.get("precision");
    let from = loss.iter().position(|&l| l < facts.ln_threshold).unwrap_or(loss.len());
    (from..loss.len()).filter(|&k| !(flagged.get(k).is_some_and(|p| *p > 0.0))).collect()
}

/// Looks that are not flagged for precision.
pub fn usable(rows: &Columns) -> Vec<usize> {
    let flagged = rows.get("precision");
    (0..rows.get("step").len()).filter(|&k| !(flagged.get(k).is_some_and(|p| *p > 0.0))).collect()
}

/// The worst of many slacks, relative to their sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Worst {
    /// slack/size where it is worst.
    relative: f64,
    /// Its step.
    at: f64,
    /// By how much, rounding allowed, it is below 0; at most 0 where the inequality holds.
    excess: f64,
}

/// The worst of slacks at steps; what is not finite is not judged.
fn worst(facts: &Facts, slacks: impl Iterator<Item = (f64, Slack)>) -> Option<Worst> {
    let degree = facts.order().unwrap_or(1.0).max(0.0);
    let judged = slacks.filter(|(_, s)| s.value.is_finite() && s.size.is_finite()).map(|(at, slack)| {
        let size = slack.size.max(f64::MIN_POSITIVE);
        let relative = slack.value / size;
        Worst { relative, at, excess: -relative - slack.rounding(degree) / size }
    });
    judged.reduce(|a, b| if b.excess > a.excess { b } else { a })
}

const NOTHING: &str = "no look at which it could be judged";

/// An inequality at every one of these looks, without dynamics.
pub fn at_looks(view: &View<'_>, looks: &[usize], of: impl Fn(&Columns, usize) -> Option<Slack>) -> Verdict {
    let steps = view.rows.get("step");
    let slacks = looks.iter().filter_map(|&k| Some((steps[k], of(view.rows, k)?)));
    match worst(view.facts, slacks) {
        None => Verdict::undecided(no_looks(view)),
        Some(w) if w.excess > 0.0 => Verdict::Violated { at: w.at, by: -w.relative },
        Some(w) => Verdict::Holds { slack: w.relative },
    }
}

/// An inequality along the flow, over the windows between consecutive looks after separation.
pub fn flow(view: &View<'_>, of: impl Fn(&Columns, &Window) -> Option<Slack>) -> Verdict {
    if view.separation().is_none() {
        return Verdict::undecided(NOT_SEPARATED);
    }
    flow_from(view, &late(view.facts, view.rows), &|rows| late(view.facts, rows), &of)
}

/// The same from the start on, for statements that need no separation.
pub fn flow_always(view: &View<'_>, of: impl Fn(&Columns, &Window) -> Option<Slack>) -> Verdict {
    flow_from(view, &usable(view.rows), &usable, &of)
}

/// A column that the flow never lowers after separation.
pub fn never_falls(view: &View<'_>, column: &str) -> Verdict {
    flow(view, |rows, window| {
        let values = rows.get(column);
        Some(Slack::of(values[window.to], values[window.from]))
    })
}

/// An identity of the flow, whose `defect` at every look accumulates from the start and would be 0 without discretisation:
/// it holds where the defect is within the flow's error control, or goes down with the step.
pub fn flow_identity(view: &View<'_>, defect: impl Fn(&Columns, usize) -> f64) -> Verdict {
    let largest = |rows: &Columns| -> Option<(f64, f64)> {
        let of = |k: usize| (rows.get("step")[k], defect(rows, k));
        let known = usable(rows).into_iter().map(of).filter(|(_, d)| d.is_finite());
        known.reduce(|a, b| if b.1 > a.1 { b } else { a })
    };
    let Some((at, run)) = largest(view.rows) else { return Verdict::undecided(NOTHING) };
    if let Some(step) = too_coarse(view) {
        return Verdict::undecided(too_large(step));
    }
    let degree = view.facts.order().unwrap_or(1.0);
    let steps = view.rows.last("step");
    // Every step rounds once more.
    let rounding = ROUNDINGS * 2f64.powi(-53) * (1.0 + degree) * (1.0 + steps).sqrt();
    let allowed = match view.facts.dynamics() {
        // A local error of rtol·ρ changes a difference of two squares relative to ρ² by at most four times that.
        Some(Dynamics::Flow { rtol, .. }) => rounding + 4.0 * rtol * steps,
        _ => rounding,
    };
    if run <= allowed {
        return Verdict::Holds { slack: allowed - run };
    }
    match view.twin.map(largest) {
        None if matches!(view.facts.dynamics(), Some(Dynamics::Flow { .. })) => {
            Verdict::Violated { at, by: run }
        }
        None => Verdict::undecided(format!(
            "drifts by {run:.1e} of rho^2, as steps do; half the step has to tell: `check --twin`"
        )),
        Some(None) => Verdict::undecided("the twin has no look to judge"),
        Some(Some((_, finer))) if finer <= allowed => Verdict::Holds { slack: allowed - finer },
        Some(Some((_, finer))) if finer > 2.0 * (run - finer).abs() => Verdict::Violated { at, by: finer },
        // It shrinks with the step: at step 0 nothing is left, to within what the two runs differ by.
        Some(Some((_, finer))) => Verdict::Holds { slack: 2.0 * (run - finer).abs() - finer },
    }
}

/// All of several verdicts: a violation of any, else what is undecided in any, else the least slack. Parts that do not
/// apply are left out, unless none does.
pub fn both(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let rank = |v: &Verdict| match v {
        Verdict::Violated { .. } => 3,
        Verdict::Undecided { .. } => 2,
        Verdict::Holds { .. } => 1,
        Verdict::NotApplicable { .. } => 0,
    };
    let worse = |a: Verdict, b: Verdict| match (&a, &b) {
        (Verdict::Holds { slack: x }, Verdict::Holds { slack: y }) if y < x => b,
        _ if rank(&b) > rank(&a) => b,
        _ => a,
    };
    verdicts.into_iter().reduce(worse).unwrap_or_else(|| Verdict::undecided(NOTHING))
}

/// What is said of a run that never passes the threshold.
pub const NOT_SEPARATED: &str = "the loss never falls below the threshold of separation";

/// Two consecutive looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The earlier.
    pub from: usize,
    /// The later.
    pub to: usize,
}

impl Window {
    /// The increase of a column; NaN where it was not measured.
    pub fn gain(&self, rows: &Columns, column: &str) -> f64 {
        let at = |k: usize| rows.get(column).get(k).copied().unwrap_or(f64::NAN);
        at(self.to) - at(self.from)
    }
}

fn flow_from(
    view: &View<'_>,
    looks: &[usize],
    of_twin: &dyn Fn(&Columns) -> Vec<usize>,
    of: &dyn Fn(&Columns, &Window) -> Option<Slack>,
) -> Verdict {
    if looks.len() < 2 {
        return Verdict::undecided(no_looks(view));
    }
    if let Some(step) = too_coarse(view) {
        return Verdict::undecided(too_large(step));
    }
    let run = windows(view, view.rows, looks, of, false);
    let Some(run) = run else { return Verdict::undecided(NOTHING) };
    let rounding_only = run.excess <= 0.0;
    match (view.facts.dynamics(), view.twin) {
        (_, Some(twin)) => {
            let theirs = windows(view, twin, &of_twin(twin), of, false);
            let Some(finer) = theirs else { return Verdict::undecided("the twin has no window to judge") };
            let step = 2.0 * (run.relative - finer.relative).abs();
            if finer.excess <= 0.0 {
                Verdict::Holds { slack: finer.relative }
            } else if finer.excess > step {
                Verdict::Violated { at: finer.at, by: -finer.relative }
            } else {
                Verdict::undecided(format!(
                    "short by {:.1e}, by {:.1e} at half the step: smaller steps have to tell",
                    -run.relative, -finer.relative
                ))
            }
        }
        (Some(Dynamics::Flow { .. }), None) if rounding_only => Verdict::Holds { slack: run.relative },
        (Some(Dynamics::Flow { .. }), None) => match windows(view, view.rows, looks, of, true) {
            Some(beyond) if beyond.excess > 0.0 => Verdict::Violated { at: beyond.at, by: -beyond.relative },
            _ => Verdict::undecided(format!(
                "short by {:.1e} at step {}, which the error control of the flow allows: a smaller rtol has to tell",
                -run.relative, run.at
            )),
        },
        (_, None) if rounding_only => Verdict::undecided(format!(
            "consistent so far (slack {:.1e}); half the step has to tell: `check --twin`",
            run.relative
        )),
        (_, None) => Verdict::undecided(format!(
            "short by {:.1e} at step {}; half the step has to tell: `check --twin`",
            -run.relative, run.at
        )),
    }
}

/// The step at which the loss rises, of a run that follows a flow in steps without error control.
fn too_coarse(view: &View<'_>) -> Option<f64> {
    if let Some(Dynamics::Flow { .. }) = view.facts.dynamics() {
        return None;
    }
    rises(view.rows).or_else(|| view.twin.and_then(rises))
}

fn too_large(step: f64) -> String {
    format!("the loss rises at step {step}, which a flow never does: the steps are too large to follow one")
}

/// The step of a look at which the loss is above that of the look before, beyond rounding.
fn rises(rows: &Columns) -> Option<f64> {
    let (loss, q) = (rows.get("ln_loss"), rows.get("q_min"));
    let rounding = |k: usize| {
        let size = loss[k].abs().max(q.get(k).map_or(0.0, |q| q.abs())).max(1.0);
        ROUNDINGS * f64::EPSILON * size
    };
    let k = (1..loss.len()).find(|&k| loss[k] > loss[k - 1] + rounding(k))?;
    rows.get("step").get(k).copied()
}

/// The worst window; with the local error of an adaptive flow as part of its rounding where asked for.
fn windows(
    view: &View<'_>,
    rows: &Columns,
    looks: &[usize],
    of: &dyn Fn(&Columns, &Window) -> Option<Slack>,
    with_local_error: bool,
) -> Option<Worst> {
    let steps = rows.get("step");
    let judged = looks.windows(2).filter_map(|pair| {
        let window = Window { from: pair[0], to: pair[1] };
        let mut slack = of(rows, &window)?;
        if let (true, Some(Dynamics::Flow { rtol, .. })) = (with_local_error, view.facts.dynamics()) {
            // A local error of rtol·ρ moves u by at most rtol·ρ‖g‖ = rtol·L·Σwq/β, and Σwq is near u; u/ρ^L moves by as
            // much again through ρ.
            let taken = steps[window.to] - steps[window.from];
            let beta = rows.get("beta").get(window.to).copied().unwrap_or(1.0).abs().max(1e-3);
            let degree = view.facts.order().unwrap_or(1.0);
            slack.extra += taken * rtol * degree * (1.0 / beta + 1.0) * slack.size;
        }
        Some((steps[window.to], slack))
    });
    worst(view.facts, judged)
}

/// A limit: holds where the number is within the tolerance at the end, undecided before.
pub fn limit(view: &View<'_>, name: &str, value: f64, tolerance: f64) -> Verdict {
    if view.separation().is_none() {
        return Verdict::undecided(NOT_SEPARATED);
    }
    if value.is_nan() {
        return Verdict::undecided(format!("{name} is not known at the end of the run"));
    }
    if value <= tolerance {
        return Verdict::Holds { slack: tolerance - value };
    }
    Verdict::undecided(format!("{name} is {value:.2e} at the end, and has to be {tolerance:.0e} or less"))
}

fn no_looks(view: &View<'_>) -> &'static str {
    if view.separation().is_none() { NOT_SEPARATED } else { NOTHING }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Lookup;
    use crate::spec::Spec;

    fn facts(algorithm: &str) -> Facts {
        let text = format!(
            "data = 'two-points'\nmodel = 'linear'\nloss = 'exponential'\nalgorithm = {algorithm}\nstop = {{ steps = 9 }}"
        );
        let spec = Spec::parse(&text, "spec", &[]).expect("a spec");
        let built = crate::build::build(&spec, &Lookup::from_env()).expect("a run");
        Facts::of(&spec, &built.run.problem, built.run.at.theta(), built.truth.as_ref())
    }

    const STEPS: &str = "{ kind = 'stepped', pace = { kind = 'constant', eta = 0.1 } }";

    /// Rows after separation whose smoothed margin falls by `fall` at the last look.
    fn rows(fall: f64) -> Columns {
        let margin = vec![1.0, 1.5, 2.0, 2.0 - fall];
        Columns(vec![
            ("step".into(), vec![0.0, 10.0, 20.0, 30.0]),
            ("ln_loss".into(), vec![-1.0, -2.0, -3.0, -4.0]),
            ("ln_loss_sum".into(), vec![-1.0, -2.0, -3.0, -4.0]),
            ("beta".into(), vec![1.0; 4]),
            ("smooth_margin".into(), margin),
        ])
    }

    fn monotone(facts: &Facts, rows: &Columns, twin: Option<&Columns>) -> Verdict {
        never_falls(&View { facts, rows, twin }, "smooth_margin")
    }

    #[test]
    fn a_fall_that_goes_with_the_step_is_the_steps_and_one_that_stays_is_the_flows() {
        let facts = facts(STEPS);
        let word = |fall: f64, finer: f64| monotone(&facts, &rows(fall), Some(&rows(finer))).word();
        assert_eq!(word(0.1, 0.05), "undecided");
        assert_eq!(word(0.1, 0.1), "violated");
        assert_eq!(word(0.1, 0.09), "violated");
        assert_eq!(word(0.1, 0.0), "holds");
        assert_eq!(word(0.0, 0.0), "holds");
        assert_eq!(monotone(&facts, &rows(0.0), None).word(), "undecided");
        assert_eq!(monotone(&facts, &rows(0.1), None).word(), "undecided");
    }

    #[test]
    fn the_error_control_of_a_flow_excuses_a_fall_and_does_not_make_it_hold() {
        let facts = facts("{ kind = 'flow', rtol = 1e-6 }");
        let word = |fall: f64| monotone(&facts, &rows(fall), None).word();
        // Ten steps of rtol 1e-6, degree 1, beta 1: 2e-5 of the margin.
        assert_eq!((word(0.0), word(1e-5), word(1e-3)), ("holds", "undecided", "violated"));
    }

    #[test]
    fn steps_that_raise_the_loss_follow_no_flow() {
        let mut rising = rows(0.5);
        rising.0[1].1[2] = 5.0;
        assert_eq!(monotone(&facts(STEPS), &rising, Some(&rising)).word(), "undecided");
        assert_eq!(monotone(&facts("'flow'"), &rising, None).word(), "violated");
    }

    #[test]
    fn a_violated_part_outweighs_the_others() {
        let parts =
            [Verdict::Holds { slack: 1.0 }, Verdict::undecided("x"), Verdict::Violated { at: 1.0, by: 2.0 }];
        assert_eq!(both(parts.clone()).word(), "violated");
        assert_eq!(both(parts[..2].to_vec()).word(), "undecided");
        assert_eq!(
            both([Verdict::Holds { slack: 1.0 }, Verdict::Holds { slack: 0.5 }]),
            Verdict::Holds { slack: 0.5 }
        );
    }

    #[test]
    fn flagged_looks_and_looks_before_separation_are_not_judged() {
        let facts = facts(STEPS);
        let mut early = rows(0.0);
        early.0[2].1[0] = 3.0;
        early.0.push(("precision".into(), vec![0.0, 0.0, 0.0, 1.0]));
        assert_eq!(late(&facts, &early), [1, 2]);
        assert_eq!(usable(&early), [0, 1, 2]);
    }
}
