use latephase_core::numeric::ln_add_exp;
use latephase_core::{Data, Problem};
use std::sync::Arc;

use super::*;

fn facts(model: &str) -> Facts {
    let text = format!(
        "model = {model}\ndata = \"two-points\"\nloss = \"exponential\"\nalgorithm = \"flow\"\nstop = {{ steps = 1 }}\n"
    );
    let spec = crate::spec::Spec::parse(&text, "test.toml", &[]).unwrap();
    let names = vec!["+".into(), "-".into()];
    let data = Arc::new(Data::new(vec![1.0, 0.5, -1.0, 0.5], vec![0, 1], names, vec![2]).unwrap());
    let model = spec.model.build().assemble(&[2], 1).unwrap();
    let theta = vec![0.1; model.layout().dim()];
    let problem = Problem::new(model, spec.loss.build(), data, None);
    Facts::of(&spec, &problem, &theta, None)
}

/// The rows of a flow with dt = e^u u^{2/L−2} du and ρ = u^{1/L}, from u = 1 on.
fn rows(degree: f64, decades: f64) -> Columns {
    let (mut ln_time, mut u) = (f64::NEG_INFINITY, 1.0);
    let mut columns = [const { Vec::new() }; 5];
    let end = 10f64.powf(decades);
    let mut due = 1.0;
    while u < end {
        let step = 0.002 * u;
        let rate = |u: f64| u + (2.0 / degree - 2.0) * f64::ln(u);
        // By Laplace's method the rest of an interval is as long as e^u lasts: 1.
        let inner = (0..200).map(|k| rate(u + step * (f64::from(k) + 0.5) / 200.0) + (step / 200.0).ln());
        ln_time = inner.fold(ln_time, ln_add_exp);
        u += step;
        if u >= due {
            let values = [-u, ln_time, u.ln() / degree, 0.5 / (u * u), 1.0 / u];
            columns.iter_mut().zip(values).for_each(|(c, v)| c.push(v));
            due = u * 10f64.powf(1.0 / 40.0);
        }
    }
    let names = ["ln_loss_sum", "ln_time", "ln_rho", "misalignment_l2", "kkt_epsilon"];
    Columns(names.map(String::from).into_iter().zip(columns).collect())
}

#[test]
fn the_rates_of_the_flow_are_found_and_those_of_another_degree_refused() {
    for (model, degree) in [("\"linear\"", 1.0), ("{ kind = \"deep-linear\", widths = [2] }", 2.0)] {
        let facts = facts(model);
        assert_eq!(facts.order(), Some(degree));
        let rows = rows(degree, 3.0);
        let fitted = fit_all(&View { facts: &facts, rows: &rows, twin: None });
        let ids: Vec<&str> = fitted.iter().map(|f| f.rate.id).collect();
        assert_eq!(ids, ["loss", "norm", "misalignment", "kkt-epsilon"], "what was not measured is left out");
        for fit in &fitted {
            assert_eq!(
                fit.verdict,
                Verdict::Consistent,
                "{}: {:?} {:?}",
                fit.rate.id,
                fit.predicted,
                fit.fit
            );
        }
        let slopes = [fitted[2].fit.slope, fitted[3].fit.slope];
        assert!((slopes[0] + 2.0).abs() < 1e-9 && (slopes[1] + 1.0).abs() < 1e-9, "{slopes:?}");
        let other = self::rows(degree + 1.0, 3.0);
        let fitted = fit_all(&View { facts: &facts, rows: &other, twin: None });
        assert_eq!(fitted[0].verdict, Verdict::Inconsistent, "{:?}", fitted[0].fit);
        assert_eq!(fitted[1].verdict, Verdict::Inconsistent, "{:?}", fitted[1].fit);
        let short = self::rows(degree, 0.8);
        let fitted = fit_all(&View { facts: &facts, rows: &short, twin: None });
        assert_eq!(fitted[0].verdict, Verdict::TooShort, "{:?}", fitted[0].fit);
        assert!(fitted[0].json()["verdict"] == "too short" && fitted[0].json()["predicted"].is_number());
    }
}

#[test]
fn a_rate_is_only_about_the_runs_that_it_assumes() {
    let facts = facts("{ kind = \"mlp\", widths = [3], bias = \"all\" }");
    let rows = rows(2.0, 2.0);
    assert!(fit_all(&View { facts: &facts, rows: &rows, twin: None }).is_empty(), "no degree");
    let facts = self::facts("{ kind = \"mlp\", widths = [3] }");
    let ids: Vec<&str> =
        fit_all(&View { facts: &facts, rows: &rows, twin: None }).iter().map(|f| f.rate.id).collect();
    assert_eq!(ids, ["loss", "norm"], "kinks");
}

#[test]
fn one_sided_predictions_admit_everything_below() {
    let fit = |slope: f64| Fit { slope, low: slope - 0.01, high: slope + 0.01, decades: 2.0, points: 50 };
    assert_eq!(Verdict::of(&fit(-3.0), Predicted::AtMost(-1.0)), Verdict::Consistent);
    assert_eq!(Verdict::of(&fit(-0.9), Predicted::AtMost(-1.0)), Verdict::Inconsistent);
    assert_eq!(Verdict::of(&fit(-3.0), Predicted::Is(-1.0)), Verdict::Inconsistent);
}
