//! The digits that examples read from standard input, and two-layer networks of them.

use std::io::Read;
use std::sync::Arc;

use latephase_core::loss::Exponential;
use latephase_core::model::AnyModel;
use latephase_core::rng::stream;
use latephase_core::{Data, Problem};

/// Anything that may go wrong.
pub type Failed = Box<dyn std::error::Error>;

/// The first `n` digits on standard input, even ones positive, pixels over 16.
pub fn digits(n: usize) -> Result<Data, Failed> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines().take(n) {
        let numbers: Vec<f64> = line.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let [pixels @ .., digit] = &numbers[..] else { return Err("an empty line".into()) };
        inputs.extend(pixels.iter().map(|p| p / 16.0));
        labels.push(u32::from(digit % 2.0 != 0.0));
    }
    Ok(Data::new(inputs, labels, vec!["even".into(), "odd".into()], vec![64])?)
}

/// The first `n` digits with 64-`width`-1 without biases, exponential loss as a sum, and first weights after He.
pub fn problem(n: usize, width: usize, activation: &str, seed: u64) -> Result<(Problem, Vec<f64>), Failed> {
    let model: AnyModel = toml::from_str(&format!(
        "kind = 'mlp'\nwidths = [{width}]\nactivation = '{activation}'\ninit = 'he'"
    ))?;
    let model = model.build().assemble(&[64], 1)?;
    let theta = model.init(&mut stream(seed, "model.init", 0));
    Ok((Problem::new(model, Box::new(Exponential::default()), Arc::new(digits(n)?), None), theta))
}
