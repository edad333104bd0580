//! A step allocates nothing once its buffers are there.

use std::sync::Arc;

use allocation_counter::measure;
use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::loss::AnyLoss;
use latephase_core::model::AnyModel;
use latephase_core::rng::stream;
use latephase_core::{Data, Iterate, Problem};
use rand::Rng;

/// Allocations of the calling thread in 20 steps after 10 others.
fn allocations(model: &str, loss: &str, pace: &str, (n, input): (usize, &[usize]), threads: usize) -> u64 {
    let mut rng = stream(5, "data", 0);
    let dim: usize = input.iter().product();
    let inputs = (0..n * dim).map(|_| rng.random_range(-1.0..1.0)).collect();
    let labels = (0..n as u32).map(|i| i % 2).collect();
    let data = Data::new(inputs, labels, vec!["a".into(), "b".into()], input.to_vec()).unwrap();
    let loss: AnyLoss = toml::from_str(&format!("kind = '{loss}'")).unwrap();
    let loss = loss.build();
    let model: AnyModel = toml::from_str(model).unwrap();
    let model = model.build().assemble(&data.shape, loss.outputs(2).unwrap()).unwrap();
    let theta = model.init(&mut stream(5, "model", 0));
    let problem = Problem::new(model, loss, Arc::new(data), None);
    let algorithm: AnyAlgorithm = toml::from_str(&format!("kind = 'stepped'\npace = {{ {pace} }}")).unwrap();
    let mut algorithm = algorithm.build();
    algorithm.begin(&problem, 0).unwrap();
    let mut at = Iterate::new(theta);
    let mut steps = |k: usize| (0..k).for_each(|_| algorithm.step(&problem, &mut at).unwrap());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        steps(10);
        measure(|| steps(20)).count_total
    })
}

#[test]
fn steps_of_small_networks_allocate_nothing() {
    let paces = [
        "kind = 'loss-scaled', eta = 0.001",
        "kind = 'unit-decrease', eta = 0.01, factor = inf",
        "kind = 'unit-decrease', eta = 0.5",
        "kind = 'normalized', c = 0.01",
    ];
    for pace in paces {
        for model in ["kind = 'linear'", "kind = 'mlp'\nwidths = [40]"] {
            for loss in ["exponential", "logistic", "cross-entropy"] {
                assert_eq!(allocations(model, loss, pace, (40, &[5]), 1), 0, "{model} {loss} {pace}");
                assert_eq!(allocations(model, loss, pace, (40, &[5]), 2), 0, "{model} {loss} {pace}");
            }
        }
    }
}

#[test]
fn steps_of_networks_in_several_chunks_allocate_nothing() {
    let pace = "kind = 'loss-scaled', eta = 0.001";
    for model in [
        "kind = 'mlp'\nwidths = [30, 30]",
        "kind = 'mlp'\nwidths = [300]",
        "kind = 'deep-linear'\nwidths = [20]",
    ] {
        assert_eq!(allocations(model, "exponential", pace, (3000, &[10]), 1), 0, "{model}");
    }
}
