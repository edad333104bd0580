//! One side of a race of many small runs: a spec under many seeds, in memory. The last line is the result as JSON.
//!
//! ```text
//! cargo run --release -p latephase-lab --example many_runs -- SPEC.toml --runs 1000 --threads 2
//! ```

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use latephase_lab::source::Lookup;
use latephase_lab::{Spec, memory};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| arguments.iter().position(|a| a == flag).and_then(|k| arguments.get(k + 1));
    let file = arguments.first().ok_or("which spec?")?;
    let number = |flag, otherwise| after(flag).map_or(Ok(otherwise), |n| n.parse::<usize>());
    let (runs, threads) = (number("--runs", 1000)?, number("--threads", 1)?);
    let spec = Spec::parse(&std::fs::read_to_string(file)?, file, &[])?;
    let specs: Vec<Spec> = (0..runs as u64).map(|seed| Spec { seed, ..spec.clone() }).collect();
    let started = Instant::now();
    let ended = memory::run_many(&specs, &Lookup::from_env(), Some(threads), &AtomicBool::new(false))?;
    let seconds = started.elapsed().as_secs_f64();
    let ended = ended.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mean = |column: &str| ended.iter().map(|run| run.rows.last(column)).sum::<f64>() / runs as f64;
    let reached = ended.iter().filter(|run| run.outcome.is_reached()).count();
    let line = json!({
        "peer": concat!("latephase ", env!("CARGO_PKG_VERSION")),
        "runs": runs,
        "threads": threads,
        "seconds": seconds,
        "reached": reached,
        "steps": mean("step"),
        "evaluations": mean("evaluations"),
        "log10_loss": mean("log10_loss"),
        "margin": mean("margin"),
    });
    println!("{line}");
    Ok(())
}
