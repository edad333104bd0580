//! Evaluation, loss alone, steps, probes and norms: `cargo bench -p latephase-core`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use latephase_core::algorithm::{Algorithm, AnyAlgorithm};
use latephase_core::loss::AnyLoss;
use latephase_core::model::AnyModel;
use latephase_core::norm::AnyNorm;
use latephase_core::probe::{AnyProbe, Context, Row, Snapshot};
use latephase_core::rng::stream;
use latephase_core::{Data, Iterate, Problem, RowSet};
use rand_distr::{Distribution, StandardNormal};

/// Examples, inputs and widths.
const NETWORKS: [(usize, usize, &str); 4] =
    [(40, 5, "[40]"), (300, 64, "[256]"), (300, 64, "[64, 64]"), (1797, 64, "[1024]")];
const ALGORITHMS: [&str; 3] = [
    "kind = 'stepped'\npace = { kind = 'loss-scaled', eta = 0.001 }",
    "kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 0.02 }",
    "kind = 'bundle'",
];
const PROBES: [&str; 5] = ["margin", "kkt", "direction", "balance", "alignment"];
const NORMS: [&str; 5] = ["l1", "l2", "linf", "spectral", "nuclear"];

fn problem((n, dim, widths): (usize, usize, &str)) -> (Problem, Iterate) {
    let mut rng = stream(0, "data", 0);
    let inputs = (0..n * dim).map(|_| StandardNormal.sample(&mut rng)).collect();
    let labels = (0..n as u32).map(|i| i % 2).collect();
    let data = Data::new(inputs, labels, vec!["a".into(), "b".into()], vec![dim]).expect("data");
    let loss: AnyLoss = toml::from_str("kind = 'exponential'").expect("a loss");
    let model: AnyModel = toml::from_str(&format!("kind = 'mlp'\nwidths = {widths}")).expect("a model");
    let model = model.build().assemble(&data.shape, 1).expect("the model fits the data");
    let theta = model.init(&mut stream(0, "model", 0));
    (Problem::new(model, loss.build(), Arc::new(data), None), Iterate::new(theta))
}

fn name((n, dim, widths): (usize, usize, &str)) -> String {
    format!("{n}x{dim}-{widths}")
}

fn evaluations(c: &mut Criterion) {
    for network in NETWORKS {
        let (problem, at) = problem(network);
        c.bench_function(&format!("eval/{}", name(network)), |b| {
            b.iter(|| black_box(problem.eval(at.theta(), &RowSet::Full)));
        });
        c.bench_function(&format!("ln_loss/{}", name(network)), |b| {
            b.iter(|| black_box(problem.ln_loss(at.theta(), &RowSet::Full)));
        });
    }
}

fn steps(c: &mut Criterion) {
    for text in ALGORITHMS {
        let any: AnyAlgorithm = toml::from_str(text).expect("an algorithm");
        let (problem, mut at) = problem(NETWORKS[0]);
        let mut algorithm: Box<dyn Algorithm> = any.build();
        algorithm.begin(&problem, 0).expect("the algorithm fits");
        let label = text.replace("kind = ", "").replace(['\n', '\'', '{', '}'], " ");
        c.bench_function(&format!("step/{}", label.trim()), |b| b.iter(|| algorithm.step(&problem, &mut at)));
    }
}

fn probes(c: &mut Criterion) {
    let (problem, mut at) = problem(NETWORKS[1]);
    let norms = vec![AnyNorm::default()];
    for kind in PROBES {
        let any: AnyProbe = toml::from_str(&format!("kind = '{kind}'")).expect("a probe");
        let mut probe = any.build();
        let theta = at.theta().to_vec();
        let context = Context { problem: &problem, theta: &theta, norms: norms.clone(), weight_decay: 0.0 };
        probe.begin(&context).expect("the probe fits");
        c.bench_with_input(BenchmarkId::new("probe", kind), &(), |b, ()| {
            b.iter(|| {
                let snapshot = Snapshot::new(&problem, &mut at, None).expect("a snapshot");
                let mut row = Row::default();
                probe.measure(&snapshot, &mut row);
                row
            });
        });
    }
}

fn norms(c: &mut Criterion) {
    let (problem, at) = problem(NETWORKS[3]);
    let layout = problem.model.layout();
    let mut d = vec![0.0; problem.dim()];
    for kind in NORMS {
        let any: AnyNorm = toml::from_str(&format!("kind = '{kind}'")).expect("a norm");
        let norm = any.build();
        if norm.check(layout).is_err() {
            continue;
        }
        c.bench_function(&format!("steepest/{kind}"), |b| {
            b.iter(|| norm.steepest(at.theta(), layout, &mut d))
        });
    }
}

fn quick() -> Criterion {
    use std::time::Duration;
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! { name = all; config = quick(); targets = evaluations, steps, probes, norms }
criterion_main!(all);
