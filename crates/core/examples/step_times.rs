//! Seconds per step of one run, in the fields of the peers' step benchmarks: the workloads of a race.
//!
//! ```text
//! cargo run --release -p latephase-core --example step_times -- mlp-300x64-256 --threads 1 --seconds 5
//! ```
//!
//! A step is what a run does: evaluation, direction, update, through [`Algorithm::step`]. The last line is the machine's
//! speed at a large product of matrices, timed in the same way, as what a step can be held against.

use std::sync::Arc;
use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::loss::AnyLoss;
use latephase_core::model::AnyModel;
use latephase_core::rng::stream;
use latephase_core::{Data, Iterate, Problem};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

struct Workload {
    name: &'static str,
    examples: usize,
    input: &'static [usize],
    classes: usize,
    model: &'static str,
}

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "toy-40x5-40",
        examples: 40,
        input: &[5],
        classes: 2,
        model: "kind = 'mlp'\nwidths = [40]",
    },
    Workload {
        name: "toy-100x20-200",
        examples: 100,
        input: &[20],
        classes: 2,
        model: "kind = 'mlp'\nwidths = [200]",
    },
    Workload {
        name: "mlp-300x64-256",
        examples: 300,
        input: &[64],
        classes: 2,
        model: "kind = 'mlp'\nwidths = [256]",
    },
    Workload {
        name: "mlp-1797x64-1024",
        examples: 1797,
        input: &[64],
        classes: 2,
        model: "kind = 'mlp'\nwidths = [1024]",
    },
    Workload {
        name: "mlp-5000x784-1024",
        examples: 5000,
        input: &[784],
        classes: 2,
        model: "kind = 'mlp'\nwidths = [1024]",
    },
    Workload {
        name: "mlp-500x784-1000-1000",
        examples: 500,
        input: &[784],
        classes: 2,
        model: "kind = 'mlp'\nwidths = [1000, 1000]",
    },
    Workload {
        name: "cnn-mnist-100",
        examples: 100,
        input: &[1, 28, 28],
        classes: 10,
        model: "kind = 'network'\nlayers = [{ kind = 'conv2d', channels = 32, kernel = 5, padding = 'same' }, 'relu', \
                { kind = 'max-pool', size = 2 }, { kind = 'conv2d', channels = 64, kernel = 3, padding = 'same' }, 'relu', \
                { kind = 'max-pool', size = 2 }, 'flatten', { kind = 'dense', width = 1024 }, 'relu', 'dense']",
    },
];

impl Workload {
    /// Gaussian inputs of length 1 and labels drawn evenly: the cost of a step does not depend on them.
    fn data(&self) -> Data {
        let mut rng = stream(0, "data", 0);
        let dim = self.input.iter().product();
        let mut inputs = Vec::new();
        for _ in 0..self.examples {
            let row: Vec<f64> = (0..dim).map(|_| StandardNormal.sample(&mut rng)).collect();
            let length = row.iter().map(|x: &f64| x * x).sum::<f64>().sqrt();
            inputs.extend(row.iter().map(|x| x / length));
        }
        let labels = (0..self.examples).map(|_| rng.random_range(0..self.classes as u32)).collect();
        let classes = (0..self.classes).map(|k| k.to_string()).collect();
        Data::new(inputs, labels, classes, self.input.to_vec()).expect("the workload's own data fit")
    }

    /// Something that takes k steps.
    fn stepper(&self) -> impl FnMut(usize) + use<> {
        let data = Arc::new(self.data());
        let loss = if self.classes == 2 {
            "kind = 'exponential'"
        } else {
            "kind = 'cross-entropy'\nreduction = 'mean'"
        };
        let loss: AnyLoss = toml::from_str(loss).expect("a loss");
        let outputs = if self.classes == 2 { 1 } else { self.classes };
        let model: AnyModel = toml::from_str(self.model).expect("a model");
        let model = model.build().assemble(&data.shape, outputs).expect("the model fits the data");
        let theta = model.init(&mut stream(0, "model", 0));
        let problem = Problem::new(model, loss.build(), data, None);
        let text = "kind = 'stepped'\npace = { kind = 'loss-scaled', eta = 0.001 }";
        let algorithm: AnyAlgorithm = toml::from_str(text).expect("an algorithm");
        let mut algorithm = algorithm.build();
        algorithm.begin(&problem, 0).expect("the algorithm fits the model");
        let mut at = Iterate::new(theta);
        move |k| {
            for _ in 0..k {
                algorithm.step(&problem, &mut at).expect("a step of a short run");
            }
        }
    }
}

/// Median and best of five blocks, in seconds per step.
fn time(mut run: impl FnMut(usize), seconds: f64) -> (f64, f64) {
    let mut timed = |k: usize| {
        let start = Instant::now();
        run(k);
        start.elapsed().as_secs_f64()
    };
    timed(1);
    let (mut k, mut spent) = (1, timed(1));
    while spent <= seconds / 10.0 {
        k *= 2;
        spent = timed(k);
    }
    let k = ((k as f64 * seconds / 5.0 / spent).round() as usize).max(1);
    let mut blocks: Vec<f64> = (0..5).map(|_| timed(k) / k as f64).collect();
    blocks.sort_by(f64::total_cmp);
    (blocks[2], blocks[0])
}

/// A product of two square matrices as large as any here, with as many threads as a step has.
fn product(threads: usize) -> impl FnMut(usize) {
    let n = 1536;
    let (a, b) = (Mat::full(n, n, 0.5), Mat::full(n, n, 0.25));
    let mut out: Vec<Mat<f64>> = (0..threads).map(|_| Mat::zeros(n, n)).collect();
    move |k| {
        for _ in 0..k {
            // One product for each thread: no thread waits for another.
            rayon::scope(|scope| {
                for out in &mut out {
                    let (a, b) = (&a, &b);
                    scope.spawn(move |_| matmul(out, Accum::Replace, a, b, 1.0, Par::Seq));
                }
            });
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| arguments.iter().position(|a| a == flag).and_then(|k| arguments.get(k + 1));
    let threads = after("--threads").map_or(1, |n| n.parse().expect("--threads takes a number"));
    let seconds = after("--seconds").map_or(5.0, |s| s.parse().expect("--seconds takes a number"));
    let named: Vec<&String> = arguments.iter().take_while(|a| !a.starts_with("--")).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|n| *n == name);
    if let Some(unknown) = named.iter().find(|n| **n != "product" && WORKLOADS.iter().all(|w| w.name != **n))
    {
        let names: Vec<_> = WORKLOADS.iter().map(|w| w.name).collect();
        panic!("unknown workload {unknown}; choose from {}, product", names.join(", "));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let emit = |workload: &str, (median, best): (f64, f64), flops: Option<f64>| {
        let line = serde_json::json!({
            "peer": concat!("latephase ", env!("CARGO_PKG_VERSION")),
            "workload": workload,
            "seconds_per_step": median,
            "best_seconds_per_step": best,
            "steps_per_second": 1.0 / median,
            "gflops": flops.map(|f| f / median / 1e9),
            "dtype": "f64",
            "threads": threads,
            "data": "gaussian",
        });
        println!("{line}");
    };
    for w in WORKLOADS.iter().filter(|w| wanted(w.name)) {
        let times = pool.install(|| time(w.stepper(), seconds));
        emit(w.name, times, None);
    }
    if wanted("product") {
        let times = pool.install(|| time(product(threads), seconds));
        emit("product", times, Some(2.0 * 1536f64.powi(3) * threads as f64));
    }
}
