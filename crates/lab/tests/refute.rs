//! False conjectures are refuted by small runs that reproduce; true claims are not.
#![allow(missing_docs)]

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use latephase_lab::Spec;
use latephase_lab::build::build;
use latephase_lab::claim::user::{Judged, UserClaim};
use latephase_lab::claim::{Facts, Verdict};
use latephase_lab::findings::{Columns, of_one};
use latephase_lab::refute::candidate::Motion;
use latephase_lab::refute::{CONJECTURES, Report, Search, Standing, Target, columns, refute, save};
use latephase_lab::source::Lookup;
use latephase_lab::stint::{Options, Unwatched, begin};

fn search(target: &Target, seconds: u64, seed: u64) -> Report {
    let stop = AtomicBool::new(false);
    let budget = Duration::from_secs(seconds);
    refute(target, Search { budget, seed, stop: &stop, progress: &mut |_: &Standing| {} }).unwrap()
}

/// A stint on one thread that nobody watches.
fn alone<'a>(stop: &'a AtomicBool, unwatched: &'a mut Unwatched) -> Options<'a> {
    Options {
        threads: Some(1),
        max_seconds: None,
        checkpoint_seconds: 60.0,
        stop,
        lookup: Lookup::from_env(),
        progress: unwatched,
    }
}

/// Runs the saved spec as any other, and asks the claim of its directory.
fn verdict_of(dir: &std::path::Path, target: &Target) -> Verdict {
    let spec = Spec::read(&dir.join("spec.toml"), &[]).unwrap();
    let run = dir.join("run");
    let stop = AtomicBool::new(false);
    begin(&spec, &run, alone(&stop, &mut Unwatched)).unwrap();
    let built = build(&spec, &Lookup::from_env()).unwrap();
    let facts = Facts::of(&spec, &built.run.problem, built.run.at.theta(), None);
    of_one(&run, facts, target.claim()).unwrap().verdict
}

/// Refutes a conjecture, holds what was found to at most four points, and makes the saved run again.
fn is_refuted(name: &str, seed: u64) {
    let target = Target::find(name).unwrap();
    let report = search(&target, 60, seed);
    let found = report.found.as_ref().unwrap_or_else(|| panic!("{name}: {report:?}"));
    assert!(found.candidate.inputs.len() <= 4, "{name}: {:?}", found.candidate);
    let place = tempfile::tempdir().unwrap();
    save(place.path(), &target, &report).unwrap();
    let Verdict::Violated { at, by } = verdict_of(place.path(), &target) else { panic!("{name}: {found:?}") };
    assert_eq!((at, by), (found.at, found.by), "{name}: the saved run is the one that was found");
    // The conjecture beside it is read back as it was.
    let text = std::fs::read_to_string(place.path().join("claim.toml")).unwrap();
    assert_eq!(UserClaim::parse(&text, "claim.toml", &columns()).unwrap().id, name);
}

#[test]
fn gradient_descent_with_any_constant_step_is_refuted() {
    is_refuted("gd-any-step-monotone", 0);
    is_refuted("gd-any-step-monotone", 1);
}

#[test]
fn sign_descent_that_raises_the_l2_margin_is_refuted() {
    is_refuted("sign-descent-raises-l2-margin", 0);
    is_refuted("sign-descent-raises-l2-margin", 1);
}

#[test]
fn kkt_points_that_are_all_local_maxima_are_refuted() {
    is_refuted("every-kkt-point-is-local-maximum", 0);
}

#[test]
fn the_same_seed_finds_the_same_run() {
    let target = Target::find("sign-descent-raises-l2-margin").unwrap();
    let (a, b) = (search(&target, 60, 5), search(&target, 60, 5));
    assert_eq!(a.found, b.found);
    assert!(a.found.is_some());
}

#[test]
fn true_claims_are_not_refuted() {
    let names =
        ["lyu-li/smoothed-margin-monotone", "lyu-li/margin-sandwich", "tsilivis/smooth-margin-monotone"];
    for name in names {
        let report = search(&Target::find(name).unwrap(), 3, 7);
        assert!(report.found.is_none(), "{name}: {report:?}");
        assert!(report.tried > 0, "{name}");
    }
}

#[test]
fn a_conjecture_about_the_flow_forgets_what_goes_away_with_the_step() {
    // True of the flow; steps of any length break it.
    let text = CONJECTURES[0].1.replace("[claim.when]", "of = \"flow\"\n[claim.when]");
    let claim = UserClaim::parse(&text, "claim.toml", &columns()).unwrap();
    let report = search(&Target::Own(Box::new(claim)), 3, 3);
    assert!(report.found.is_none(), "{report:?}");
    assert!(report.doubtful > 0, "{report:?}");
}

#[test]
fn names_that_are_not_there_name_the_nearest() {
    let error = |name: &str| Target::find(name).err().unwrap().to_string();
    let text = error("lyu-li/smoothed-margin-monoton");
    assert!(text.contains("did you mean `lyu-li/smoothed-margin-monotone`"), "{text}");
    let text = error("sign-descent-raises-l2-margins");
    assert!(text.contains("did you mean `sign-descent-raises-l2-margin`"), "{text}");
    assert!(error("lyu-li/limit-kkt").contains("limit"), "{}", error("lyu-li/limit-kkt"));
}

/// A claim with this `[claim.check]`.
fn claim(check: &str) -> Result<UserClaim, String> {
    let text = format!("[claim]\nid = \"mine\"\nsays = \"so\"\n[claim.check]\n{check}\n");
    UserClaim::parse(&text, "mine.toml", &columns()).map_err(|e| e.to_string())
}

#[test]
fn a_wrong_claim_is_told_at_its_place() {
    let text = claim("kind = \"monotone\"\ncolumn = \"smoth_margin\"").unwrap_err();
    assert!(text.starts_with("mine.toml:6:"), "{text}");
    assert!(text.contains("did you mean `smooth_margin`") && text.contains("kkt_relative"), "{text}");
    let text = claim("kind = \"monoton\"\ncolumn = \"margin\"").unwrap_err();
    assert!(text.contains("did you mean `monotone`") && text.contains("bound"), "{text}");
    let text = claim("kind = \"bound\"\ncolumn = \"margin\"").unwrap_err();
    assert!(text.contains("at_least") && text.contains("at_most"), "{text}");
    let text = claim("kind = \"bound\"\ncolumn = \"margin\"\nat_leest = 1.0").unwrap_err();
    assert!(text.contains("did you mean `at_least`"), "{text}");
    let text = claim("kind = \"order\"\ncolumns = [\"margin\"]").unwrap_err();
    assert!(text.contains("two columns"), "{text}");
    let text = claim("kind = \"monotone\"\ncolumn = \"margin\"\nfrom = \"separated\"").unwrap_err();
    assert!(text.contains("separation"), "{text}");
    let when = "[claim]\nid = \"a\"\nsays = \"b\"\n[claim.when]\nnorm = \"l-inf\"\n[claim.check]\nkind = \"monotone\"\n\
                column = \"margin\"\n";
    let text = UserClaim::parse(when, "mine.toml", &columns()).unwrap_err().to_string();
    assert!(text.starts_with("mine.toml:5:") && text.contains("did you mean `linf`"), "{text}");
}

/// Rows with a step, a loss that is below the threshold from the third look on, and a column.
fn rows(values: &[f64]) -> Columns {
    let n = values.len();
    let loss: Vec<f64> = (0..n).map(|k| 1.5 - k as f64).collect();
    let column = |name: &str, v: Vec<f64>| (name.to_owned(), v);
    Columns(vec![
        column("step", (0..n).map(|k| k as f64).collect()),
        column("log10_loss", loss.iter().map(|l| l / std::f64::consts::LN_10).collect()),
        column("ln_loss_sum", loss),
        column("margin", values.to_vec()),
        column("q_min", values.iter().map(|v| v * v).collect()),
    ])
}

fn judged(check: &str, values: &[f64]) -> Judged {
    claim(check).unwrap_or_else(|e| panic!("{e}")).check.judge(&rows(values), 0.0)
}

fn violated_at(check: &str, values: &[f64]) -> Option<usize> {
    match judged(check, values) {
        Judged::Violated { row, by } => {
            assert!(by > 0.0);
            Some(row)
        }
        Judged::Holds { slack } => {
            assert!(slack >= 0.0);
            None
        }
        Judged::Undecided { why } => panic!("{check}: {why}"),
    }
}

#[test]
fn monotone_counts_falls_after_separation_alone() {
    let up = "kind = \"monotone\"\ncolumn = \"margin\"";
    assert_eq!(violated_at(up, &[9.0, 5.0, 1.0, 2.0, 3.0]), None);
    assert_eq!(violated_at(up, &[1.0, 2.0, 3.0, 4.0, 3.5]), Some(4));
    assert_eq!(violated_at(up, &[1.0, 2.0, 3.0, 3.0 - 1e-10, 4.0]), None);
    assert_eq!(violated_at(&format!("{up}\ndirection = \"down\""), &[1.0, 2.0, 3.0, 2.0, 2.5]), Some(4));
    assert_eq!(violated_at(&format!("{up}\nfrom = \"start\""), &[9.0, 5.0, 6.0, 7.0, 8.0]), Some(1));
    // A number that is not known is stepped over.
    assert_eq!(violated_at(up, &[1.0, 2.0, 3.0, f64::NAN, 2.0]), Some(4));
    let filter = "where = { column = \"q_min\", at_most = 4.0 }";
    assert_eq!(violated_at(&format!("{up}\n{filter}"), &[0.0, 0.0, 1.0, 9.0, 2.0]), None);
}

#[test]
fn a_run_that_never_separates_is_undecided() {
    let check = "kind = \"monotone\"\ncolumn = \"margin\"";
    assert!(matches!(judged(check, &[3.0, 2.0]), Judged::Undecided { .. }));
}

#[test]
fn bounds_orders_and_slopes_are_what_they_say() {
    let bound = "kind = \"bound\"\ncolumn = \"margin\"\nat_least = 0.0\nat_most = 5.0";
    assert_eq!(violated_at(bound, &[9.0, 9.0, 1.0, 5.0]), None);
    assert_eq!(violated_at(bound, &[1.0, 1.0, 1.0, -0.5, 5.2]), Some(3));
    let order = "kind = \"order\"\ncolumns = [\"q_min\", \"margin\"]";
    assert_eq!(violated_at(order, &[0.5, 0.5, 2.0, 3.0]), None);
    assert_eq!(violated_at(order, &[2.0, 2.0, 2.0, 0.5]), Some(3));
    // q_min = margin²: slope 2 between logarithms.
    let slope = "kind = \"slope\"\ncolumn = \"q_min\"\nagainst = \"margin\"\nlog = true\nat_least = 1.9";
    assert_eq!(violated_at(slope, &[1.0, 1.0, 2.0, 3.0, 4.0, 7.0]), None);
    assert_eq!(violated_at(&format!("{slope}\nat_most = 1.95"), &[1.0, 1.0, 2.0, 3.0, 4.0, 7.0]), Some(5));
}

#[test]
fn a_limit_is_violated_only_by_a_late_run_that_stands_still_elsewhere() {
    let limit = "kind = \"limit\"\ncolumn = \"margin\"\nto = 1.0\nwithin = 0.01";
    // Like 1/ln(1/L), the slowest that margins are.
    let falling: Vec<f64> = (0..80).map(|k| 1.0 + 1.0 / f64::from(k + 2).ln()).collect();
    assert!(matches!(judged(limit, &falling), Judged::Undecided { .. }));
    assert!(matches!(judged(limit, &[2.0; 20]), Judged::Undecided { .. }));
    assert_eq!(violated_at(limit, &[2.0; 40]), Some(39));
    let arrived: Vec<f64> = (0..40).map(|k| 1.0 + 0.5f64.powi(k)).collect();
    assert_eq!(violated_at(limit, &arrived), None);
}

#[test]
fn a_false_conjecture_about_the_flow_is_refuted_by_the_flow() {
    let text = "[claim]\nid = \"own-norm\"\nsays = \"gradient flow raises the linf margin\"\nof = \"flow\"\n\
                [claim.when]\nnorm = \"l2\"\n[claim.check]\nkind = \"monotone\"\ncolumn = \"margin_linf\"\n\
                tolerance = 1e-4\n";
    let claim = UserClaim::parse(text, "claim.toml", &columns()).unwrap();
    let target = Target::Own(Box::new(claim));
    let report = search(&target, 60, 0);
    let found = report.found.as_ref().unwrap_or_else(|| panic!("{report:?}"));
    assert!(matches!(found.candidate.motion, Motion::Flow { .. }), "{:?}", found.candidate);
    assert!(found.candidate.inputs.len() <= 2, "{:?}", found.candidate);
    let place = tempfile::tempdir().unwrap();
    save(place.path(), &target, &report).unwrap();
    assert!(matches!(verdict_of(place.path(), &target), Verdict::Violated { .. }));
}

#[test]
fn a_flow_that_needs_a_longer_step_than_f64_holds_ends() {
    let text = "data = { kind = \"points\", inputs = [[1e-200]], labels = [1] }\nmodel = \"linear\"\n\
                loss = \"exponential\"\nstop = { steps = 10 }\nprobes = [\"margin\"]\nalgorithm = { kind = \"flow\" }\n";
    let place = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let spec = Spec::parse(text, "test", &[]).unwrap();
    let ended = begin(&spec, &place.path().join("run"), alone(&stop, &mut Unwatched)).unwrap();
    assert_eq!(ended.outcome.name(), "precision", "{}", ended.outcome.sentence());
}

#[test]
fn what_the_twin_cannot_confirm_is_known_beforehand() {
    for (id, _) in CONJECTURES {
        assert!(Target::find(id).unwrap().beyond_the_twin().is_empty(), "{id}");
    }
    let target = Target::find("lyu-li/integrated-alignment").unwrap();
    assert!(!target.beyond_the_twin().is_empty());
}
