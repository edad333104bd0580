//! What several test files share: small problems, comparisons, ordinary random numbers.
#![allow(dead_code)]

use std::sync::Arc;

use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::loss::AnyLoss;
use latephase_core::model::{AnyModel, Model};
use latephase_core::probe::{Probe, Row, Snapshot};
use latephase_core::rng::stream;
use latephase_core::{Data, Iterate, Problem};
use rand::distr::Distribution;
use rand_distr::StandardNormal;

/// Any catalogued part, from TOML.
pub fn parse<T: serde::de::DeserializeOwned>(text: &str) -> T {
    toml::from_str(text).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

pub fn model(text: &str, inputs: usize, outputs: usize) -> Box<dyn Model> {
    parse::<AnyModel>(text).build().assemble(&[inputs], outputs).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// A look of a probe at an iterate.
pub fn measure(probe: &mut dyn Probe, problem: &Problem, at: &mut Iterate) -> Row {
    let mut row = Row::default();
    probe.measure(&Snapshot::new(problem, at, None).unwrap(), &mut row);
    row
}

pub fn algorithm(text: &str) -> AnyAlgorithm {
    parse(text)
}

pub fn data(inputs: &[f64], labels: &[u32], dim: usize, classes: usize) -> Arc<Data> {
    let classes = (0..classes).map(|k| k.to_string()).collect();
    Arc::new(Data::new(inputs.to_vec(), labels.to_vec(), classes, vec![dim]).unwrap())
}

pub fn problem(model: Box<dyn Model>, loss: &str, data: Arc<Data>) -> Problem {
    Problem::new(model, parse::<AnyLoss>(loss).build(), data, None)
}

pub fn normals(seed: u64, name: &str, n: usize) -> Vec<f64> {
    let mut rng = stream(seed, name, 0);
    (0..n).map(|_| StandardNormal.sample(&mut rng)).collect()
}

/// |a − b| ≤ tolerance·max(|a|, |b|), with both numbers in the message.
#[track_caller]
pub fn assert_close(a: f64, b: f64, tolerance: f64, what: &str) {
    let allowed = tolerance * a.abs().max(b.abs());
    assert!((a - b).abs() <= allowed || a == b, "{what}: {a:e} against {b:e}, off by {:e}", (a - b).abs());
}

/// x = (2,1), (1,3), (−1,−2), (−3,−0.5), labels +, +, −, −: every optimum is known (targets, section 5).
pub fn four_points() -> Arc<Data> {
    data(&[2.0, 1.0, 1.0, 3.0, -1.0, -2.0, -3.0, -0.5], &[0, 0, 1, 1], 2, 2)
}
