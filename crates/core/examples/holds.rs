//! Two flows at temperature zero from one θ: the bundle that holds its temperature, and the proximal steps of `limit`.
//!
//! ```text
//! zcat crates/lab/data/digits.csv.gz | cargo run --release -p latephase-core --example holds -- 300 256 1 2 4
//! ```
//!
//! Digits and network as in the example `referee`, by the bundle at its default tolerance to ln(1/𝓛) = 1e10; then both from there,
//! and a line of JSON at each growth of ln ρ: margins, the angle between the directions, the angle `off` of θ with the shortest
//! subgradient (kinks within 1e-2), and what either has cost since the last line.

mod digits;

use std::ops::ControlFlow;
use std::time::Instant;

use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::kkt::{Kinks, Reach};
use latephase_core::limit::{Way, follow, steepest};
use latephase_core::numeric::{angle, dot, norm};
use latephase_core::{Iterate, Problem, RowSet};
use serde_json::json;

use digits::{Failed, problem};

fn look(problem: &Problem, theta: &[f64]) -> Result<(f64, f64), Failed> {
    let eval = problem.eval(theta, &RowSet::Full)?;
    let q_min = problem.constraints(&eval).iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
    let reach = Reach { within: 3e-2, kink: 1e-2, ..Reach::default() };
    let found = steepest(problem, theta, reach, Kinks::Attracting)?;
    Ok((q_min / dot(theta, theta), found.map_or(f64::NAN, |d| angle(&d.direction, theta))))
}

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [examples, width, growths @ ..] = &arguments[..] else {
        return Err("holds EXAMPLES WIDTH GROWTH …, with the digits on standard input".into());
    };
    let (problem, theta) = problem(examples.parse()?, width.parse()?, "relu", 0)?;
    let mut flow = toml::from_str::<AnyAlgorithm>("kind = 'bundle'")?.build();
    flow.begin(&problem, 0)?;
    let mut at = Iterate::new(theta);
    let mut steps = 0;
    while -at.eval(&problem, &RowSet::Full)?.ln_loss_sum < 1e10 {
        flow.step(&problem, &mut at)?;
        steps += 1;
    }
    let begun = norm(at.theta()).ln();
    let mut other = at.theta().to_vec();
    let (margin, off) = look(&problem, &other)?;
    println!("{}", json!({ "grown": 0.0, "steps": steps, "margin": margin, "off": off }));
    let mut before = 0.0;
    for growth in growths {
        let growth: f64 = growth.parse()?;
        let (from, started) = (steps, Instant::now());
        while norm(at.theta()).ln() + at.beyond - begun < growth {
            flow.step(&problem, &mut at)?;
            steps += 1;
        }
        let bundle_seconds = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let how = Way { tolerance: 0.0, ..Way::flow() };
        let left = growth - before;
        let found = follow(&problem, &other, &how, &mut |look| {
            if look.ln_rho >= left { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let found = found.ok_or("theta separates the data")?;
        let seconds = started.elapsed().as_secs_f64();
        other = found.theta;
        let ((margin, off), (flow_margin, flow_off)) = (look(&problem, at.theta())?, look(&problem, &other)?);
        println!(
            "{}",
            json!({
                "grown": growth, "angle": angle(at.theta(), &other),
                "bundle": { "steps": steps - from, "seconds": bundle_seconds, "margin": margin, "off": off },
                "flow": { "steps": found.steps, "seconds": seconds, "margin": flow_margin, "off": flow_off,
                          "ln_rho": before + found.ln_rho },
            })
        );
        before += found.ln_rho;
    }
    Ok(())
}
