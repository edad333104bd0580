//! The gradient of cross-entropy at any loss, for `bench/stock_loss.py`: reads a linear problem as JSON
//! (`weights` k × d, `inputs` n × d, `labels` n) and writes `{"gradient": […], "log10_loss": …}`.

use std::sync::Arc;

use latephase_core::loss::CrossEntropy;
use latephase_core::model::{Architecture, Linear};
use latephase_core::{Data, Problem, RowSet};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: gradient PROBLEM.json OUT.json";
    let (read, write) = (arguments.next().ok_or(usage)?, arguments.next().ok_or(usage)?);
    let problem: Value = serde_json::from_str(&std::fs::read_to_string(read)?)?;
    let weights = numbers(&problem["weights"]);
    let inputs = numbers(&problem["inputs"]);
    let labels: Vec<u32> = numbers(&problem["labels"]).into_iter().map(|l| l as u32).collect();
    let dim = inputs.len() / labels.len().max(1);
    let classes = weights.len() / dim.max(1);
    let names = (0..classes).map(|k| k.to_string()).collect();
    let data = Arc::new(Data::new(inputs, labels, names, vec![dim])?);
    let model = Linear::default().assemble(&[dim], classes)?;
    let problem = Problem::new(model, Box::new(CrossEntropy::default()), data, None);
    let eval = problem.eval(&weights, &RowSet::Full)?;
    let log10_loss = eval.ln_loss / std::f64::consts::LN_10;
    let answer = json!({ "gradient": eval.grad, "log10_loss": log10_loss });
    std::fs::write(write, answer.to_string())?;
    println!("loss 1e{log10_loss:.1}");
    Ok(())
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        other => other.as_f64().into_iter().collect(),
    }
}
