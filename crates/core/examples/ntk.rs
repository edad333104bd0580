//! Seconds for the tangent kernel of a bias-free ReLU network, in the fields of the peers' benchmark: our side of a race.
//!
//! ```text
//! cargo run --release -p latephase-core --example ntk -- inputs.f64 300 --threads 2 --repeats 20
//! ```
//!
//! `inputs.f64` holds the inputs and then the weights, little-endian f64, of a 64-512-512-1 network (`--widths 64,512,512,1`).
//! Both sides then have the same kernel, and `trace` shows it.

use std::time::Instant;

use latephase_core::model::{Architecture, Mlp};
use latephase_core::{Rows, ntk};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str, default: &str| -> String {
        let place = args.iter().position(|a| a == name);
        place.and_then(|k| args.get(k + 1)).map_or(default.to_owned(), Clone::clone)
    };
    let [file, examples, ..] = &args[..] else {
        eprintln!(
            "usage: ntk FILE EXAMPLES [--threads N] [--repeats N] [--widths 64,512,512,1] [--kernel FILE]"
        );
        std::process::exit(2);
    };
    let widths: Vec<usize> =
        option("--widths", "64,512,512,1").split(',').filter_map(|w| w.parse().ok()).collect();
    let (Ok(n), Ok(threads), Ok(repeats)) = (
        examples.parse::<usize>(),
        option("--threads", "1").parse::<usize>(),
        option("--repeats", "5").parse::<usize>(),
    ) else {
        eprintln!("EXAMPLES, --threads and --repeats are numbers");
        std::process::exit(2);
    };
    let bytes = std::fs::read(file).unwrap_or_else(|e| {
        eprintln!("{file}: {e}");
        std::process::exit(2)
    });
    let numbers: Vec<f64> =
        bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap_or_default())).collect();
    let hidden = widths[1..widths.len() - 1].to_vec();
    let model = Mlp { widths: hidden, ..Mlp::default() }.assemble(&widths[..1], widths[widths.len() - 1]);
    let model = model.unwrap_or_else(|e| {
        eprintln!("{e}");
        std::process::exit(2)
    });
    let (x, theta) = numbers.split_at(n * widths[0]);
    if theta.len() != model.layout().dim() {
        eprintln!("{file} holds {} weights, the network has {}", theta.len(), model.layout().dim());
        std::process::exit(2);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.unwrap_or_else(|e| {
        eprintln!("{e}");
        std::process::exit(2)
    });
    let kernel = || pool.install(|| ntk::outputs(model.as_ref(), theta, Rows::new(x, widths[0])));
    let mut seconds = Vec::new();
    let mut last = Vec::new();
    for _ in 0..=repeats {
        let start = Instant::now();
        last = kernel().unwrap_or_default();
        seconds.push(start.elapsed().as_secs_f64());
    }
    let first = seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    let members = n * widths[widths.len() - 1];
    let trace: f64 = (0..members).map(|a| last[a * members + a]).sum();
    let place = option("--kernel", "");
    if !place.is_empty() {
        let bytes: Vec<u8> = last.iter().flat_map(|k| k.to_le_bytes()).collect();
        if let Err(e) = std::fs::write(&place, bytes) {
            eprintln!("{place}: {e}");
        }
    }
    println!(
        "{{\"peer\": \"latephase\", \"workload\": \"ntk {n}x{n} {}\", \"seconds\": {:e}, \"best_seconds\": {:e}, \
         \"first_seconds\": {first:e}, \"method\": \"layer-wise Gram products\", \"trace\": {trace:.17e}, \"threads\": {threads}}}",
        widths.iter().map(usize::to_string).collect::<Vec<_>>().join("-"),
        seconds[seconds.len() / 2],
        seconds[0],
    );
}
