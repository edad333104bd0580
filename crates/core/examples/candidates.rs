//! Integrators for the late flow against each other: one run, its numbers at equal losses, as a line of JSON for each.
//!
//! ```text
//! D="gunzip -c crates/lab/data/digits.csv.gz"
//! R="cargo run --release -p latephase-core --example candidates --"
//! $D | $R relu 1 "kind = 'stepped'
//! pace = { kind = 'unit-decrease', eta = 0.01 }" --to 100 --keep truth.f64
//! $D | $R relu 1 "kind = 'implicit'" --to 100 --against truth.f64
//! $D | $R relu 1 "kind = 'projective'
//! inner = 8
//! eta = 0.1
//! kappa = 0.004" --to 100 --against truth.f64
//! ```
//!
//! 300 digits, even against odd, 64-256-1 without biases, exponential loss as a sum. θ is kept at F = ln(1/𝓛) = 3, 10, 30, 100, 230,
//! 1e3, 1e4, ..., interpolated within the step that passes them; `--keep FILE` writes them, `--against FILE` reads those of another run
//! and tells the angle, the ratio of the margins and that of the smoothed margins.
//!
//! `projective` is no algorithm of the catalogue: `inner` explicit steps that lower ln 𝓛 by `eta` each, then a leap of `kappa` of ‖θ‖
//! along the last of them (projective integration, Gear & Kevrekidis 2003).

mod digits;

use std::io::Write;
use std::time::Instant;

use latephase_core::algorithm::{Algorithm, AnyAlgorithm};
use latephase_core::norm::{AnyNorm, L2};
use latephase_core::numeric::{angle, axpy, dot, norm};
use latephase_core::{Breakdown, Invalid, Iterate, Problem, RowSet, State};
use serde::Deserialize;

use digits::{Failed, problem};

const LEVELS: [f64; 12] = [0.0, 3.0, 10.0, 30.0, 100.0, 230.0, 1e3, 1e4, 1e5, 1e6, 1e8, 1e10];

/// Projective integration: explicit steps let the stiff part come to rest, and a leap goes where what is left goes.
#[derive(Debug, Deserialize)]
struct Projective {
    inner: usize,
    eta: f64,
    kappa: f64,
    /// Part of κ in use.
    #[serde(skip, default = "whole")]
    trust: f64,
    #[serde(skip)]
    counts: [u64; 2],
}

fn whole() -> f64 {
    1.0
}

impl Algorithm for Projective {
    fn begin(&mut self, _problem: &Problem, _seed: u64) -> Result<(), Invalid> {
        Ok(())
    }

    fn step(&mut self, problem: &Problem, at: &mut Iterate) -> Result<(), Breakdown> {
        let (mut along, mut slope) = (Vec::new(), 0.0);
        for _ in 0..self.inner {
            let eval = at.eval(problem, &RowSet::Full)?;
            let h = self.eta / dot(&eval.grad, &eval.grad);
            let mut theta = at.theta().to_vec();
            axpy(-h, &eval.grad, &mut theta);
            along = theta.iter().zip(at.theta()).map(|(b, a)| b - a).collect();
            slope = self.eta / norm(&along);
            at.move_to(theta, None);
            at.clocks.advance(h, f64::NAN);
        }
        let here = at.eval(problem, &RowSet::Full)?;
        let length = self.trust * self.kappa * norm(at.theta());
        let mut theta = at.theta().to_vec();
        axpy(length / norm(&along), &along, &mut theta);
        let there = at.trial(problem, &theta, &RowSet::Full)?;
        if here.ln_loss_sum - there.ln_loss_sum >= 0.3 * slope * length {
            at.move_to(theta, Some((&RowSet::Full, there)));
            self.trust = (1.5 * self.trust).min(1.0);
            self.counts[0] += 1;
        } else {
            self.trust *= 0.5;
            self.counts[1] += 1;
        }
        Ok(())
    }

    fn norm(&self) -> AnyNorm {
        L2 {}.into()
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![("leaps", self.counts[0]), ("refused leaps", self.counts[1])]
    }

    fn save(&self) -> State {
        State::default()
    }

    fn load(&mut self, _state: &State) -> Result<(), Invalid> {
        Ok(())
    }
}

/// The catalogue's, or `projective`.
fn algorithm(text: &str) -> Result<Box<dyn Algorithm>, Failed> {
    let mut table: toml::Table = toml::from_str(text)?;
    if table.get("kind").and_then(|kind| kind.as_str()) == Some("projective") {
        table.remove("kind");
        return Ok(Box::new(table.try_into::<Projective>()?));
    }
    Ok(toml::from_str::<AnyAlgorithm>(text)?.build())
}

/// ln of the margin q_min/ρ^L and of the smoothed margin F/ρ^L.
fn ln_margins(problem: &Problem, theta: &[f64]) -> Result<[f64; 2], Failed> {
    let eval = problem.eval(theta, &RowSet::Full)?;
    let q_min = problem.constraints(&eval).iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
    let degree = problem.model.degree().order().ok_or("no degree")?;
    let ln_rho = norm(theta).ln();
    Ok([q_min.ln() - degree * ln_rho, (-eval.ln_loss_sum).ln() - degree * ln_rho])
}

fn read(file: &str, dim: usize) -> Result<Vec<(f64, Vec<f64>)>, Failed> {
    let bytes = std::fs::read(file)?;
    let numbers: Vec<f64> =
        bytes.chunks_exact(8).map(|b| b.try_into().map(f64::from_le_bytes)).collect::<Result<_, _>>()?;
    Ok(numbers.chunks_exact(dim + 1).map(|row| (row[0], row[1..].to_vec())).collect())
}

fn main() -> Result<(), Failed> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| args.iter().position(|a| a == name).and_then(|k| args.get(k + 1)).cloned();
    let [activation, seed, text, ..] = &args[..] else {
        return Err("usage: candidates ACTIVATION SEED ALGORITHM [--to F] [--seconds S] [--width W] [--keep FILE] [--against FILE], with the digits on standard input".into());
    };
    let width = option("--width").map_or(Ok(256), |w| w.parse())?;
    let top: f64 = option("--to").map_or(Ok(230.0), |t| t.parse())?;
    let most: f64 = option("--seconds").map_or(Ok(1e9), |t| t.parse())?;
    let (problem, theta) = problem(300, width, activation, seed.parse()?)?;
    let others = option("--against").map_or(Ok(Vec::new()), |f| read(&f, problem.dim()))?;
    let mut kept = option("--keep").map(std::fs::File::create).transpose()?;
    let mut algorithm = algorithm(text)?;
    algorithm.begin(&problem, 0)?;
    let mut at = Iterate::new(theta);
    let mut levels = LEVELS.iter().filter(|l| **l <= top).peekable();
    let started = Instant::now();
    let mut spent = 0.0;
    let mut last = (at.eval(&problem, &RowSet::Full)?.ln_loss_sum, at.theta().to_vec());
    let mut path = 0.0;
    while levels.peek().is_some() && spent < most {
        let begun = Instant::now();
        let ended = algorithm.step(&problem, &mut at);
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
            let account = Some(algorithm.direction_error()).filter(|error| error.is_finite());
            let mut told = format!(
                "\"F\":{level},\"evaluations\":{:.0},\"steps\":{},\"seconds\":{spent:.3},\"margin\":{:.6},\"smooth\":{:.6},\"path\":{path:.4},\"account\":{}",
                at.clocks.evaluations,
                at.clocks.step,
                margin.exp(),
                smooth.exp(),
                account.map_or("null".into(), |account| format!("{account:.5}"))
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
            println!("{{\"network\":\"{activation}\",\"seed\":{seed},\"algorithm\":{text:?},{told}}}");
            if let Some(kept) = &mut kept {
                for number in std::iter::once(**level).chain(theta.iter().copied()) {
                    kept.write_all(&number.to_le_bytes())?;
                }
            }
            levels.next();
        }
        last = (now, at.theta().to_vec());
    }
    eprintln!("{:?} {:.1} s in all", algorithm.counts(), started.elapsed().as_secs_f64());
    Ok(())
}
