//! The digits that examples read from standard input.

use std::io::Read;

use latephase_core::Data;

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
