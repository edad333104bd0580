//! The bundle's direction against the shortest Clarke subgradient, along a run on digits.
//!
//! ```text
//! zcat crates/lab/data/digits.csv.gz | cargo run --release -p latephase-core --example referee -- 300 64 1e2 1e3 1e4 1e5
//! ```
//!
//! 300 digits, even against odd, 64 → 256 → 1, ReLU, He initialisation, exponential loss, the bundle flow at its default tolerance.
//! At each F = ln(1/𝓛) a line of JSON for each referee: the shortest element of ∂° ln q_min with constraints and kinks within these
//! tolerances (`zero`), and that of ∂° ln(1/𝓛) with the weights of the loss (`weights`). `angle` is from the bundle's direction,
//! `tangent` the same for the parts across θ, `chord` that from the way of θ/‖θ‖ while ‖θ‖ grows by a twentieth, `off` the angle of a direction with θ: its sine is the KKT residual over ‖θ‖, and the
//! length of a direction of ln q_min is L/(‖θ‖ cos off).

mod digits;

use std::time::Instant;

use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::kkt::{Kinks, Reach};
use latephase_core::limit::steepest;
use latephase_core::loss::Constraint;
use latephase_core::numeric::{angle, axpy, dot, norm};
use latephase_core::probe::{Context, Probe, Row, Snapshot, Stationarity};
use latephase_core::quadratic::Bounded;
use latephase_core::{Iterate, Problem, RowSet};
use serde_json::json;

use digits::{Failed, problem};

/// Weights below this have no part in a direction, and their squares would be 0.
const NOTHING: f64 = 1e-30;
/// What ‖θ‖ grows by while the chord of θ/‖θ‖ is taken.
const WINDOW: f64 = 1.05;

/// The part of v across θ.
fn across(v: &[f64], theta: &[f64]) -> Vec<f64> {
    let mut part = v.to_vec();
    axpy(-dot(v, theta) / dot(theta, theta), theta, &mut part);
    part
}

/// Σ w_i h_i of the shortest choice of slopes at kinks within `kink`, neuron by neuron: they have coordinates of their own.
fn at_temperature(
    problem: &Problem,
    theta: &[f64],
    all: &[Constraint],
    kink: f64,
    which: Kinks,
) -> Result<(Vec<f64>, usize), Failed> {
    let two = problem.model.neurons().ok_or("two layers are needed")?;
    let jump = two.slopes[1] - two.slopes[0];
    let (mut direction, mut kinks) = (vec![0.0; theta.len()], 0);
    let mut solver = Bounded::default();
    for r in 0..two.width {
        let (mut base, mut columns, mut outer) = (vec![0.0; two.cols()], Vec::new(), 0.0);
        let size = two.row_norm(theta, r);
        for c in all.iter().filter(|c| c.weight > NOTHING) {
            let x = two.input(problem.train.rows().row(c.example));
            let sign = if problem.train.labels()[c.example] == 0 { 1.0 } else { -1.0 };
            let (z, along) = (two.pre(theta, r, &x), c.weight * sign * theta[two.outer(0, r)]);
            let is_kink = z.abs() <= kink * size * norm(&x);
            let repels = along * jump > 0.0;
            if is_kink && !(which == Kinks::Attracting && repels) {
                axpy(along * two.slopes[0], &x, &mut base);
                columns.extend(x.iter().map(|x| -along * jump * x));
            } else {
                axpy(along * two.slope(z), &x, &mut base);
            }
            outer += c.weight * sign * two.value(z);
        }
        let most = vec![1.0; columns.len() / two.cols()];
        kinks += most.len();
        solver.solve(&base, &columns, &most);
        solver.residual().iter().enumerate().for_each(|(i, g)| direction[two.inner(r, i)] = *g);
        direction[two.outer(0, r)] = outer;
    }
    Ok((direction, kinks))
}

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [examples, width, levels @ ..] = &arguments[..] else {
        return Err("referee EXAMPLES WIDTH F …, with the digits on standard input".into());
    };
    let levels: Vec<f64> = levels.iter().map(|f| f.parse()).collect::<Result<_, _>>()?;
    let (problem, theta) = problem(examples.parse()?, width.parse()?, "relu", 0)?;
    let mut flow = toml::from_str::<AnyAlgorithm>("kind = 'bundle'")?.build();
    flow.begin(&problem, 0)?;
    let mut at = Iterate::new(theta);
    let mut steps = 0;
    for level in levels {
        while -at.eval(&problem, &RowSet::Full)?.ln_loss_sum < level {
            flow.step(&problem, &mut at)?;
            steps += 1;
        }
        let eval = at.eval(&problem, &RowSet::Full)?;
        let (theta, all) = (at.theta().to_vec(), problem.constraints(&eval));
        // Null steps add members until the direction is the one that is taken; then on, to see where the direction goes.
        let mut field = flow.field().ok_or("the bundle has a direction")?.clone();
        while at.theta() == theta {
            field = flow.field().ok_or("the bundle has a direction")?.clone();
            flow.step(&problem, &mut at)?;
            steps += 1;
        }
        while norm(at.theta()) < WINDOW * norm(&theta) {
            flow.step(&problem, &mut at)?;
            steps += 1;
        }
        let (before, after) = (norm(&theta), norm(at.theta()));
        let chord: Vec<f64> = at.theta().iter().zip(&theta).map(|(b, a)| b / after - a / before).collect();
        let gradient: Vec<f64> = eval.grad.iter().map(|g| -g).collect();
        let q_min = all.iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
        let head = |kind: &str| json!({ "F": level, "kind": kind });
        let told = |kind: &str, d: &[f64], more: serde_json::Value| {
            let mut line = head(kind);
            line["off"] = json!(angle(d, &theta));
            line["angle"] = json!(angle(d, &field.direction));
            line["tangent"] = json!(angle(&across(d, &theta), &across(&field.direction, &theta)));
            line["chord"] = json!(angle(&across(d, &theta), &chord));
            more.as_object().into_iter().flatten().for_each(|(k, v)| line[k] = v.clone());
            println!("{line}");
        };
        told(
            "bundle",
            &field.direction,
            json!({
                "steps": steps, "margin": q_min / dot(&theta, &theta), "ln_rho": norm(&theta).ln(),
                "radius": field.radius, "active": field.active,
                "heavy": all.iter().filter(|c| c.weight > 1e-3).count(),
            "speed": norm(&chord) / (after / before).ln(),
            }),
        );
        told("gradient", &gradient, json!({}));
        for which in [Kinks::Attracting, Kinks::All] {
            for kink in [0.0, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2] {
                let (d, kinks) = at_temperature(&problem, &theta, &all, kink, which)?;
                told("weights", &d, json!({ "which": format!("{which:?}"), "kink": kink, "kinks": kinks }));
                for within in [1e-3, 3e-3, 1e-2, 3e-2] {
                    let started = Instant::now();
                    let reach = Reach { within, kink, ..Reach::default() };
                    let Some(found) = steepest(&problem, &theta, reach, which)? else { continue };
                    told(
                        "zero",
                        &found.direction,
                        json!({
                            "which": format!("{which:?}"), "kink": kink, "within": within,
                            "near": found.constraints.len(), "support": found.support(),
                            "kinks": found.kinks, "between": found.between,
                            "seconds": started.elapsed().as_secs_f64(),
                        }),
                    );
                }
            }
        }
        let mut probe = Stationarity { samples: 0, ..Stationarity::default() };
        probe.begin(&Context { problem: &problem, theta: &theta, norms: Vec::new(), weight_decay: 0.0 })?;
        let mut row = Row::default();
        probe.measure(&Snapshot::new(&problem, &mut Iterate::new(theta.clone()), None)?, &mut row);
        let mut line = head("probe");
        for column in ["kkt_epsilon_clarke", "kkt_delta_clarke", "kkt_kinks"] {
            line[column] = json!(row.get(column));
        }
        line["relative"] = json!(row.get("kkt_epsilon_clarke") * (q_min / dot(&theta, &theta)).sqrt());
        println!("{line}");
    }
    Ok(())
}
