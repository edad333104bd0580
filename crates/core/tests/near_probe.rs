//! The probe of near-homogeneous networks against formulas, other probes, and models that lie.

mod common;

use std::sync::Arc;

use common::{algorithm, assert_close, data, measure, model, normals, parse, problem};
use latephase_core::algorithm::Algorithm;
use latephase_core::model::{Model, Tape};
use latephase_core::norm::AnyNorm;
use latephase_core::numeric::{dot, norm, softplus};
use latephase_core::probe::{AnyProbe, Context, Probe, Row, StepRecord};
use latephase_core::{Breakdown, Data, Degree, Iterate, Layout, Problem, Rows};
use rand_chacha::ChaCha8Rng;

fn probe(kind: &str, settings: &str, problem: &Problem, theta: &[f64]) -> Box<dyn Probe> {
    let mut probe = parse::<AnyProbe>(&format!("kind = '{kind}'\n{settings}")).build();
    let context = Context { problem, theta, norms: vec![AnyNorm::default()], weight_decay: 0.0 };
    probe.begin(&context).unwrap();
    probe
}

fn look(kind: &str, settings: &str, problem: &Problem, theta: &[f64]) -> Row {
    let mut probe = probe(kind, settings, problem, theta);
    measure(probe.as_mut(), problem, &mut Iterate::new(theta.to_vec()))
}

fn begin(text: &str, problem: &Problem) -> Box<dyn Algorithm> {
    let mut algorithm = algorithm(text).build();
    algorithm.begin(problem, 7).unwrap_or_else(|e| panic!("{text}: {e}"));
    algorithm
}

/// Steps that the probe sees, and the looks in between.
fn follow(
    steps: &mut dyn Algorithm,
    probe: &mut dyn Probe,
    problem: &Problem,
    at: &mut Iterate,
    (looks, between): (usize, usize),
) -> Vec<Row> {
    let mut rows = Vec::new();
    for _ in 0..looks {
        for _ in 0..between {
            let before = at.theta().to_vec();
            steps.step(problem, at).unwrap();
            probe.step(&StepRecord {
                problem,
                before: &before,
                after: at.theta(),
                taken: steps.taken(),
                ends: None,
            });
        }
        rows.push(measure(probe, problem, at));
    }
    rows
}

/// Six points in space, three of each sign, that a line through 0 does not separate for long.
fn six() -> Arc<Data> {
    let x = normals(3, "six", 18);
    let labels: Vec<u32> = x.chunks(3).map(|x| u32::from(x[0] + 0.4 * x[1] * x[2] > 0.0)).collect();
    data(&x, &labels, 3, 2)
}

fn two_layer(activation: &str, loss: &str) -> (Problem, Vec<f64>) {
    let net = model(&format!("kind = 'mlp'\nwidths = [6]\nactivation = '{activation}'"), 3, 1);
    let theta = normals(8, activation, net.layout().dim()).iter().map(|t| 0.5 * t).collect();
    (problem(net, loss, six()), theta)
}

const EXP: &str = "kind = 'exponential'";

#[test]
fn two_layer_softplus_has_the_values_of_its_formulas() {
    let (problem, theta) = two_layer("softplus", EXP);
    let row = look("near", "", &problem, &theta);
    let (w, a) = theta.split_at(18);
    let (rho, data) = (norm(&theta), six());
    let radius = data.rows().data.chunks(3).map(norm).fold(0.0, f64::max);
    assert!(radius > 1.0);
    let (mut defect, mut gap, mut q_min, mut limit_min) = (0.0f64, 0.0f64, f64::INFINITY, f64::INFINITY);
    for (x, label) in data.rows().data.chunks(3).zip(data.labels()) {
        let (mut d, mut f, mut h) = (0.0, 0.0, 0.0);
        for j in 0..6 {
            let z = dot(&w[3 * j..3 * j + 3], x);
            d += a[j] * (z / (1.0 + (-z).exp()) - softplus(z));
            f += a[j] * softplus(z);
            h += a[j] * z.max(0.0);
        }
        let sign = if *label == 0 { 1.0 } else { -1.0 };
        (defect, gap) = (defect.max(d.abs()), gap.max((f - h).abs()));
        (q_min, limit_min) = (q_min.min(sign * f), limit_min.min(sign * h));
    }
    let bound = std::f64::consts::LN_2 * 6f64.sqrt() * rho;
    let phi = -problem.eval(&theta, &latephase_core::RowSet::Full).unwrap().ln_loss_sum;
    assert_close(row.get("defect"), defect, 1e-12, "defect");
    assert_close(row.get("defect_ratio"), defect / bound, 1e-10, "its ratio");
    assert_close(row.get("homogenized_gap"), gap, 1e-12, "gap");
    assert_close(row.get("homogenized_gap_ratio"), gap / bound, 1e-10, "its ratio");
    assert_close(row.get("modified_margin"), (phi - bound) / (rho * rho), 1e-13, "modified margin");
    assert_eq!(row.get("strongly_separated"), f64::from(u8::from(phi > bound)));
    assert_close(row.get("margin_homogenized"), limit_min / (rho * rho), 1e-13, "margin of the limit");
    assert_close(row.get("margin_gap"), (q_min - limit_min) / (rho * rho), 1e-12, "margin gap");
    assert!(row.get("margin_gap_ratio") <= 1.0);
}

#[test]
fn a_homogeneous_model_is_its_own_limit() {
    for activation in ["relu", "quadratic", "identity"] {
        let (problem, theta) = two_layer(activation, EXP);
        let mut at = Iterate::new(theta.clone());
        let mut steps = begin("kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 0.2 }", &problem);
        let mut near = probe("near", "within = 0.03\nsamples = 0", &problem, &theta);
        let rows = follow(steps.as_mut(), near.as_mut(), &problem, &mut at, (4, 300));
        let (row, theta) = (rows.last().unwrap(), at.theta());
        let margin = look("margin", "", &problem, theta);
        let kkt = look("kkt", "", &problem, theta);
        assert!(margin.get("margin") > 0.0, "{activation} separates");
        for column in ["defect_ratio", "homogenized_gap_ratio", "margin_gap_ratio"] {
            assert!(row.get(column) <= 1.0, "{activation}: {column} {}", row.get(column));
        }
        assert_close(row.get("margin_homogenized"), margin.get("margin"), 1e-12, activation);
        assert_close(row.get("modified_margin"), margin.get("smooth_margin"), 1e-12, activation);
        assert_close(row.get("kkt_homogenized"), kkt.get("kkt_epsilon"), 1e-8, activation);
        assert_close(row.get("kkt_homogenized_fit"), kkt.get("kkt_epsilon_fit"), 1e-8, activation);
        assert!(row.get("gradient_gap") < 1e-12, "{activation}");
        assert!(row.get("rate_certificate") >= 1.0, "{activation}");
        // Nothing is ahead: B is the integral of rounding.
        assert!(row.get("tight_bound").abs() < 1e-10 * row.get("tight_margin"), "{activation}");
    }
}

#[test]
fn every_bound_of_the_theory_holds_along_gradient_steps_of_any_length() {
    for activation in ["softplus", "silu", "gelu", "mish", "relu"] {
        for pace in [
            "{ kind = 'constant', eta = 0.1 }",
            "{ kind = 'constant', eta = 1.0 }",
            "{ kind = 'constant', eta = 10.0 }",
            "{ kind = 'unit-decrease', eta = 0.02 }",
            "{ kind = 'unit-decrease', eta = 1.0 }",
        ] {
            let loss = if pace.contains("constant") { "kind = 'logistic'\nreduction = 'mean'" } else { EXP };
            let (problem, theta) = two_layer(activation, loss);
            let mut at = Iterate::new(theta.clone());
            // Far enough that a long constant step no longer diverges.
            let mut warm = begin("kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 0.1 }", &problem);
            (0..80).for_each(|_| warm.step(&problem, &mut at).unwrap());
            let mut steps = begin(&format!("kind = 'stepped'\npace = {pace}"), &problem);
            let mut near = probe("near", "", &problem, &theta);
            let name = format!("{activation}, {pace}");
            let rows = follow(steps.as_mut(), near.as_mut(), &problem, &mut at, (15, 200));
            for row in &rows {
                for column in ["defect_ratio", "homogenized_gap_ratio", "margin_gap_ratio"] {
                    assert!(row.get(column) <= 1.0, "{name}: {column} {}", row.get(column));
                }
                assert!(!(row.get("rate_certificate") < 1.0), "{name}: {}", row.get("rate_certificate"));
                assert!(!(row.get("step_certificate") < -1e-9), "{name}: {}", row.get("step_certificate"));
            }
            let last = rows.last().unwrap();
            assert_eq!(last.get("step_violations"), 0.0, "{name}");
            assert_eq!(last.get("key_violations"), 0.0, "{name}");
            let certified = rows.iter().filter(|r| !r.get("step_certificate").is_nan()).count();
            assert!(certified >= 10, "{name}: only {certified} looks have certified steps");
        }
    }
}

#[test]
fn small_steps_raise_the_modified_margin_and_the_sharper_one_applies_earlier() {
    let (problem, theta) = two_layer("softplus", EXP);
    let mut at = Iterate::new(theta.clone());
    let mut steps = begin("kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 0.01 }", &problem);
    let mut near = probe("near", "", &problem, &theta);
    let rows = follow(steps.as_mut(), near.as_mut(), &problem, &mut at, (60, 500));
    let last = rows.last().unwrap();
    assert_eq!(last.get("strongly_separated"), 1.0);
    assert_eq!(last.get("modified_falls"), 0.0);
    for pair in rows.windows(2) {
        let [a, b] = [&pair[0], &pair[1]];
        assert!(b.get("tight_margin") >= a.get("tight_margin") * (1.0 - 1e-12), "m falls");
        assert!(b.get("tight_bound") <= a.get("tight_bound") * (1.0 + 1e-12), "B rises");
        if a.get("modified_margin") > 0.0 {
            assert!(b.get("modified_margin") > a.get("modified_margin"));
        }
    }
    // Δ ≤ p′ makes c ≤ p_a: what is strongly separated is so in the sharper sense, and earlier.
    assert!(last.get("tight_at") < 0.5 * last.get("separated_at"), "{}", last.get("tight_at"));
    // A long step is no flow: the modified margin may fall, and is then counted.
    let mut at = Iterate::new(at.theta().to_vec());
    let mut long = begin("kind = 'stepped'\npace = { kind = 'loss-scaled', eta = 0.5 }", &problem);
    let rows = follow(long.as_mut(), near.as_mut(), &problem, &mut at, (1, 30));
    assert!(rows[0].get("modified_falls") > 0.0 && rows[0].get("modified_fall") > 1e-6);
    assert_eq!(rows[0].get("step_violations"), 0.0, "the certificate holds for any step");
}

/// A network whose degree is claimed to be another one.
#[derive(Debug)]
struct Claiming {
    inner: Box<dyn Model>,
    degree: Degree,
}

impl Model for Claiming {
    fn layout(&self) -> &Layout {
        self.inner.layout()
    }
    fn degree(&self) -> &Degree {
        &self.degree
    }
    fn inputs(&self) -> usize {
        self.inner.inputs()
    }
    fn outputs(&self) -> usize {
        self.inner.outputs()
    }
    fn init(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        self.inner.init(rng)
    }
    fn forward(&self, t: &[f64], x: Rows<'_>, out: &mut [f64], tape: &mut Tape) -> Result<(), Breakdown> {
        self.inner.forward(t, x, out, tape)
    }
    fn pullback(
        &self,
        t: &[f64],
        x: Rows<'_>,
        tape: &mut Tape,
        cot: &[f64],
        grad: Option<&mut [f64]>,
        dx: Option<&mut [f64]>,
    ) -> Result<(), Breakdown> {
        self.inner.pullback(t, x, tape, cot, grad, dx)
    }
    fn row_size(&self) -> usize {
        self.inner.row_size()
    }
}

#[test]
fn a_claimed_degree_that_is_wrong_is_caught() {
    for claimed in [1.9, 3.0] {
        let inner = model("kind = 'mlp'\nwidths = [6]", 3, 1);
        let theta = normals(8, "relu", inner.layout().dim());
        let lying = Claiming { inner, degree: Degree::Exact { degree: claimed } };
        let problem = problem(Box::new(lying), EXP, six());
        let mut near = probe("near", "", &problem, &theta);
        let mut at = Iterate::new(theta);
        let mut steps = begin("kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 0.1 }", &problem);
        let rows = follow(steps.as_mut(), near.as_mut(), &problem, &mut at, (5, 400));
        let last = rows.last().unwrap();
        assert!(last.get("defect_ratio") > 1e6, "{claimed}: {}", last.get("defect_ratio"));
        assert_eq!(last.get("step_violations"), 0.0, "the certificate needs no degree");
        // Too high a degree promises more than S; too low a one is on the safe side here.
        assert_eq!(last.get("key_violations") > 0.0, claimed > 2.0, "{claimed}");
        assert_eq!(last.get("rate_certificate") < 1.0, claimed > 2.0, "{claimed}");
    }
}

#[test]
fn only_gradient_steps_on_the_full_set_are_certified() {
    for steps in [
        "kind = 'stepped'\npace = { kind = 'constant', eta = 0.01 }\nbatch = { kind = 'fresh', size = 3 }",
        "kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 0.1 }\ndescent = { kind = 'steepest', norm = 'linf' }",
        "kind = 'flow'",
    ] {
        let (problem, theta) = two_layer("softplus", EXP);
        let mut near = probe("near", "", &problem, &theta);
        let mut at = Iterate::new(theta);
        let mut algorithm = begin(steps, &problem);
        let rows = follow(algorithm.as_mut(), near.as_mut(), &problem, &mut at, (2, 20));
        for row in rows {
            assert!(row.get("step_certificate").is_nan() && row.get("key_inequality").is_nan(), "{steps}");
            assert_eq!(row.get("step_violations") + row.get("key_violations"), 0.0);
        }
    }
}

#[test]
fn a_resumed_probe_writes_the_same_rows() {
    let (problem, theta) = two_layer("silu", "kind = 'logistic'");
    let text = "kind = 'stepped'\npace = { kind = 'constant', eta = 0.3 }";
    let run = |resume: bool| {
        let mut near = probe("near", "samples = 4", &problem, &theta);
        let (mut at, mut steps) = (Iterate::new(theta.clone()), begin(text, &problem));
        let mut rows = Vec::new();
        for _ in 0..4 {
            rows.extend(follow(steps.as_mut(), near.as_mut(), &problem, &mut at, (1, 37)));
            follow(steps.as_mut(), near.as_mut(), &problem, &mut at, (0, 5));
            let before = at.theta().to_vec();
            steps.step(&problem, &mut at).unwrap();
            near.step(&StepRecord {
                problem: &problem,
                before: &before,
                after: at.theta(),
                taken: steps.taken(),
                ends: None,
            });
            if resume {
                let state = near.save();
                near = probe("near", "samples = 4", &problem, &theta);
                near.load(&state).unwrap();
                assert_eq!(format!("{:?}", near.save()), format!("{state:?}"));
            }
        }
        rows
    };
    let bits = |rows: Vec<Row>| -> Vec<u64> {
        rows.iter().flat_map(|r| r.cells.iter().map(|(_, v)| v.to_bits())).collect()
    };
    assert_eq!(bits(run(true)), bits(run(false)));
}

#[test]
fn margins_of_several_classes_have_root_two_times_the_bounds() {
    let text = "kind = 'network'\nlayers = [{ kind = 'dense', width = 5, bias = true }, 'gelu', { kind = 'residual', body = ['dense', 'silu', 'dense', 'bias'] }, { kind = 'dense', bias = true }]";
    let x = normals(1, "x", 36);
    let labels: Vec<u32> = (0..12).map(|i| i % 3).collect();
    let net = model(text, 3, 3);
    let dim = net.layout().dim();
    let problem = problem(net, "kind = 'cross-entropy'", data(&x, &labels, 3, 3));
    for seed in 0..10 {
        for scale in [0.1, 1.0, 10.0] {
            let theta: Vec<f64> = normals(seed, "theta", dim).iter().map(|t| scale * t).collect();
            let row = look("near", "", &problem, &theta);
            for column in ["defect_ratio", "homogenized_gap_ratio", "margin_gap_ratio"] {
                assert!(row.get(column) <= 1.0, "{column} {}", row.get(column));
            }
        }
    }
}

#[test]
fn what_has_no_degree_is_refused_with_the_reason() {
    let (problem, theta) = two_layer("tanh", EXP);
    let mut near = parse::<AnyProbe>("kind = 'near'").build();
    let context = Context { problem: &problem, theta: &theta, norms: Vec::new(), weight_decay: 0.0 };
    let message = near.begin(&context).unwrap_err().to_string();
    assert!(message.contains("tanh saturates: its homogenization is zero"), "{message}");
    for (settings, says) in [("within = -1.0", "within"), ("most = 0", "most"), ("spread = 0.0", "spread")] {
        let (problem, theta) = two_layer("silu", EXP);
        let context = Context { problem: &problem, theta: &theta, norms: Vec::new(), weight_decay: 0.0 };
        let mut near = parse::<AnyProbe>(&format!("kind = 'near'\n{settings}")).build();
        assert_eq!(near.begin(&context).unwrap_err().field, says);
    }
}
