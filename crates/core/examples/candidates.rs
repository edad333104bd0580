//! Integrators for the late flow against each other: one run, its numbers at equal losses, as a line of JSON for each.
//!
//! ```text
//! gunzip -c crates/lab/data/digits.csv.gz > digits.csv
//! cargo run --release -p latephase-core --example candidates -- digits.csv relu 1 "kind = 'stepped'
//! pace = { kind = 'unit-decrease', eta = 0.01 }" --to 100 --keep truth.f64
//! cargo run --release -p latephase-core --example candidates -- digits.csv relu 1 "kind = 'implicit'" --to 100 --against truth.f64
//! ```
//!
//! 300 digits, even against odd, 64-256-1 without biases, exponential loss as a sum. θ is kept at F = ln(1/𝓛) = 3, 10, 30, 100, 230,
//! 1e3, 1e4, ..., interpolated within the step that passes them; `--keep FILE` writes them, `--against FILE` reads those of another run
//! and tells the angle, the ratio of the margins and that of the smoothed margins.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::loss::Exponential;
use latephase_core::model::AnyModel;
use latephase_core::numeric::{angle, norm};
use latephase_core::rng::stream;
use latephase_core::{Data, Iterate, Problem, RowSet};

type Failure = Box<dyn std::error::Error>;

const LEVELS: [f64; 12] = [0.0, 3.0, 10.0, 30.0, 100.0, 230.0, 1e3, 1e4, 1e5, 1e6, 1e8, 1e10];

/// 300 digits and the network with its first weights.
fn problem(file: &str, activation: &str, widths: &str, seed: u64) -> Result<(Problem, Vec<f64>), Failure> {
    let text = std::fs::read_to_string(file)?;
    let (mut x, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines().take(300) {
        let row: Vec<f64> = line.split(',').map(|v| v.trim().parse()).collect::<Result<_, _>>()?;
        let (label, pixels) = row.split_last().ok_or("an empty line")?;
        labels.push(*label as u32 % 2);
        x.extend(pixels.iter().map(|p| p / 16.0));
    }
    let model: AnyModel =
        toml::from_str(&format!("kind = 'mlp'\nwidths = [{widths}]\nactivation = '{activation}'"))?;
    let model = model.build().assemble(&[64], 1)?;
    let theta = model.init(&mut stream(seed, "model.init", 0));
    let data = Data::new(x, labels, vec!["even".into(), "odd".into()], vec![64])?;
    Ok((Problem::new(model, Box::new(Exponential::default()), Arc::new(data), None), theta))
}

/// ln of the margin q_min/ρ^L and of the smoothed margin F/ρ^L.
fn ln_margins(problem: &Problem, theta: &[f64]) -> Result<[f64; 2], Failure> {
    let eval = problem.eval(theta, &RowSet::Full)?;
    let q_min = problem.constraints(&eval).iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
    let degree = problem.model.degree().order().ok_or("no degree")?;
    let ln_rho = norm(theta).ln();
    Ok([q_min.ln() - degree * ln_rho, (-eval.ln_loss_sum).ln() - degree * ln_rho])
}

fn read(file: &str, dim: usize) -> Result<Vec<(f64, Vec<f64>)>, Failure> {
    let bytes = std::fs::read(file)?;
    let numbers: Vec<f64> =
        bytes.chunks_exact(8).map(|b| b.try_into().map(f64::from_le_bytes)).collect::<Result<_, _>>()?;
    Ok(numbers.chunks_exact(dim + 1).map(|row| (row[0], row[1..].to_vec())).collect())
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| args.iter().position(|a| a == name).and_then(|k| args.get(k + 1)).cloned();
    let [file, activation, seed, algorithm, ..] = &args[..] else {
        return Err("usage: candidates DIGITS.csv ACTIVATION SEED ALGORITHM [--to F] [--seconds S] [--keep FILE] [--against FILE]".into());
    };
    let widths = option("--widths").unwrap_or("256".into());
    let top: f64 = option("--to").map_or(Ok(230.0), |t| t.parse())?;
    let most: f64 = option("--seconds").map_or(Ok(1e9), |t| t.parse())?;
    let (problem, theta) = problem(file, activation, &widths, seed.parse()?)?;
    let others = option("--against").map_or(Ok(Vec::new()), |f| read(&f, problem.dim()))?;
    let mut kept = option("--keep").map(std::fs::File::create).transpose()?;
    let settings: AnyAlgorithm = toml::from_str(algorithm)?;
    let mut algorithm_built = settings.build();
    algorithm_built.begin(&problem, 0)?;
    let mut at = Iterate::new(theta);
    let mut levels = LEVELS.iter().filter(|l| **l <= top).peekable();
    let started = Instant::now();
    let mut spent = 0.0;
    let mut last = (at.eval(&problem, &RowSet::Full)?.ln_loss_sum, at.theta().to_vec());
    let mut path = 0.0;
    while levels.peek().is_some() && spent < most {
        let begun = Instant::now();
        let ended = algorithm_built.step(&problem, &mut at);
        spent += begun.elapsed().as_secs_f64();
        if let Err(breakdown) = ended {
            eprintln!("{breakdown}");
            break;
        }
        let now = at.eval(&problem, &RowSet::Full)?.ln_loss_sum;
        path += angle(&last.1, at.theta());
        while let Some(level) = levels.peek().filter(|l| -now >= ***l) {
            let part = (-**level - last.0) / (now - last.0);
            let theta: Vec<f64> = last.1.iter().zip(at.theta()).map(|(a, b)| a + part * (b - a)).collect();
            let [margin, smooth] = ln_margins(&problem, &theta)?;
            let mut told = format!(
                "\"F\":{level},\"evaluations\":{:.0},\"steps\":{},\"seconds\":{spent:.3},\"margin\":{:.6},\"smooth\":{:.6},\"path\":{path:.4},\"account\":{:.5}",
                at.clocks.evaluations,
                at.clocks.step,
                margin.exp(),
                smooth.exp(),
                algorithm_built.direction_error()
            );
            if let Some((_, other)) = others.iter().find(|(f, _)| f == *level) {
                let [theirs, smooth_theirs] = ln_margins(&problem, other)?;
                told += &format!(
                    ",\"angle\":{:.5},\"margin_ratio\":{:.5},\"smooth_ratio\":{:.5}",
                    angle(&theta, other),
                    (margin - theirs).exp(),
                    (smooth - smooth_theirs).exp()
                );
            }
            println!("{{\"network\":\"{activation}\",\"seed\":{seed},\"algorithm\":{algorithm:?},{told}}}");
            if let Some(kept) = &mut kept {
                for number in std::iter::once(**level).chain(theta.iter().copied()) {
                    kept.write_all(&number.to_le_bytes())?;
                }
            }
            levels.next();
        }
        last = (now, at.theta().to_vec());
    }
    eprintln!("{:?} {:.1} s in all", algorithm_built.counts(), started.elapsed().as_secs_f64());
    Ok(())
}
