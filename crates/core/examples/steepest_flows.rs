//! The steepest flow of a norm on a two-layer network, by the bundle or by explicit steps: evaluations and margins at equal loss.
//!
//! ```text
//! cargo run --release -p latephase-core --example steepest_flows -- digits.csv relu bundle linf 0.002 23.03,230.3,2302.6
//! cargo run --release -p latephase-core --example steepest_flows -- digits.csv relu steps l1 0.02 23.03
//! ```
//!
//! A row of the table is a class, 0 or 1, and the inputs. The network has 256 hidden neurons without biases, the loss is
//! exponential, and the last argument lists the values of F = ln(1/𝓛) at which a line is printed. The number is κ of the bundle,
//! or the fall of ln 𝓛 that a step predicts.

use std::sync::Arc;

use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::loss::Exponential;
use latephase_core::model::AnyModel;
use latephase_core::rng::stream;
use latephase_core::{Data, Iterate, Problem, RowSet};

type Failure = Box<dyn std::error::Error>;

fn read(path: &str) -> Result<Data, Failure> {
    let (mut inputs, mut labels, mut dim) = (Vec::new(), Vec::new(), 0);
    for line in std::fs::read_to_string(path)?.lines() {
        let numbers = line.split(',').map(|x| x.trim().parse()).collect::<Result<Vec<f64>, _>>()?;
        let (label, x) = numbers.split_first().ok_or("an empty row")?;
        labels.push(*label as u32);
        inputs.extend_from_slice(x);
        dim = x.len();
    }
    Ok(Data::new(inputs, labels, vec!["0".into(), "1".into()], vec![dim])?)
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, activation, method, norm, size, heights] = &arguments[..] else {
        return Err("use: TABLE.csv relu|ReLU-POWER bundle|steps NORM NUMBER F,F,...".into());
    };
    let data = Arc::new(read(path)?);
    let model = match activation.as_str() {
        "relu" => "kind = 'mlp'\nwidths = [256]".to_owned(),
        p => format!("kind = 'mlp'\nwidths = [256]\nactivation = {{ kind = 'relu-power', p = {p} }}"),
    };
    let model = toml::from_str::<AnyModel>(&model)?.build().assemble(&data.shape, 1)?;
    let problem = Problem::new(model, Box::new(Exponential::default()), data, None);
    let algorithm = match method.as_str() {
        "bundle" => format!("kind = 'bundle'\nnorm = '{norm}'\nkappa = {size}"),
        "steps" => format!(
            "kind = 'stepped'\ndescent = {{ kind = 'steepest', norm = '{norm}' }}\npace = {{ kind = 'unit-decrease', eta = {size} }}"
        ),
        other => return Err(format!("{other:?} is no method; use bundle or steps").into()),
    };
    let mut algorithm = toml::from_str::<AnyAlgorithm>(&algorithm)?.build();
    algorithm.begin(&problem, 0)?;
    let (by, degree) = (algorithm.norm().build(), problem.model.degree().order().ok_or("a degree")?);
    let mut at = Iterate::new(problem.model.init(&mut stream(0, "model.init", 0)));
    let (mut last, mut falls, mut largest) = (0.0, 0, 0.0f64);
    println!("F, evaluations, margin, smoothed margin, falls of it, the largest, ln norm, counts");
    for height in heights.split(',') {
        let height: f64 = height.parse()?;
        loop {
            let eval = at.eval(&problem, &RowSet::Full)?;
            let ln_size = by.of(at.theta(), problem.model.layout()).ln();
            let (f, scale) = (-eval.ln_loss_sum, (-degree * ln_size).exp());
            // The theorem begins where the loss is below 1.
            let smooth = if f > 0.0 { f * scale } else { 0.0 };
            if smooth < last {
                (falls, largest) = (falls + 1, largest.max(1.0 - smooth / last));
            }
            last = smooth;
            if f >= height {
                let margins = problem.constraints(&eval);
                let q_min = margins.iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
                let (evaluations, counts) = (at.clocks.evaluations, algorithm.counts());
                println!(
                    "{height}, {evaluations}, {:.5e}, {last:.5e}, {falls}, {largest:.1e}, {ln_size:.3}, {counts:?}",
                    q_min * scale
                );
                break;
            }
            algorithm.step(&problem, &mut at)?;
        }
    }
    Ok(())
}
