//! The probes against the exact test vectors of the theory (80-digit arithmetic), at ordinary scale and at a loss of
//! 10^-227695, and against laws: identities, invariance under reordering, certificates that bound each other.

use std::sync::Arc;

use latephase_core::algorithm::{Algorithm, Bundle};
use latephase_core::loss::{AnyLoss, CrossEntropy, Exponential, Logistic};
use latephase_core::model::{Architecture, Mlp, Model, Tape};
use latephase_core::norm::AnyNorm;
use latephase_core::probe::{AnyProbe, Context, Row, Snapshot};
use latephase_core::rng::stream;
use latephase_core::{Breakdown, Data, Degree, Iterate, Layout, Problem, Rows};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

const T: f64 = 1.0 / 1048576.0;

fn data(labels: [u32; 3], classes: usize) -> Arc<Data> {
    let names = (0..classes).map(|k| k.to_string()).collect();
    let x = vec![1.0, 1.0, -1.0, 1.0 + T, 2.0, -0.5];
    Arc::new(Data::new(x, labels.to_vec(), names, vec![2]).unwrap())
}

fn problem(loss: AnyLoss, labels: [u32; 3], classes: usize) -> Problem {
    let data = data(labels, classes);
    let loss = loss.build();
    let outputs = loss.outputs(classes).unwrap();
    let model = Mlp { widths: vec![2], ..Mlp::default() }.assemble(&[2], outputs).unwrap();
    Problem::new(model, loss, data, None)
}

/// Every probe's columns at θ.
fn look(problem: &Problem, theta: &[f64]) -> Row {
    let mut at = Iterate::new(theta.to_vec());
    let mut row = Row::default();
    for name in AnyProbe::NAMES {
        let mut probe = AnyProbe::example(name).build();
        let columns = probe
            .begin(&Context { problem, theta, norms: vec![AnyNorm::default()], weight_decay: 0.0 })
            .unwrap();
        let snapshot = Snapshot::new(problem, &mut at, None).unwrap();
        let before = row.cells.len();
        probe.measure(&snapshot, &mut row);
        let written: Vec<&str> = row.cells[before..].iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(written, columns, "{name} writes the columns that it announced");
    }
    row
}

fn binary(c: f64) -> Vec<f64> {
    [0.5, 1.0, 1.0, -0.5, 1.0, -2.0].map(|t| t * c).to_vec()
}

fn check(row: &Row, expected: &[(&str, f64)], what: &str) {
    for (column, value) in expected {
        let ours = row.get(column);
        // The vectors are printed to 15 digits.
        assert!((ours / value - 1.0).abs() < 2e-12, "{what}, {column}: {ours} against {value}");
    }
}

#[test]
fn binary_losses_give_the_exact_certificates_at_both_ends() {
    let late = [
        ("q_min", 524288.0),
        ("margin", 0.0666666666666667),
        ("margin_product", 0.14142135623731),
        ("smooth_margin", 0.0666666268333832),
        ("beta", 0.136670226142851),
        ("nu_rel", 524288.268941421),
        ("kkt_epsilon", 5.08919376873336),
        ("kkt_delta", 5.25802603098922e-7),
        ("margin_linf", 0.125),
        ("margin_l1", 0.0138888888888889),
    ];
    let exp: [(&str, f64); 10] = [
        ("q_min", 2.0),
        ("margin", 0.0666666666666667),
        ("margin_product", 0.14142135623731),
        ("smooth_margin", 0.0435618103673934),
        ("beta", 0.18116490637322),
        ("nu_rel", 2.00000772805392),
        ("kkt_epsilon", 4.95631443804803),
        ("kkt_delta", 3.95439096019733e-6),
        ("margin_linf", 0.125),
        ("margin_l1", 0.0138888888888889),
    ];
    let logistic: [(&str, f64); 6] = [
        ("smooth_margin", 0.0413792616867848),
        ("beta", 0.181165022842895),
        ("nu_rel", 1.87828431700376),
        ("kkt_epsilon", 4.95631408555926),
        ("kkt_delta", 4.48955892022372e-6),
        ("margin_linf", 0.125),
    ];
    let e = problem(Exponential::default().into(), [0, 0, 1], 2);
    let l = problem(Logistic::default().into(), [0, 0, 1], 2);
    check(&look(&e, &binary(2.0)), &exp, "exponential");
    check(&look(&l, &binary(2.0)), &logistic, "logistic");
    check(&look(&e, &binary(1024.0)), &late, "exponential, late");
    check(&look(&l, &binary(1024.0)), &late, "logistic, late");
}

#[test]
fn cross_entropy_gives_the_exact_certificates_at_both_ends() {
    let p = problem(CrossEntropy::default().into(), [0, 0, 1], 3);
    let theta = |c: f64| -> Vec<f64> {
        let a = 1.0 / 2097152.0;
        [0.5, 1.0, 1.0, -0.5, 1.0, 0.0, 0.0, 1.0, a, -0.25].iter().map(|t| t * c).collect()
    };
    let early = [
        ("q_min", 2.00000286102113),
        ("margin", 0.109589197864166),
        ("margin_product", 0.22019306801332),
        ("smooth_margin", 0.0665122801870636),
        ("beta", 0.346129785208623),
        ("nu_rel", 1.97610362876767),
        ("kkt_epsilon", 3.45443401290241),
        ("kkt_delta", 0.110364625984091),
        ("margin_linf", 0.500000715255283),
        ("margin_l1", 0.0181406122241828),
    ];
    let late = [
        ("q_min", 524288.749999523),
        ("margin", 0.109589197864166),
        ("smooth_margin", 0.109589077478756),
        ("beta", 0.303662105219912),
        ("nu_rel", 524288.859455577),
        ("kkt_epsilon", 3.56484900109341),
        ("kkt_delta", 2.89242437918302e-7),
        ("margin_linf", 0.500000715255283),
    ];
    check(&look(&p, &theta(2.0)), &early, "cross-entropy");
    check(&look(&p, &theta(1024.0)), &late, "cross-entropy, late");
}

/// Random inputs whose labels the network at θ itself gives, so that every margin is positive.
fn separated(seed: u64) -> (Problem, Vec<f64>, Vec<usize>) {
    let mut rng = stream(seed, "test", 0);
    let x: Vec<f64> = (0..400 * 3).map(|_| rng.random_range(-1.0..1.0)).collect();
    let model = || Mlp { widths: vec![7], ..Mlp::default() }.assemble(&[3], 1).unwrap();
    let theta: Vec<f64> = model().init(&mut rng).iter().map(|t| 3.0 * t).collect();
    let make = |x: Vec<f64>, labels: Vec<u32>| {
        let data = Data::new(x, labels, vec!["+".into(), "-".into()], vec![3]).unwrap();
        Problem::new(model(), Box::new(Exponential::default()), Arc::new(data), None)
    };
    let free = make(x.clone(), vec![0; 400]);
    let outputs = free.outputs(&theta, free.train.rows()).unwrap();
    // Points where every neuron is dead have margin 0 under either label.
    let clear: Vec<usize> = (0..400).filter(|&i| outputs[i].abs() > 0.05).take(40).collect();
    let x = clear.iter().flat_map(|&i| x[3 * i..3 * i + 3].to_vec()).collect();
    let labels = clear.iter().map(|&i| u32::from(outputs[i] < 0.0)).collect();
    let mut order: Vec<usize> = (0..40).collect();
    order.reverse();
    order.swap(3, 20);
    (make(x, labels), theta, order)
}

#[test]
fn the_gradient_multipliers_satisfy_the_identity_between_epsilon_and_beta() {
    for seed in 0..20 {
        let (problem, theta, _) = separated(seed);
        let row = look(&problem, &theta);
        let (margin, beta) = (row.get("margin"), row.get("beta"));
        let identity = margin.powf(-0.5) * (2.0 * (1.0 - beta)).sqrt();
        assert!((row.get("kkt_epsilon") / identity - 1.0).abs() < 1e-10);
        // Lyu & Li, item 7: a bound on delta without any dynamics, for degree 2.
        let bound = 1.0 / (std::f64::consts::E * 2.0 * margin * row.get("q_min"));
        assert!(row.get("kkt_delta") <= bound * (1.0 + 1e-12));
        assert!(row.get("euler_defect") < 1e-12);
        // The smoothed margins of all geometries share their numerator, ℓ⁻¹(𝓛).
        for kind in ["_product", "_l1", "_linf"] {
            let ratio = row.get(&format!("smooth_margin{kind}")) / row.get(&format!("margin{kind}"));
            assert!((ratio / (row.get("smooth_margin") / margin) - 1.0).abs() < 1e-12, "{kind}");
        }
        // Lyu & Li, item 11: the smoothed margin lies below the margin by at most ln n over ρ².
        let gap = 40f64.ln() * margin / row.get("q_min");
        assert!(row.get("smooth_margin") <= margin && row.get("smooth_margin") >= margin - gap);
    }
}

#[test]
fn fitted_multipliers_over_every_constraint_are_never_worse_than_the_gradients() {
    for seed in 0..20 {
        let (problem, theta, _) = separated(seed);
        let mut at = Iterate::new(theta.clone());
        let probe: AnyProbe = toml::from_str("kind = \"kkt\"\nwithin = 1e9\nmost = 1000").unwrap();
        let mut probe = probe.build();
        probe
            .begin(&Context {
                problem: &problem,
                theta: &theta,
                norms: vec![AnyNorm::default()],
                weight_decay: 0.0,
            })
            .unwrap();
        let mut row = Row::default();
        probe.measure(&Snapshot::new(&problem, &mut at, None).unwrap(), &mut row);
        assert_eq!(row.get("kkt_support"), 40.0);
        assert!(row.get("kkt_epsilon_fit") <= row.get("kkt_epsilon") * (1.0 + 1e-9));
    }
}

#[test]
fn a_known_kkt_point_has_no_residual() {
    // One example, linear in the active neuron: θ = (x̂, 1)·c is the maximum margin of a single point.
    let data = Data::new(vec![3.0, 4.0], vec![0], vec!["+".into(), "-".into()], vec![2]).unwrap();
    let model = Mlp { widths: vec![1], ..Mlp::default() }.assemble(&[2], 1).unwrap();
    let problem = Problem::new(model, Box::new(Logistic::default()), Arc::new(data), None);
    for c in [1.0, 1e3] {
        let row = look(&problem, &[0.6 * c, 0.8 * c, c]);
        assert!(row.get("kkt_epsilon") < 1e-14, "{}", row.get("kkt_epsilon"));
        assert!(row.get("kkt_epsilon_fit") < 1e-14);
        assert!((row.get("beta") - 1.0).abs() < 1e-15);
        assert!((row.get("margin") - 2.5).abs() < 1e-14);
    }
}

#[test]
fn margins_and_certificates_are_those_of_the_sum_whatever_the_reduction() {
    for (sum, mean) in [
        ("kind = 'exponential'", "kind = 'exponential'\nreduction = 'mean'"),
        ("kind = 'logistic'", "kind = 'logistic'\nreduction = 'mean'"),
        ("kind = 'cross-entropy'", "kind = 'cross-entropy'\nreduction = 'mean'"),
    ] {
        let make = |text: &str| problem(toml::from_str(text).unwrap(), [0, 0, 1], 2);
        let (sum, mean) = (make(sum), make(mean));
        let outputs = sum.model.outputs();
        let theta: Vec<f64> = (0..4 + 2 * outputs).map(|k| 3.0 + (k as f64).sin()).collect();
        let (a, b) = (look(&sum, &theta), look(&mean, &theta));
        for ((name, x), (_, y)) in a.cells.iter().zip(&b.cells) {
            assert!(x == y || x.is_nan() && y.is_nan(), "{name}: {x} of the sum, {y} of the mean");
        }
    }
}

#[test]
fn probes_do_not_depend_on_the_order_of_the_examples() {
    for seed in 0..5 {
        let (problem, theta, order) = separated(seed);
        let model = Mlp { widths: vec![7], ..Mlp::default() }.assemble(&[3], 1).unwrap();
        let shuffled = Arc::new(problem.train.select(&order));
        let other = Problem::new(model, Box::new(Exponential::default()), shuffled, None);
        let (a, b) = (look(&problem, &theta), look(&other, &theta));
        for ((name, x), (_, y)) in a.cells.iter().zip(&b.cells) {
            let same = x.is_nan() && y.is_nan() || (x - y).abs() <= 1e-9 * x.abs().max(1e-3);
            assert!(same, "{name}: {x} and {y}");
        }
    }
}

#[test]
fn nothing_is_certified_before_the_data_are_separated() {
    let (problem, theta, _) = separated(1);
    let flipped: Vec<f64> = theta.iter().enumerate().map(|(k, t)| if k >= 21 { -t } else { *t }).collect();
    let row = look(&problem, &flipped);
    assert!(row.get("q_min") < 0.0);
    for column in ["kkt_epsilon", "kkt_epsilon_fit", "kkt_epsilon_bundle"] {
        assert!(row.get(column).is_nan(), "{column} is unknown, not a default");
    }
}

/// A network that claims no degree.
#[derive(Debug)]
struct Degreeless(Box<dyn Model>, Degree);

impl Model for Degreeless {
    fn layout(&self) -> &Layout {
        self.0.layout()
    }
    fn degree(&self) -> &Degree {
        &self.1
    }
    fn inputs(&self) -> usize {
        self.0.inputs()
    }
    fn outputs(&self) -> usize {
        self.0.outputs()
    }
    fn init(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        self.0.init(rng)
    }
    fn forward(&self, theta: &[f64], x: Rows<'_>, out: &mut [f64], tape: &mut Tape) -> Result<(), Breakdown> {
        self.0.forward(theta, x, out, tape)
    }
    fn pullback(
        &self,
        theta: &[f64],
        x: Rows<'_>,
        tape: &mut Tape,
        cot: &[f64],
        grad: Option<&mut [f64]>,
        dx: Option<&mut [f64]>,
    ) -> Result<(), Breakdown> {
        self.0.pullback(theta, x, tape, cot, grad, dx)
    }
    fn row_size(&self) -> usize {
        self.0.row_size()
    }
}

#[test]
fn what_needs_a_degree_refuses_a_model_without_one_and_says_why() {
    let inner = Mlp { widths: vec![2], ..Mlp::default() }.assemble(&[2], 1).unwrap();
    let model = Degreeless(inner, Degree::None { why: "tanh saturates".into() });
    let problem = Problem::new(Box::new(model), Box::new(Exponential::default()), data([0, 0, 1], 2), None);
    let theta = binary(1.0);
    for (name, refuses) in
        [("margin", true), ("kkt", true), ("alignment", false), ("direction", false), ("accuracy", false)]
    {
        let mut probe = AnyProbe::example(name).build();
        let begun = probe.begin(&Context {
            problem: &problem,
            theta: &theta,
            norms: vec![AnyNorm::default()],
            weight_decay: 0.0,
        });
        assert_eq!(begun.is_err(), refuses, "{name}");
        if let Err(error) = begun {
            assert!(error.message.contains("tanh saturates"), "{error}");
        }
    }
    let error = Bundle::new(0.01, 0.04, 10).begin(&problem, 0).unwrap_err();
    assert!(error.message.contains("tanh saturates"), "{error}");
}
