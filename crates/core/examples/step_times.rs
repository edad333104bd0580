//! Seconds per step of one run, in the fields of the peers' step benchmarks: the workloads of a race.
//!
//! ```text
//! cargo run --release -p latephase-core --example step_times -- mlp-300x64-256 --threads 1 --seconds 5
//! ```
//!
//! A step is what a run does: evaluation, direction, update, through [`Algorithm::step`]. `product` is the machine's speed at
//! a large product of matrices and `copy` that of its memory, timed in the same way: what a step can be held against.

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
    examples: usize,
    input: Vec<usize>,
    classes: usize,
    model: String,
}

const WORKLOADS: &[&str] = &[
    "toy-40x5-40",
    "toy-100x20-200",
    "mlp-300x64-256",
    "mlp-1797x64-1024",
    "mlp-5000x784-1024",
    "mlp-500x784-1000-1000",
    CNN,
];
const CNN: &str = "cnn-mnist-100";
const LYU_LI: &str = "kind = 'network'\nlayers = [{ kind = 'conv2d', channels = 32, kernel = 5, padding = 'same' }, 'relu', \
                      { kind = 'max-pool', size = 2 }, { kind = 'conv2d', channels = 64, kernel = 3, padding = 'same' }, 'relu', \
                      { kind = 'max-pool', size = 2 }, 'flatten', { kind = 'dense', width = 1024 }, 'relu', 'dense']";

impl Workload {
    /// The network of the name: `mlp-300x64-256` has 300 examples of 64 numbers and one hidden layer of 256.
    fn named(name: &str) -> Option<Workload> {
        if name == CNN {
            let (input, model) = (vec![1, 28, 28], LYU_LI.to_owned());
            return Some(Workload { examples: 100, input, classes: 10, model });
        }
        let mut parts = name.split('-').skip(1);
        let (examples, input) = parts.next()?.split_once('x')?;
        let widths: Option<Vec<usize>> = parts.map(|width| width.parse().ok()).collect();
        Some(Workload {
            examples: examples.parse().ok()?,
            input: vec![input.parse().ok()?],
            classes: 2,
            model: format!("kind = 'mlp'\nwidths = {:?}", widths?),
        })
    }

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
        Data::new(inputs, labels, classes, self.input.clone()).expect("the workload's own data fit")
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
        let model: AnyModel = toml::from_str(&self.model).expect("a model");
        let model = model.build().assemble(&data.shape, outputs).expect("the model fits the data");
        let theta = model.init(&mut stream(0, "model", 0));
        let problem = Problem::new(model, loss.build(), data, None);
        let text = "kind = 'stepped'\npace = { kind = 'loss-scaled', eta = 0.001 }";
        let algorithm: AnyAlgorithm = toml::from_str(text).expect("an algorithm");
        let mut algorithm = algorithm.build();
        algorithm.begin(&problem, 0).expect("the algorithm fits the model");
        // As in a run whose probes do not follow its steps.
        algorithm.remember_steps(false);
        let mut at = Iterate::new(theta);
        move |k| {
            for _ in 0..k {
                algorithm.step(&problem, &mut at).expect("a step of a short run");
            }
        }
    }
}

/// Parts of a block that are timed for themselves.
const PARTS: usize = 20;

/// Seconds per step: the median and the best of five blocks, and the best part of a block, which other work on the machine
/// disturbs least.
fn time(mut run: impl FnMut(usize), seconds: f64) -> [f64; 3] {
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
    let part = k.div_ceil(PARTS);
    let mut least = f64::INFINITY;
    let mut blocks: Vec<f64> = (0..5)
        .map(|_| {
            let mut block = 0.0;
            for from in (0..k).step_by(part) {
                let steps = part.min(k - from);
                let seconds = timed(steps);
                block += seconds;
                if steps == part {
                    least = least.min(seconds / part as f64);
                }
            }
            block / k as f64
        })
        .collect();
    blocks.sort_by(f64::total_cmp);
    [blocks[2], blocks[0], least]
}

/// A number of kilobytes that the system keeps of this process: `VmHWM` is the most that was resident, `VmRSS` what is.
fn kilobytes(what: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix(what)?.split_whitespace().next()?.parse().ok())
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

/// Numbers of a copy that no cache holds: 256 MB.
const COPIED: usize = 1 << 25;

/// A copy of memory by every thread.
fn copy(threads: usize) -> impl FnMut(usize) {
    let mut all: Vec<[Vec<f64>; 2]> = (0..threads).map(|_| [vec![1.0; COPIED], vec![0.0; COPIED]]).collect();
    move |k| {
        for _ in 0..k {
            rayon::scope(|scope| {
                for [from, to] in &mut all {
                    scope.spawn(move |_| to.copy_from_slice(from));
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
    let mut named: Vec<&str> =
        arguments.iter().map(String::as_str).take_while(|a| !a.starts_with("--")).collect();
    if named.is_empty() {
        named = [WORKLOADS, &["product"]].concat();
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    for name in named {
        let mut line = serde_json::json!({
            "peer": concat!("latephase ", env!("CARGO_PKG_VERSION")),
            "workload": name,
            "dtype": "f64",
            "threads": threads,
            "data": "gaussian",
        });
        let [median, best, least] = if name == "product" {
            let times = pool.install(|| time(product(threads), seconds));
            line["gflops"] = (2.0 * 1536f64.powi(3) * threads as f64 / times[0] / 1e9).into();
            times
        } else if name == "copy" {
            let times = pool.install(|| time(copy(threads), seconds));
            line["gigabytes_per_second"] = (16.0 * COPIED as f64 * threads as f64 / times[0] / 1e9).into();
            times
        } else {
            let work = Workload::named(name).unwrap_or_else(|| {
                panic!(
                    "unknown workload {name}; choose from {}, product, copy, or mlp-NxD-WIDTH",
                    WORKLOADS.join(", ")
                )
            });
            line["start_kilobytes"] = kilobytes("VmRSS:").into();
            let times = pool.install(|| time(work.stepper(), seconds));
            line["peak_kilobytes"] = kilobytes("VmHWM:").into();
            times
        };
        line["seconds_per_step"] = median.into();
        line["best_seconds_per_step"] = best.into();
        line["least_seconds_per_step"] = least.into();
        line["steps_per_second"] = (1.0 / median).into();
        println!("{line}");
    }
}
