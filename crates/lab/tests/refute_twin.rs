//! The twin of `refute`: its arithmetic against 200 bits, its runs against those of the core.
#![allow(missing_docs)]

use std::ops::ControlFlow;

use dashu_float::FBig;
use dashu_float::ops::SquareRoot;
use dashu_float::round::mode::HalfEven;
use latephase_core::State;
use latephase_core::probe::Row;
use latephase_lab::build::build;
use latephase_lab::refute::dd::Dd;
use latephase_lab::refute::twin::{COLUMNS, Twin};
use latephase_lab::run::{Sink, Tick};
use latephase_lab::source::Lookup;
use latephase_lab::stop::Status;
use latephase_lab::{Error, Spec};
use proptest::prelude::*;

type Big = FBig<HalfEven, 2>;

const BITS: usize = 300;

fn exact(x: f64) -> Big {
    Big::try_from(x).unwrap().with_precision(BITS).value()
}

fn whole(x: Dd) -> Big {
    exact(x.hi) + exact(x.lo)
}

/// |x − y| relative to y, as an f64.
fn off(x: Dd, y: &Big) -> f64 {
    let zero = exact(0.0);
    let difference = whole(x) - y;
    if *y == zero { difference.to_f64().value().abs() } else { (difference / y).to_f64().value().abs() }
}

/// A few 2⁻¹⁰⁴.
const LAST: f64 = 3e-31;

fn dd(x: f64, part: f64) -> Dd {
    Dd::from(x) + Dd::from(x * part * 1e-17)
}

proptest! {
    // 64 numbers each: the oracle's logarithms take milliseconds.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sums_products_quotients_and_roots_have_104_bits(
        x in -1e6..1e6f64, y in 1e-3..1e3f64, s in -1.0..1.0f64, t in -1.0..1.0f64,
    ) {
        let (a, b) = (dd(x, s), dd(y, t));
        let (p, q) = (whole(a), whole(b));
        // A sum that cancels is exact to its terms.
        let sum = (whole(a + b) - (&p + &q)).to_f64().value().abs();
        prop_assert!(sum <= LAST * (x.abs() + y));
        prop_assert!(off(a * b, &(&p * &q)) <= LAST);
        prop_assert!(off(a / b, &(&p / &q)) <= LAST);
        prop_assert!(off(b.sqrt(), &q.sqrt()) <= LAST);
    }

    #[test]
    fn exponentials_and_logarithms_have_100_bits(x in -600.0..600.0f64, s in -1.0..1.0f64) {
        let a = dd(x, s);
        let exponential = whole(a).exp();
        // k·ln 2 with ln 2 to 107 bits: an absolute error of |x|·2⁻¹⁰⁷ in the exponent.
        prop_assert!(off(a.exp(), &exponential) <= LAST * (1.0 + x.abs()));
        let b = dd(x.abs() + 1e-3, s);
        let logarithm = whole(b).ln();
        let error = (whole(b.ln()) - &logarithm).to_f64().value().abs();
        prop_assert!(error <= LAST * (1.0 + logarithm.to_f64().value().abs()));
    }

    #[test]
    fn small_arguments_lose_no_digits(power in -60.0..0.0f64, s in -1.0..1.0f64) {
        let a = dd(10f64.powf(power) * 0.3, s);
        let one = exact(1.0);
        // The oracle itself cancels: 1e-60 beside 1 is 200 bits, so it works with 700.
        let wide = whole(a).with_precision(700).value();
        let expm1 = wide.exp() - one.clone().with_precision(700).value();
        prop_assert!(off(a.exp_m1(), &expm1) <= 10.0 * LAST);
        let ln_1p = (one.with_precision(700).value() + wide).ln();
        prop_assert!(off(a.ln_1p(), &ln_1p) <= 10.0 * LAST);
    }
}

#[test]
fn ends_of_the_range_are_what_f64_has() {
    assert_eq!(Dd::from(-1e4).exp().to_f64(), 0.0);
    assert_eq!(Dd::from(0.0).ln().to_f64(), f64::NEG_INFINITY);
    assert!(Dd::from(-1.0).sqrt().to_f64().is_nan());
    assert_eq!(Dd::from(3.0).powf(4.0).to_f64(), 81.0);
    assert!((Dd::from(1e-300).ln().to_f64() / 1e-300f64.ln() - 1.0).abs() < 1e-15);
}

/// Rows in memory.
#[derive(Default)]
struct Kept(Vec<Row>);

impl Sink for Kept {
    fn row(&mut self, row: &Row) -> Result<ControlFlow<()>, Error> {
        self.0.push(row.clone());
        Ok(ControlFlow::Continue(()))
    }
    fn tick(&mut self, _: &Status) -> Tick {
        Tick::Continue
    }
    fn checkpoint(&mut self, _: State) -> Result<(), Error> {
        Ok(())
    }
    fn keep(&mut self, _: f64, _: &[f64]) -> Result<(), Error> {
        Ok(())
    }
}

fn spec(model: &str, loss: &str, algorithm: &str, stop: &str) -> Spec {
    let text = format!(
        "seed = 4\ndata = \"four-points\"\nmodel = {model}\nloss = {loss}\nstop = {stop}\n\
         look = {{ every = 1 }}\nprobes = [\"margin\", \"alignment\", \"kkt\"]\nalgorithm = {algorithm}\n"
    );
    Spec::parse(&text, "test", &[]).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

/// The rows of the core and of the twin, step by step.
fn both(spec: &Spec) -> (Vec<Row>, Vec<Row>) {
    let mut built = build(spec, &Lookup::from_env()).unwrap();
    let theta = built.run.at.theta().to_vec();
    let twin = Twin::of(spec, &built.run.problem.train).unwrap();
    let mut kept = Kept::default();
    built.run.go(&mut kept).unwrap();
    let steps = kept.0.last().unwrap().get("step") as u64;
    let rows = twin.run(&theta, steps, f64::NEG_INFINITY, &[], &|| false);
    (kept.0, rows)
}

#[test]
fn a_run_of_the_core_is_that_of_its_twin_to_rounding() {
    let mlp = "{ kind = \"mlp\", widths = [5], activation = { kind = \"leaky-relu\", slope = 0.3 } }";
    let models = [
        "\"linear\"",
        "{ kind = \"deep-linear\", widths = [3, 2] }",
        mlp,
        "{ kind = \"mlp\", widths = [4], activation = { kind = \"relu-power\", p = 2.0 } }",
        "{ kind = \"mlp\", widths = [3, 3] }",
    ];
    let paces = [
        "{ kind = \"constant\", eta = 0.05 }",
        "{ kind = \"loss-scaled\", eta = 0.01, a = 0.5 }",
        "{ kind = \"unit-decrease\", eta = 0.02 }",
        "{ kind = \"polynomial-decay\", eta = 0.05, a = 0.5 }",
        "{ kind = \"normalized\", c = 0.02 }",
    ];
    let descents = ["{ kind = \"steepest\", norm = \"l2\" }", "{ kind = \"normalized\", norm = \"l2\" }"];
    for model in models {
        for pace in paces {
            for (descent, loss) in descents.into_iter().zip(["\"exponential\"", "\"logistic\""]) {
                let algorithm = format!("{{ kind = \"stepped\", descent = {descent}, pace = {pace} }}");
                let (core, twin) = both(&spec(model, loss, &algorithm, "{ steps = 60 }"));
                assert_eq!(core.len(), twin.len(), "{model} {algorithm}");
                for (a, b) in core.iter().zip(&twin) {
                    for column in COLUMNS {
                        let (x, y) = (a.get(column), b.get(column));
                        // ε is a difference of unit vectors, and ln ρ one of numbers near 1.
                        let allowed = 1e-12 * x.abs().max(1.0);
                        let close = (x - y).abs() <= allowed || (x.is_nan() && y.is_nan());
                        assert!(close, "{model} {algorithm} {column}: {x:e} and {y:e}");
                    }
                }
            }
        }
    }
}

#[test]
fn sign_and_coordinate_steps_agree_where_no_entry_is_near_a_tie() {
    for (descent, norm) in [("sign", "linf"), ("coordinate", "l1")] {
        for descent in [format!("\"{descent}\""), format!("{{ kind = \"steepest\", norm = \"{norm}\" }}")] {
            let pace = "{ kind = \"constant\", eta = 0.01 }";
            let algorithm = format!("{{ kind = \"stepped\", descent = {descent}, pace = {pace} }}");
            let (core, twin) = both(&spec("\"linear\"", "\"exponential\"", &algorithm, "{ steps = 20 }"));
            for (a, b) in core.iter().zip(&twin) {
                for column in ["ln_loss", "margin_linf", "smooth_margin_l1", "margin"] {
                    let (x, y) = (a.get(column), b.get(column));
                    assert!(
                        (x - y).abs() <= 1e-12 * x.abs().max(1.0),
                        "{algorithm} {column}: {x:e} and {y:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_flow_of_the_twin_is_that_of_the_core_at_equal_loss() {
    let model = "{ kind = \"mlp\", widths = [4], activation = { kind = \"relu-power\", p = 2.0 } }";
    let algorithm = "{ kind = \"flow\", rtol = 1e-10 }";
    let spec = spec(model, "\"exponential\"", algorithm, "{ log10_loss = -3 }");
    let mut built = build(&spec, &Lookup::from_env()).unwrap();
    let theta = built.run.at.theta().to_vec();
    let twin = Twin::of(&spec, &built.run.problem.train).unwrap();
    let mut kept = Kept::default();
    built.run.go(&mut kept).unwrap();
    let target = kept.0.last().unwrap().get("ln_loss");
    let at_target = |error: f64| {
        let rows = twin.shortened(error).run(&theta, 10_000, target - 1.0, &[], &|| false);
        let k = rows.iter().position(|row| row.get("ln_loss") < target).unwrap();
        // The cubic through the four looks around the target.
        let near = &rows[k - 2..k + 2];
        let x = |j: usize| near[j].get("ln_loss");
        let weight = |j: usize| -> f64 {
            (0..4).filter(|i| *i != j).map(|i| (target - x(i)) / (x(j) - x(i))).product()
        };
        (0..4).map(|j| weight(j) * near[j].get("margin")).sum::<f64>()
    };
    let (coarse, fine) = (at_target(100.0), at_target(1.0));
    let ours = kept.0.last().unwrap().get("margin");
    assert!((fine / ours - 1.0).abs() < 1e-7, "{fine} and {ours}");
    assert!((coarse / ours - 1.0).abs() < 1e-5, "{coarse} and {ours}");
}

#[test]
fn what_the_twin_does_not_know_it_says() {
    let unknown = [
        ("{ kind = \"mlp\", widths = [3], bias = \"all\" }", "\"exponential\"", "biases"),
        ("{ kind = \"mlp\", widths = [3], activation = \"tanh\" }", "\"exponential\"", "tanh"),
        ("\"linear\"", "\"cross-entropy\"", "cross-entropy"),
    ];
    for (model, loss, part) in unknown {
        let pace = "{ kind = \"constant\", eta = 0.01 }";
        let spec = spec(model, loss, &format!("{{ kind = \"stepped\", pace = {pace} }}"), "{ steps = 1 }");
        let data = spec.data.load(0, &Lookup::from_env()).unwrap().train;
        let why = Twin::of(&spec, &data).unwrap_err();
        assert!(why.contains(part), "{why}");
    }
}
