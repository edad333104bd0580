//! The short cut to the KKT point on random two-layer problems: residuals, seconds, verdicts.
//!
//! `cargo run --release -p latephase-core --example limit [SEEDS]` prints one line of JSON a problem; it is what
//! `docs/results/limit/README.md` tells of.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use latephase_core::algorithm::{Algorithm, Bundle};
use latephase_core::limit::{Certificate, Way, follow};
use latephase_core::loss::Exponential;
use latephase_core::model::AnyModel;
use latephase_core::numeric::dot;
use latephase_core::rng::stream;
use latephase_core::{Data, Iterate, Problem, RowSet};
use rand::distr::Distribution;
use rand_distr::StandardNormal;

fn normals(seed: u64, name: &str, n: usize) -> Vec<f64> {
    let mut rng = stream(seed, name, 0);
    (0..n).map(|_| StandardNormal.sample(&mut rng)).collect()
}

/// n Gaussian points in `dim` dimensions, labelled by a network of three neurons.
fn problem(
    seed: u64,
    activation: &str,
    (n, dim, width): (usize, usize, usize),
) -> Result<(Problem, Vec<f64>), Box<dyn std::error::Error>> {
    let (x, teacher) = (normals(seed, "limit.x", n * dim), normals(seed, "limit.teacher", 3 * dim));
    let label = |x: &[f64]| {
        let neuron = |r: usize| dot(&teacher[r * dim..(r + 1) * dim], x).max(0.0);
        u32::from(neuron(0) - 1.5 * neuron(1) + neuron(2) <= 0.0)
    };
    let labels: Vec<u32> = x.chunks(dim).map(label).collect();
    let model: AnyModel = toml::from_str(&format!(
        "kind = 'mlp'\nwidths = [{width}]\nactivation = '{activation}'\ninit = {{ kind = 'he', alpha = 0.5 }}"
    ))?;
    let model = model.build().assemble(&[dim], 1)?;
    let theta = model.init(&mut stream(seed, "model.init", 0));
    let data = Data::new(x, labels, vec!["0".into(), "1".into()], vec![dim])?;
    Ok((Problem::new(model, Box::new(Exponential::default()), Arc::new(data), None), theta))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds: u64 = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let verbose = std::env::args().nth(2).is_some();
    for activation in ["relu", "relu-power"] {
        for sizes in [(20, 5, 20), (40, 5, 40), (40, 10, 40)] {
            for seed in 0..seeds {
                let (problem, theta) = problem(seed, activation, sizes)?;
                let mut flow = Bundle::new(0.005, 0.02, 80);
                flow.begin(&problem, 0)?;
                let mut at = Iterate::new(theta);
                let started = Instant::now();
                while at.clocks.step < 20_000 && at.eval(&problem, &RowSet::Full)?.ln_loss > -230.26 {
                    if flow.step(&problem, &mut at).is_err() {
                        break;
                    }
                }
                let flowed = started.elapsed().as_secs_f64();
                let started = Instant::now();
                let mut last = 0;
                let how = Way::short_cut();
                let found = follow(&problem, at.theta(), &how, &mut |look| {
                    last = look.step;
                    if verbose {
                        eprintln!("  {look:?}");
                    }
                    ControlFlow::Continue(())
                })?;
                let (n, dim, width) = sizes;
                let head = format!(
                    "\"activation\":\"{activation}\",\"n\":{n},\"dim\":{dim},\"width\":{width},\"seed\":{seed}"
                );
                let Some(found) = found else {
                    println!(
                        "{{{head},\"why\":\"not separated\",\"ln_loss\":{:.1}}}",
                        at.eval(&problem, &RowSet::Full)?.ln_loss
                    );
                    continue;
                };
                let seconds = started.elapsed().as_secs_f64();
                let certificate = Certificate::at(&problem, &found.theta, 1e-6, true)?;
                let told = certificate.map_or("\"why\":\"no certificate\"".to_owned(), |c| {
                    format!(
                        "\"epsilon\":{:.1e},\"relative\":{:.1e},\"delta\":{:.1e},\"support\":{},\"kinks\":{},\"verdict\":\"{:?}\"",
                        c.fit.epsilon,
                        c.relative(),
                        c.fit.delta,
                        c.support.len(),
                        c.kinks,
                        c.judgement.map(|j| j.verdict)
                    )
                });
                println!(
                    "{{{head},{told},\"ending\":\"{}\",\"steps\":{},\"residual\":{:.1e},\"polished\":{},\"seconds\":{seconds:.3},\"flow_seconds\":{flowed:.3},\"angle\":{:.4},\"margin_before\":{:.9},\"margin\":{:.9}}}",
                    found.ending.name(),
                    found.steps,
                    found.residual,
                    found.is_polished,
                    found.angle,
                    found.margin_before,
                    found.margin
                );
            }
        }
    }
    Ok(())
}
