//! A step allocates nothing once its buffers are there.

use std::sync::Arc;

use allocation_counter::measure;
use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::loss::AnyLoss;
use latephase_core::model::AnyModel;
use latephase_core::probe::{AnyProbe, Context, End, StepRecord};
use latephase_core::rng::stream;
use latephase_core::{Data, Iterate, Problem, RowSet};
use rand::Rng;

/// The probes that see every step; `escape` makes a tangent of its own each time.
const FOLLOWING: [&str; 4] = ["direction", "sgd", "theory", "near"];

/// Allocations of the calling thread in 20 steps after 10 others, on the full set.
fn allocations(model: &str, loss: &str, pace: &str, data: (usize, &[usize]), threads: usize) -> u64 {
    allocations_with(model, loss, &stepped(&format!("pace = {{ {pace} }}")), data, threads, &[])
}

fn stepped(settings: &str) -> String {
    format!("kind = 'stepped'\n{settings}")
}

/// The same of any algorithm, with probes that see every step. After the first steps an epoch has ended, and a small bundle is full.
fn allocations_with(
    model: &str,
    loss: &str,
    text: &str,
    (n, input): (usize, &[usize]),
    threads: usize,
    probes: &[&str],
) -> u64 {
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
    let algorithm: AnyAlgorithm = toml::from_str(text).unwrap();
    let mut algorithm = algorithm.build();
    algorithm.begin(&problem, 0).unwrap();
    let mut at = Iterate::new(theta);
    let context =
        Context { problem: &problem, theta: at.theta(), norms: vec![algorithm.norm()], weight_decay: 0.0 };
    let mut probes: Vec<_> = probes
        .iter()
        .map(|kind| {
            let any: AnyProbe = toml::from_str(&format!("kind = '{kind}'")).unwrap();
            let mut probe = any.build();
            probe.begin(&context).unwrap();
            assert!(probe.follows_steps(), "{kind}");
            probe
        })
        .collect();
    let mut before = Vec::new();
    let mut step = || {
        before.clear();
        before.extend_from_slice(at.theta());
        let full = probes.iter().any(|p| p.follows_ends()) && algorithm.is_full_batch();
        let from = full.then(|| at.eval(&problem, &RowSet::Full).unwrap());
        algorithm.step(&problem, &mut at).unwrap();
        let to = full.then(|| at.eval(&problem, &RowSet::Full).unwrap());
        let ends = from.as_deref().zip(to.as_deref());
        let ends = ends.map(|(from, to)| [End { full: from, field: None }, End { full: to, field: None }]);
        let (after, taken) = (at.theta(), algorithm.taken());
        let record = StepRecord { problem: &problem, before: &before, after, taken, ends };
        probes.iter_mut().for_each(|p| p.step(&record));
    };
    let mut steps = |k: usize| (0..k).for_each(|_| step());
    // A bundle's buffers are there once it is full.
    let first = if text.contains("'bundle'") { 400 } else { 10 };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        steps(first);
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

#[test]
fn steps_on_mini_batches_allocate_nothing() {
    for batch in ["kind = 'shuffle', size = 8", "kind = 'fresh', size = 8", "kind = 'fresh', size = 20"] {
        for pace in ["kind = 'loss-scaled', eta = 0.001", "kind = 'unit-decrease', eta = 0.5"] {
            for (model, loss) in
                [("kind = 'mlp'\nwidths = [40]", "exponential"), ("kind = 'linear'", "cross-entropy")]
            {
                let settings = format!("pace = {{ {pace} }}\nbatch = {{ {batch} }}");
                let count = allocations_with(model, loss, &stepped(&settings), (40, &[5]), 1, &[]);
                assert_eq!(count, 0, "{model} {loss} {settings}");
            }
        }
    }
}

#[test]
fn probes_that_follow_the_path_allocate_nothing_in_a_step() {
    let model = "kind = 'mlp'\nwidths = [40]";
    for probe in FOLLOWING {
        let count = allocations_with(
            model,
            "exponential",
            &stepped("pace = { kind = 'loss-scaled', eta = 0.001 }"),
            (40, &[5]),
            1,
            &[probe],
        );
        assert_eq!(count, 0, "{probe}");
    }
}

#[test]
fn evaluations_of_a_bundle_flow_allocate_nothing() {
    for setting in ["kappa = 0.01", "tolerance = 0.1", "kappa = 0.02\nhold = 3"] {
        for model in ["kind = 'mlp'\nwidths = [40]", "kind = 'mlp'\nwidths = [12, 12]"] {
            let bundle = format!("kind = 'bundle'\nmembers = 12\n{setting}");
            assert_eq!(
                allocations_with(model, "exponential", &bundle, (40, &[5]), 1, &[]),
                0,
                "{model} {setting}"
            );
        }
    }
}
