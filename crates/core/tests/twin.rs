//! `examples/minimal.rs`, one page without dependencies, gives the same numbers as the core.

#[path = "../../../examples/minimal.rs"]
mod minimal;

use std::sync::Arc;

use latephase_core::algorithm::{Algorithm, Stepped};
use latephase_core::loss::Exponential;
use latephase_core::model::{Architecture, Mlp};
use latephase_core::pace::UnitDecrease;
use latephase_core::{Batches, Data, Iterate, Problem, RowSet, numeric};

fn problem() -> Problem {
    let inputs = minimal::POINTS.iter().flat_map(|(x, _)| *x).collect();
    let labels = minimal::POINTS.iter().map(|(_, y)| u32::from(*y < 0.0)).collect();
    let data = Data::new(inputs, labels, vec!["+".into(), "-".into()], vec![2]).unwrap();
    let model = Mlp { widths: vec![minimal::WIDTH], ..Mlp::default() }.assemble(&[2], 1).unwrap();
    Problem::new(model, Box::new(Exponential::default()), Arc::new(data), None)
}

#[test]
fn one_evaluation_agrees_with_the_page_to_rounding() {
    let problem = problem();
    for scale in [1.0, 30.0, 1000.0] {
        let theta: Vec<f64> = minimal::start().iter().map(|t| t * scale).collect();
        let (ln_loss, grad, _) = minimal::evaluate(&theta);
        let eval = problem.eval(&theta, &RowSet::Full).unwrap();
        // q of size scale² carries that many roundings, and each moves the weights relatively by as much.
        let tolerance = 1e-14 * scale * scale;
        assert!((eval.ln_loss - ln_loss).abs() <= tolerance, "{} against {ln_loss}", eval.ln_loss);
        assert!(numeric::distance(&eval.grad, &grad) <= tolerance * numeric::norm(&grad));
    }
}

#[test]
fn ten_thousand_steps_reach_the_same_loss_and_margin_as_the_page() {
    let problem = problem();
    let (_, ln_loss, margin) = minimal::descend(0.1, 10_000);
    let pace = UnitDecrease::new(0.1, f64::INFINITY).into();
    let mut algorithm = Stepped::new(Default::default(), pace, Batches::Full);
    algorithm.begin(&problem, 0).unwrap();
    let mut at = Iterate::new(minimal::start());
    for _ in 0..10_000 {
        algorithm.step(&problem, &mut at).unwrap();
    }
    let eval = at.eval(&problem, &RowSet::Full).unwrap();
    let rho = numeric::norm(at.theta());
    let q_min = problem.constraints(&eval).iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
    // Rounding differs (fused products), and ties late in training amplify it, but not in loss and margin.
    assert!((eval.ln_loss / ln_loss - 1.0).abs() < 1e-6, "{} against {ln_loss}", eval.ln_loss);
    assert!((q_min / (rho * rho) / margin - 1.0).abs() < 1e-6);
    assert!(ln_loss < -900.0, "the comparison is of the late phase");
}
