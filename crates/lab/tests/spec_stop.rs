//! Stopping conditions and the cadence of looks.

use std::f64::consts::LN_10;

use latephase_lab::cadence::{Cadence, CadenceState};
use latephase_lab::stop::{Status, Stop};

#[test]
fn each_condition_is_named_when_it_holds_and_only_then() {
    type Case = (&'static str, Stop, fn(&mut Status, f64), f64, f64);
    let cases: [Case; 8] = [
        ("steps", Stop { steps: Some(10), ..Stop::default() }, |s, v| s.step = v as u64, 9.0, 10.0),
        ("epochs", Stop { epochs: Some(3), ..Stop::default() }, |s, v| s.epoch = v as u64, 2.0, 3.0),
        (
            "log10_loss",
            Stop { log10_loss: Some(-5.0), ..Stop::default() },
            |s, v| s.ln_loss = v * LN_10,
            -4.9,
            -5.1,
        ),
        ("ln_time", Stop { ln_time: Some(7.0), ..Stop::default() }, |s, v| s.ln_time = v, 6.9, 7.0),
        ("clock", Stop { clock: Some(7.0), ..Stop::default() }, |s, v| s.clock = v, 6.9, 7.0),
        ("ln_rho", Stop { ln_rho: Some(2.0), ..Stop::default() }, |s, v| s.ln_rho = v, 1.9, 2.0),
        (
            "kkt_epsilon",
            Stop { kkt_epsilon: Some(1e-3), ..Stop::default() },
            |s, v| s.kkt_epsilon = v,
            1e-2,
            1e-3,
        ),
        (
            "direction_speed",
            Stop { direction_speed: Some(1e-3), ..Stop::default() },
            |s, v| s.direction_speed = v,
            1e-2,
            1e-3,
        ),
    ];
    for (name, stop, set, before, after) in cases {
        let mut status = Status::unknown();
        assert_eq!(stop.reached(&status), None, "{name}: the unknown ends nothing");
        set(&mut status, before);
        assert_eq!(stop.reached(&status), None, "{name}: not yet");
        set(&mut status, after);
        let reached = stop.reached(&status).unwrap_or_else(|| panic!("{name} is reached"));
        assert_eq!(reached.condition, name);
        assert!(reached.to_string().contains(name));
        assert!(stop.check().is_ok());
        assert_eq!(stop.has_target(), !reached.is_budget());
    }
}

#[test]
fn a_place_arrived_at_comes_before_a_budget() {
    let stop = Stop { steps: Some(10), ln_rho: Some(1.0), ..Stop::default() };
    let status = Status { step: 10, ln_rho: 2.0, ..Status::unknown() };
    assert_eq!(stop.reached(&status).unwrap().condition, "ln_rho");
}

fn looks(cadence: &Cadence, path: impl Iterator<Item = (u64, f64, f64)>) -> Vec<u64> {
    let mut state = cadence.start();
    path.filter(|&(step, ln_loss, ln_rho)| state.due(step, ln_loss, ln_rho))
        .map(|(step, _, _)| step)
        .collect()
}

fn only(change: impl FnOnce(&mut Cadence)) -> Cadence {
    let mut cadence =
        Cadence { per_decade_of_step: 0, per_decade_of_ln_loss: 0, per_unit_of_ln_rho: 0, every: None };
    change(&mut cadence);
    cadence
}

#[test]
fn looks_are_log_spaced_in_steps_and_meet_the_powers_of_ten() {
    let at = looks(&only(|c| c.per_decade_of_step = 10), (0..=1_000_000).map(|k| (k, f64::NAN, f64::NAN)));
    for k in 0..=6 {
        assert!(at.contains(&10_u64.pow(k)), "10^{k} is not looked at");
    }
    let in_last = at.iter().filter(|&&k| k > 100_000).count();
    assert_eq!(in_last, 10);
}

#[test]
fn a_loss_of_1e_minus_1000_has_67_looks_after_separation() {
    // u = ln(1/loss) from 0 to 1000 ln 10 in small steps: 20·log10(2302.6) = 67.2, and one at u = 1.
    let path = (0..=230_259_u64).map(|k| (k, -(k as f64) * 0.01, f64::NAN));
    let at = looks(&only(|c| c.per_decade_of_ln_loss = 20), path);
    assert_eq!(at.len(), 68);
    assert_eq!(at[0], 100, "nothing before u = 1");
}

#[test]
fn looks_can_follow_ln_rho_and_plain_counts() {
    let at = looks(&only(|c| c.per_unit_of_ln_rho = 4), (0..=200).map(|k| (k, f64::NAN, k as f64 / 100.0)));
    assert_eq!(at, [0, 25, 50, 75, 100, 125, 150, 175, 200]);
    let at = looks(&only(|c| c.every = Some(50)), (0..=200).map(|k| (k, f64::NAN, f64::NAN)));
    assert_eq!(at, [0, 50, 100, 150, 200]);
}

#[test]
fn a_loss_that_goes_up_and_down_again_is_not_looked_at_twice() {
    let u = [1.0, 5.0, 2.0, 5.0, 5.0, f64::INFINITY, f64::NAN, 50.0];
    let path = u.iter().enumerate().map(|(k, u)| (k as u64, -u, f64::NAN));
    assert_eq!(looks(&only(|c| c.per_decade_of_ln_loss = 20), path), [0, 1, 7]);
}

#[test]
fn a_cadence_resumed_from_its_state_goes_on_as_if_uninterrupted() {
    let cadence = Cadence { per_unit_of_ln_rho: 3, every: Some(11), ..Cadence::default() };
    let path = |k: u64| (k, -0.1 * k as f64, 0.01 * k as f64);
    let run = |state: &mut CadenceState, range: std::ops::Range<u64>| -> Vec<bool> {
        range
            .map(|k| {
                let (s, l, r) = path(k);
                state.due(s, l, r)
            })
            .collect()
    };
    let mut whole = cadence.start();
    let all = run(&mut whole, 0..500);
    let mut first = cadence.start();
    let mut parts = run(&mut first, 0..237);
    let mut second = cadence.start();
    second.load(&first.save()).unwrap();
    parts.extend(run(&mut second, 237..500));
    assert_eq!(parts, all);
    assert!(second.load(&latephase_core::State::default()).is_err());
}
