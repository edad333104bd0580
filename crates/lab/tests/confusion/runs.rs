//! The runs of the confusion matrix, small and deterministic.

use std::sync::atomic::AtomicBool;

use latephase_lab::claim::{Dynamics, Facts, Verdict, View, judge_all, twin};
use latephase_lab::findings::Columns;
use latephase_lab::source::Lookup;
use latephase_lab::{Spec, memory};

use super::sabotage::{self, Update, Wrong};

/// A run with the verdict on every claim.
pub struct Run {
    pub name: &'static str,
    /// Whether it breaks no assumption.
    pub is_sound: bool,
    /// What it breaks.
    pub breaks: &'static str,
    pub judged: Vec<(String, Verdict)>,
}

/// Every verdict with its text, for looking at.
pub fn dump(runs: &[Run]) {
    let Some(first) = runs.first() else { return };
    for (k, (id, _)) in first.judged.iter().enumerate() {
        println!("== {id}");
        for run in runs {
            let verdict = &run.judged[k].1;
            println!("   {:28} {:14} {verdict}", run.name, verdict.word());
        }
    }
}

/// What the runs break that break something.
const BREAKS: &[(&str, &str)] = &[
    ("too short", "ends before the data are separated"),
    ("too large steps", "the loss rises from step to step"),
    ("biases", "biases in all layers: not homogeneous"),
    ("Adam", "a descent with a memory"),
    ("SGD, reshuffled", "batches reshuffled once an epoch"),
    ("wrong degree", "the model says a degree that is one too large"),
    ("wrong gradient", "the gradient of the first block is half as long as it is"),
    ("kinks denied", "the model says that it has no kinks"),
    ("wrong conserved", "the model says that the flow conserves what it does not"),
    ("turns away", "half of the tangential part of the update points backwards"),
    ("drifts", "the update drifts along a fixed direction besides"),
    ("margins too large", "margins are read off as larger by 5"),
    ("margins too small", "margins are read off as smaller by 5"),
    ("one margin too large", "the margin of the first example is read off as larger by 5"),
    ("one margin too small", "the margin of the first example is read off as smaller by 5"),
    ("radii a tenth, linear", "the same of a linear model"),
    ("radii a tenth", "attacks are said to succeed at a tenth of the distance at which they do"),
];

/// Everything that can be measured cheaply.
const PROBES: &str = "probes = ['margin', 'alignment', 'kkt', 'direction', 'balance', 'geometry', 'sgd', 'near', 'layers', 'theory', 'ntk', 'rotation', 'escape', 'saliency', 'two-homogeneous']\n";
const LOOK: &str = "look = { per_decade_of_step = 4, per_decade_of_ln_loss = 12 }\n";

const POINTS: &str = "data = { kind = 'gaussian-margin', n = 8, dim = 3, margin = 0.3 }\n";
const SMOOTH: &str =
    "model = { kind = 'mlp', widths = [6], activation = { kind = 'relu-power', p = 2.0 } }\n";
const RELU: &str = "model = { kind = 'mlp', widths = [12], activation = 'relu' }\n";
const EXP: &str = "loss = { kind = 'exponential', reduction = 'sum' }\n";
const LOGISTIC: &str = "loss = { kind = 'logistic', reduction = 'sum' }\n";
const FLOW: &str = "algorithm = { kind = 'flow', rtol = 1e-8 }\n";
const BUNDLE: &str = "algorithm = { kind = 'bundle', kappa = 0.004 }\n";

fn steps(pace: &str, more: &str) -> String {
    format!("algorithm = {{ kind = 'stepped', pace = {pace}{more} }}\n")
}

fn spec(parts: &[&str]) -> Spec {
    let text = format!("seed = 3\n{}{LOOK}{PROBES}", parts.concat());
    Spec::parse(&text, "spec", &[]).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

/// A short run whose robustness is measured.
fn robust(model: &str, algorithm: &str) -> Spec {
    let text = format!(
        "seed = 3\n{POINTS}{model}{EXP}{algorithm}stop = {{ log10_loss = -10 }}\nlook = {{ per_decade_of_step = 1 }}\n\
         probes = ['margin', 'alignment', 'robustness']\n"
    );
    Spec::parse(&text, "spec", &[]).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

/// Runs a spec, with its twin where one is asked for, and judges it by the facts as `lie` leaves them.
fn judged(name: &'static str, spec: &Spec, with_twin: bool, lie: impl Fn(&mut Facts)) -> Run {
    let go = |spec: &Spec| {
        let run = memory::run(spec, &Lookup::from_env(), &AtomicBool::new(false));
        run.unwrap_or_else(|e| panic!("{name}: {e}"))
    };
    let mut run = go(spec);
    lie(&mut run.facts);
    let finer: Option<Columns> = with_twin.then(|| go(&twin::of(spec).expect("a twin")).rows);
    named(name, &View { facts: &run.facts, rows: &run.rows, twin: finer.as_ref() })
}

fn named(name: &'static str, view: &View<'_>) -> Run {
    let judged = judge_all(view).into_iter().map(|j| (j.about.id.to_owned(), j.verdict)).collect();
    let breaks = BREAKS.iter().find(|(known, _)| *known == name).map(|(_, what)| *what);
    Run { name, is_sound: breaks.is_none(), breaks: breaks.unwrap_or_default(), judged }
}

/// Every run.
pub fn all() -> Vec<Run> {
    let stop = |log10: f64| format!("stop = {{ log10_loss = {log10:?}, steps = 400000 }}\n");
    let far = stop(-300.0);
    let near = stop(-20.0);
    let truth = |_: &mut Facts| {};
    let flow_l2 = |facts: &mut Facts| facts.phases = vec![Dynamics::Flow { norm: "l2".into(), rtol: 1e-8 }];
    let mut runs = vec![
        judged("flow, smooth", &spec(&[POINTS, SMOOTH, EXP, FLOW, &far]), false, truth),
        judged("flow, linear", &spec(&[POINTS, "model = 'linear'\n", LOGISTIC, FLOW, &near]), false, truth),
        judged(
            "flow, deep linear",
            &spec(&[POINTS, "model = { kind = 'deep-linear', widths = [4] }\n", EXP, FLOW, &far]),
            false,
            truth,
        ),
        judged(
            "flow, linear, far",
            &spec(&[POINTS, "model = 'linear'\n", EXP, FLOW, &stop(-1e5)]),
            false,
            truth,
        ),
        judged(
            "flow, deep linear, far",
            &spec(&[POINTS, "model = { kind = 'deep-linear', widths = [4] }\n", EXP, FLOW, &stop(-1e4)]),
            false,
            truth,
        ),
        judged("bundle, ReLU, far", &spec(&[POINTS, RELU, EXP, BUNDLE, &stop(-1e5)]), false, truth),
        judged("bundle, ReLU", &spec(&[POINTS, RELU, EXP, BUNDLE, &far]), true, truth),
        judged(
            "descent, small steps",
            &spec(&[POINTS, SMOOTH, EXP, &steps("{ kind = 'unit-decrease', eta = 0.02 }", ""), &near]),
            true,
            truth,
        ),
        judged(
            "descent, constant rate",
            &spec(&[
                POINTS,
                SMOOTH,
                LOGISTIC,
                &steps("{ kind = 'constant', eta = 0.05 }", ""),
                "stop = { steps = 20000 }\n",
            ]),
            false,
            truth,
        ),
        judged(
            "SGD, fresh batches",
            &spec(&[
                POINTS,
                RELU,
                LOGISTIC,
                &steps("{ kind = 'constant', eta = 0.2 }", ", batch = { kind = 'fresh', size = 2 }"),
                "stop = { steps = 50000 }\n",
            ]),
            false,
            truth,
        ),
        judged(
            "flow, softplus",
            &spec(&[
                POINTS,
                "model = { kind = 'mlp', widths = [6], activation = 'softplus' }\n",
                EXP,
                FLOW,
                &far,
            ]),
            false,
            truth,
        ),
        judged(
            "descent, SiLU",
            &spec(&[
                POINTS,
                "model = { kind = 'mlp', widths = [6], activation = 'silu' }\n",
                EXP,
                &steps("{ kind = 'unit-decrease', eta = 0.05 }", ""),
                &stop(-100.0),
            ]),
            true,
            truth,
        ),
        judged(
            "sign descent",
            &spec(&[
                POINTS,
                SMOOTH,
                EXP,
                &steps(
                    "{ kind = 'unit-decrease', eta = 0.01 }",
                    ", descent = { kind = 'steepest', norm = 'linf' }",
                ),
                &near,
            ]),
            true,
            truth,
        ),
        judged(
            "l3 flow",
            &spec(&[
                POINTS,
                SMOOTH,
                EXP,
                "algorithm = { kind = 'flow', norm = { kind = 'lp', p = 3.0 }, rtol = 1e-8 }\n",
                &near,
            ]),
            false,
            truth,
        ),
        judged(
            "flow, three classes",
            &spec(&[
                "data = { kind = 'digits', classes = [0, 1, 2], train = 12 }\n",
                "model = { kind = 'mlp', widths = [6], activation = { kind = 'relu-power', p = 2.0 } }\n",
                "loss = { kind = 'cross-entropy', reduction = 'sum' }\n",
                FLOW,
                &near,
            ]),
            false,
            truth,
        ),
        judged(
            "Mexican hat",
            &spec(&["data = 'two-points'\n", "model = 'mexican-hat'\n", EXP, FLOW, &stop(-1e5)]),
            false,
            truth,
        ),
        judged(
            "rotation-free, parity",
            &spec(&[
                "data = { kind = 'xor-parity', dim = 3 }\n",
                "model = { kind = 'rotation-free', width = 40 }\n",
                EXP,
                BUNDLE,
                &far,
            ]),
            true,
            truth,
        ),
        judged(
            "ReLU, parity",
            &spec(&[
                "data = { kind = 'xor-parity', dim = 3 }\n",
                "model = { kind = 'mlp', widths = [32] }\n",
                EXP,
                BUNDLE,
                &far,
            ]),
            true,
            truth,
        ),
        judged(
            "ReLU, groups",
            &spec(&[
                "data = { kind = 'groups', groups = 3, each = 3, dim = 4 }\n",
                "model = { kind = 'mlp', widths = [32] }\n",
                LOGISTIC,
                BUNDLE,
                &far,
            ]),
            true,
            truth,
        ),
        judged(
            "Mexican hat, exponent 3",
            &spec(&[
                "data = 'two-points'\n",
                "model = { kind = 'mexican-hat', exponent = 3 }\n",
                LOGISTIC,
                FLOW,
                &stop(-1e4),
            ]),
            false,
            truth,
        ),
        judged(
            "flow, deep linear, logistic",
            &spec(&[
                POINTS,
                "model = { kind = 'deep-linear', widths = [3, 3] }\n",
                LOGISTIC,
                FLOW,
                &stop(-1e4),
            ]),
            false,
            truth,
        ),
        judged(
            "rotation-free, logistic",
            &spec(&[
                "data = { kind = 'xor-parity', dim = 2 }\n",
                "model = { kind = 'rotation-free', width = 30 }\n",
                LOGISTIC,
                BUNDLE,
                &far,
            ]),
            true,
            truth,
        ),
        judged(
            "ReLU, two groups",
            &spec(&[
                "data = { kind = 'groups', groups = 2, each = 4, dim = 3 }\n",
                "model = { kind = 'mlp', widths = [24] }\n",
                EXP,
                BUNDLE,
                &stop(-2e4),
            ]),
            true,
            truth,
        ),
        judged(
            "SGD, linear",
            &spec(&[
                "data = 'two-points'\n",
                "model = 'linear'\n",
                LOGISTIC,
                &steps("{ kind = 'constant', eta = 1.0 }", ", batch = { kind = 'fresh', size = 1 }"),
                "stop = { steps = 20000 }\n",
            ]),
            false,
            truth,
        ),
        judged(
            "descent, linear",
            &spec(&[
                "data = 'two-points'\n",
                "model = 'linear'\n",
                EXP,
                &steps("{ kind = 'constant', eta = 0.5 }", ""),
                "stop = { steps = 20000 }\n",
            ]),
            true,
            truth,
        ),
        judged(
            "flow, frozen outer layer",
            &spec(&[
                "data = { kind = 'xor-parity', dim = 2 }\n",
                "model = { kind = 'mlp', widths = [6], activation = 'relu-power', freeze = ['2.weight'], init = { kind = 'values', values = [0.5, 0.3, -0.4, -0.5, 0.3, -0.1, 0.5, -0.2, -0.3, 0.4, 0.1, 0.2, 1, 1, 1, -1, -1, -1] } }\n",
                EXP,
                FLOW,
                &far,
            ]),
            false,
            truth,
        ),
        judged("ReLU, robustness", &robust(RELU, BUNDLE), false, truth),
        judged("linear, robustness", &robust("model = 'linear'\n", FLOW), false, truth),
        // What must not pass.
        judged("too short", &spec(&[POINTS, SMOOTH, EXP, FLOW, "stop = { steps = 2 }\n"]), false, truth),
        judged(
            "too large steps",
            &spec(&[
                POINTS,
                SMOOTH,
                EXP,
                &steps("{ kind = 'loss-scaled', eta = 2.0 }", ""),
                "stop = { steps = 3000, log10_loss = -300 }\n",
            ]),
            true,
            truth,
        ),
        judged(
            "biases",
            &spec(&[
                POINTS,
                "model = { kind = 'mlp', widths = [6], activation = 'relu', bias = 'all' }\n",
                EXP,
                BUNDLE,
                &near,
            ]),
            true,
            truth,
        ),
        judged(
            "Adam",
            &spec(&[
                POINTS,
                SMOOTH,
                EXP,
                &steps("{ kind = 'normalized', c = 0.01 }", ", descent = 'adam'"),
                "stop = { steps = 3000, log10_loss = -300 }\n",
            ]),
            false,
            truth,
        ),
        judged(
            "SGD, reshuffled",
            &spec(&[
                POINTS,
                RELU,
                LOGISTIC,
                &steps("{ kind = 'constant', eta = 0.2 }", ", batch = { kind = 'shuffle', size = 2 }"),
                "stop = { steps = 20000 }\n",
            ]),
            false,
            truth,
        ),
    ];
    let mut lied = |name, text: &[&str], change: &dyn Fn(&mut Spec), lie: &dyn Fn(&mut Facts)| {
        let mut spec = spec(text);
        change(&mut spec);
        runs.push(judged(name, &spec, false, lie));
    };
    let base: &[&str] = &[POINTS, SMOOTH, EXP, FLOW, &near];
    for (name, wrong) in [
        ("wrong degree", Wrong::Degree),
        ("wrong gradient", Wrong::Gradient),
        ("kinks denied", Wrong::NoKinks),
        ("wrong conserved", Wrong::Conserved),
    ] {
        let text: &[&str] = if name == "kinks denied" { &[POINTS, RELU, EXP, FLOW, &near] } else { base };
        lied(name, text, &|s| s.model = sabotage::model(s.model.clone(), wrong), &truth);
    }
    for (name, wrong) in [("turns away", Update::TurnsAway), ("drifts", Update::Drifts)] {
        lied(name, base, &|s| s.algorithm[0].algorithm = sabotage::update(wrong), &flow_l2);
    }
    for (name, by, all) in [
        ("margins too large", 5.0, true),
        ("margins too small", -5.0, true),
        ("one margin too large", 5.0, false),
        ("one margin too small", -5.0, false),
    ] {
        lied(name, base, &|s| s.loss = sabotage::margins_off(s.loss.clone(), by, all), &|facts| {
            facts.tail = latephase_lab::claim::Tail::Exponential;
        });
    }
    // The record itself is wrong.
    for (name, model) in [("radii a tenth", RELU), ("radii a tenth, linear", "model = 'linear'\n")] {
        let algorithm = if model == RELU { BUNDLE } else { FLOW };
        runs.push(judged_record(name, &robust(model, algorithm), |rows| {
            for (column, values) in rows.0.iter_mut().filter(|(c, _)| c.starts_with("robust_radius")) {
                let _ = column;
                values.iter_mut().for_each(|v| *v *= 0.1);
            }
        }));
    }
    runs
}

/// A run whose record is changed before it is judged.
fn judged_record(name: &'static str, spec: &Spec, change: impl Fn(&mut Columns)) -> Run {
    let mut run = memory::run(spec, &Lookup::from_env(), &AtomicBool::new(false)).expect("a run");
    change(&mut run.rows);
    named(name, &View { facts: &run.facts, rows: &run.rows, twin: None })
}
