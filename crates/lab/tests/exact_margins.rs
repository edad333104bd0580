//! The exact margins that recipes/steepest-linear.toml states, certified on its own data.

#[path = "../../core/tests/common/referee.rs"]
mod referee;

use std::sync::Arc;

use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::loss::CrossEntropy;
use latephase_core::model::{Architecture, Linear};
use latephase_core::norm::{Norm, Spectral};
use latephase_core::numeric::{axpy, distance, norm};
use latephase_core::{Data, Iterate, Problem, RowSet};
use latephase_lab::source::{Lookup, Source};
use referee::{Ball, max_margin};

const RECIPE: &str = include_str!("../../../recipes/steepest-linear.toml");

fn recipe() -> toml::Table {
    toml::from_str(RECIPE).unwrap()
}

/// What the recipe expects under an id.
fn expected<'a>(recipe: &'a toml::Table, id: &str) -> &'a toml::Table {
    let list = recipe["recipe"]["expect"].as_array().unwrap();
    let found = list.iter().find(|e| e["id"].as_str() == Some(id));
    found.unwrap_or_else(|| panic!("the recipe expects nothing of {id}")).as_table().unwrap()
}

fn load(source: toml::Value) -> Arc<Data> {
    source.try_into::<Source>().unwrap().load(1, &Lookup::from_env()).unwrap().train
}

#[test]
fn the_margins_and_directions_of_the_gaussian_data_are_certified() {
    let recipe = recipe();
    let train = load(recipe["data"].clone());
    let signed = |i: usize| {
        let y = if train.labels()[i] == 0 { 1.0 } else { -1.0 };
        train.rows().row(i).iter().map(|x| y * x).collect::<Vec<f64>>()
    };
    let a: Vec<Vec<f64>> = (0..train.n()).map(signed).collect();
    for (run, ball) in [("l1", Ball::L1), ("l2", Ball::Lp(2.0)), ("l3", Ball::Lp(3.0)), ("linf", Ball::Linf)]
    {
        let exact = max_margin(&a, ball);
        assert!(exact.gap() < 1e-9, "{run}: {:e}", exact.gap());
        for id in ["margin", "margin-early"] {
            let stated = &expected(&recipe, &format!("steepest.{run}.{id}"))["value"];
            // l2 is the source's own closed form.
            let stated = stated.as_float().unwrap_or(0.5);
            assert!(
                (stated / exact.lower - 1.0).abs() < 1e-9,
                "{run}: {stated} stated, {} certified",
                exact.lower
            );
        }
        let direction = expected(&recipe, &format!("steepest.{run}.direction"));
        if let Some(list) = direction["measure"]["direction-error"].as_array() {
            let stated: Vec<f64> = list.iter().map(|x| x.as_float().unwrap()).collect();
            let unit = |w: &[f64]| w.iter().map(|x| x / norm(w)).collect::<Vec<_>>();
            let off = distance(&unit(&stated), &unit(&exact.w));
            // The direction of a smooth norm is known to the root of the gap.
            assert!(off < 1e-4, "{run}: the stated direction is off by {off:e}");
        }
    }
}

#[test]
fn the_spectral_margin_of_three_digits_is_certified_by_the_weights_of_a_deep_run() {
    let recipe = recipe();
    let variants = recipe["recipe"]["variants"].as_array().unwrap();
    let variant = variants.iter().find(|v| v["label"].as_str() == Some("three digits, spectral")).unwrap();
    let set = variant["set"].as_array().unwrap().iter().map(|s| s.as_str().unwrap());
    let train = load(toml::from_str::<toml::Table>(set.collect::<Vec<_>>()[0]).unwrap()["data"].clone());
    let model = Linear::default().assemble(&[train.dim()], 3).unwrap();
    let problem = Problem::new(model, Box::new(CrossEntropy::default()), train, None);
    let text = "kind = 'stepped'\ndescent = { kind = 'steepest', norm = 'spectral' }\n\
        pace = { kind = 'unit-decrease', eta = 0.05, factor = inf }";
    let mut algorithm = toml::from_str::<AnyAlgorithm>(text).unwrap().build();
    algorithm.begin(&problem, 0).unwrap();
    let mut at = Iterate::new(vec![1e-3; problem.dim()]);
    while at.eval(&problem, &RowSet::Full).unwrap().ln_loss > -3000.0 {
        algorithm.step(&problem, &mut at).unwrap();
    }
    let eval = at.eval(&problem, &RowSet::Full).unwrap();
    let (layout, list) = (problem.model.layout(), problem.constraints(&eval));
    // Weak duality: any y ≥ 0 with Σ y = 1 bounds the maximum margin by ‖Σ y_i a_i‖⋆.
    let total: f64 = list.iter().map(|c| c.weight).sum();
    let mut g = vec![0.0; problem.dim()];
    for c in list.iter().filter(|c| c.weight > 0.0) {
        axpy(c.weight / total, &problem.margin_gradient(at.theta(), c).unwrap(), &mut g);
    }
    let upper = Spectral {}.dual(&g, layout);
    let q_min = list.iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
    let lower = q_min / Spectral {}.of(at.theta(), layout);
    let stated = expected(&recipe, "steepest.three-digits-spectral.margin")["value"].as_float().unwrap();
    assert!((stated / upper - 1.0).abs() < 1e-11, "{stated} stated, {upper} certified");
    assert!(lower <= upper && lower >= upper * (1.0 - 5e-4), "{lower} .. {upper}");
}
