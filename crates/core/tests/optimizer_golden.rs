//! Each descent against the optimiser of its name as people run it: θ step for step over 100 steps, at moderate loss.
//!
//! `golden/optimizers.json` is made by `scripts/make_optimizer_golden.py`, which names the peers' versions in it.

mod common;

use common::{data, model, parse, problem};
use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::descent::{NewtonSchulz, Orthogonalize};
use latephase_core::numeric::{distance, norm};
use latephase_core::{Frame, Iterate, Problem};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    inputs: Vec<f64>,
    signs: Vec<f64>,
    /// The steps after which θ was kept.
    steps: Vec<u64>,
    starts: std::collections::BTreeMap<String, Vec<f64>>,
    hidden: std::collections::BTreeMap<String, usize>,
    stock_newton_schulz: Stock,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Stock {
    rows: usize,
    cols: usize,
    matrix: Vec<f64>,
    factor: Vec<f64>,
}

#[derive(Deserialize)]
struct Run {
    name: String,
    peer: String,
    descent: String,
    eta: f64,
    start: String,
    loss: String,
    theta: Vec<Vec<f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/optimizers.json"))
        .expect("the golden file is JSON of this form")
}

impl Golden {
    fn problem(&self, run: &Run) -> Problem {
        let labels: Vec<u32> = self.signs.iter().map(|s| u32::from(*s < 0.0)).collect();
        let bias = if run.start == "bias" { "first" } else { "none" };
        let hidden = self.hidden[&run.start];
        let text = format!("kind = 'mlp'\nwidths = [{hidden}]\nactivation = 'relu-power'\nbias = '{bias}'");
        let loss = format!("kind = '{}'\nreduction = 'sum'", run.loss);
        problem(model(&text, 2, 1), &loss, data(&self.inputs, &labels, 2, 2))
    }

    /// The largest distance of the two iterates, over that from the start so far: the part of the way that is in error.
    fn worst(&self, run: &Run) -> f64 {
        let problem = self.problem(run);
        let start = &self.starts[&run.start];
        let table = run.descent.replace('\n', ", ");
        let text = format!(
            "kind = 'stepped'\ndescent = {{ {table} }}\npace = {{ kind = 'constant', eta = {:?} }}",
            run.eta
        );
        let mut algorithm = parse::<AnyAlgorithm>(&text).build();
        algorithm.begin(&problem, 0).unwrap_or_else(|e| panic!("{}: {e}", run.name));
        let mut at = Iterate::new(start.clone());
        let mut worst = 0.0f64;
        for (&step, theirs) in self.steps.iter().zip(&run.theta) {
            while at.clocks.step < step {
                algorithm.step(&problem, &mut at).unwrap_or_else(|e| panic!("{} at {step}: {e}", run.name));
            }
            worst = worst.max(distance(at.theta(), theirs) / norm(theirs));
        }
        println!("{:24} {:44} largest relative difference {worst:.1e}", run.name, run.peer);
        worst
    }
}

// A step rounds both sides by about 1e-16; a hundred of them on a network whose curvature is of order 1 stay within 1e-12.
#[test]
fn every_optimizer_takes_the_steps_of_its_namesake() {
    let golden = golden();
    let exact = golden.runs.iter().filter(|run| !run.peer.contains("bfloat16"));
    let off: Vec<String> = exact
        .map(|run| (run, golden.worst(run)))
        .filter(|(_, worst)| !(*worst <= 1e-12))
        .map(|(run, worst)| format!("{} against {}: {worst:e}", run.name, run.peer))
        .collect();
    assert!(off.is_empty(), "{off:#?}");
    assert!(golden.runs.len() >= 20 && golden.steps.last() == Some(&100));
}

// bfloat16 keeps 8 bits: each of the 15 products of one orthogonalisation is off by up to 2⁻⁹ relative, 0.03 together.
// Steps of 0.02 that far off, in directions that vary, keep the iterates within a hundredth of θ.
#[test]
fn the_stock_muon_is_ours_to_the_digits_of_bfloat16() {
    let golden = golden();
    let stock =
        golden.runs.iter().find(|run| run.peer.contains("bfloat16")).expect("a run of the stock Muon");
    let worst = golden.worst(stock);
    assert!(worst <= 1e-2, "{worst:e}");
    let Stock { rows, cols, matrix, factor } = &golden.stock_newton_schulz;
    let mut ours = vec![f64::NAN; rows * cols];
    let ns = NewtonSchulz { epsilon: 1e-7, ..NewtonSchulz::default() };
    ns.factor(matrix, *rows, *cols, Frame::of(0.0), &mut ours).unwrap();
    let apart = distance(&ours, factor) / norm(factor);
    println!("one stock Newton-Schulz in bfloat16: relative difference {apart:.1e}");
    assert!(apart > 1e-4 && apart < 15.0 * 2f64.powi(-9), "{apart:e}");
}
