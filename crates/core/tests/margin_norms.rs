//! The margin probe and the norms that it divides by.

mod common;

use common::{assert_close, four_points, model, parse, problem};
use latephase_core::Iterate;
use latephase_core::norm::AnyNorm;
use latephase_core::probe::{AnyProbe, Context, Row, Snapshot};

fn begun(probe: &str, norms: &[&str], bias: bool) -> Result<Vec<String>, latephase_core::Invalid> {
    let problem =
        problem(model(&format!("kind = 'linear'\nbias = {bias}"), 2, 1), "kind = 'logistic'", four_points());
    let norms = norms.iter().map(|n| parse::<AnyNorm>(n)).collect();
    let theta = vec![1.0; problem.dim()];
    let context = Context { problem: &problem, theta: &theta, norms, weight_decay: 0.0 };
    parse::<AnyProbe>(probe).build().begin(&context)
}

#[test]
fn the_algorithms_own_norms_have_columns_without_being_asked_for() {
    let columns = begun(
        "kind = 'margin'",
        &["kind = 'lp'\np = 3", "kind = 'l2'", "kind = 'l1'", "kind = 'spectral'"],
        false,
    );
    let own: Vec<String> = columns.unwrap().into_iter().filter(|c| c.starts_with("margin_")).collect();
    assert_eq!(own, ["margin_product", "margin_l1", "margin_linf", "margin_l3", "margin_spectral"]);
}

#[test]
fn a_norm_that_does_not_fit_is_refused_by_its_place() {
    let error = begun("kind = 'margin'\nnorms = ['l1', { kind = 'lp', p = 0.5 }]", &[], false).unwrap_err();
    assert_eq!(error.field, "norms[1].p", "{error}");
    let error = begun("kind = 'margin'\nnorms = ['spectral']", &[], true).unwrap_err();
    assert_eq!(error.field, "norms[0]", "{error}");
    let error = begun("kind = 'margin'\nnorms = ['l1', { kind = 'lp', p = 1 }]", &[], false).unwrap_err();
    assert!(error.field == "norms[1]" && error.message.contains("margin_l1"), "{error}");
}

#[test]
fn every_norm_divides_the_least_margin() {
    let problem = problem(model("kind = 'linear'", 2, 1), "kind = 'exponential'", four_points());
    let theta = vec![10.0, 20.0];
    let context = Context { problem: &problem, theta: &theta, norms: vec![], weight_decay: 0.0 };
    let text = "kind = 'margin'\nnorms = [{ kind = 'lp', p = 3 }, 'spectral', 'nuclear', 'frobenius-max']";
    let mut probe = parse::<AnyProbe>(text).build();
    let columns = probe.begin(&context).unwrap();
    let mut at = Iterate::new(theta.clone());
    let mut row = Row::default();
    probe.measure(&Snapshot::new(&problem, &mut at, None).unwrap(), &mut row);
    assert_eq!(columns, row.cells.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    // q = (40, 70, 50, 40). A single row is a vector to every matrix norm.
    assert_close(row.get("q_min"), 40.0, 1e-15, "q_min");
    assert_close(row.get("margin_l3"), 40.0 / 9000f64.cbrt(), 1e-14, "l3");
    for column in ["margin_spectral", "margin_nuclear", "margin_frobenius_max", "margin"] {
        assert_close(row.get(column), 40.0 / 500f64.sqrt(), 1e-14, column);
    }
}
