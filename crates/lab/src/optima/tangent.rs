//! Margins of the linearisation of a two-layer ReLU network at its start, and of the kernel of infinite width.
//!
//! They are no optima of the run's margin, but what its first phase is compared with (Telgarsky 2022): per-node weights of order
//! one, so `margin_ntk_fro` is relative to √m and comparable to γ_gl rather than to ‖θ‖².

use latephase_core::exact::tangent::{Neurons, frobenius, infinite, per_node};
use latephase_core::exact::{Failure, Optimum};

use super::{Bounds, Known, Reference, Scope, Setting, Weight, two_layer::width, without};

/// Most examples of a kernel.
const EXAMPLES: usize = 3000;
/// Most numbers in the cone programme of one ball for each neuron.
const NUMBERS: usize = 2_000_000;

/// The neural tangent kernel's margins.
pub struct Tangent;

const FRO: &str = "margin_ntk_fro";
const NODE: &str = "margin_ntk_node";
const INFINITE: &str = "margin_ntk_infinite";

impl Reference for Tangent {
    fn name(&self) -> &'static str {
        "tangent"
    }

    fn about(&self) -> &'static str {
        "two-layer ReLU network: margins of its tangent features at the start, in both norms, and at infinite width"
    }

    fn applies(&self, setting: &Setting<'_>) -> Result<(), String> {
        if width(setting)? == 0 {
            return Err("its neurons cannot turn".into());
        }
        let n = setting.problem.train.n();
        if n > EXAMPLES {
            return Err(format!("a kernel of {n} examples is too large; {EXAMPLES} at most"));
        }
        Ok(())
    }

    fn columns(&self, setting: &Setting<'_>) -> Vec<String> {
        let (n, dim) = (setting.problem.train.n(), setting.problem.train.dim());
        let mut columns = Vec::new();
        if setting.start.is_some() {
            columns.push(FRO.to_owned());
            if width(setting).unwrap_or(0) * n * (dim + 1) <= NUMBERS {
                columns.push(NODE.to_owned());
            }
        }
        columns.push(INFINITE.to_owned());
        columns
    }

    fn compute(&self, setting: &Setting<'_>, column: &str) -> Known {
        let data = &setting.problem.train;
        let y: Vec<f64> = (0..data.n()).map(|i| data.sign(i)).collect();
        let neurons = || {
            let theta = setting.start.unwrap_or_default();
            Neurons::of(theta, data.dim()).map(Neurons::unit).map_err(Failure::Invalid)
        };
        // The limit of weights of order one: E a² = 1 and E‖v‖² = 1.
        let limit = || infinite(data.rows(), 1.0, 1.0 / data.dim() as f64);
        let (found, unit) = match column {
            FRO => (neurons().and_then(|n| frobenius(&n.kernel(data.rows()), &y)), "gamma_F(m)"),
            NODE => (neurons().and_then(|n| per_node(data.rows(), &y, &n)), "gamma_{2,inf}(m)"),
            INFINITE => (frobenius(&limit(), &y), "gamma_F(infinity)"),
            _ => return without(column, Failure::Stalled("no such column".into())),
        };
        known(found, unit)
    }
}

fn known(found: Result<Optimum, Failure>, unit: &str) -> Known {
    let dual = match &found {
        Ok(optimum) => optimum.dual.clone(),
        Err(Failure::NotSeparable { weights, .. }) => weights.clone(),
        Err(_) => Vec::new(),
    };
    let carrying = dual.into_iter().enumerate().filter(|(_, w)| *w > 0.0);
    let weights = carrying.map(|(example, weight)| Weight { example, rival: None, weight }).collect();
    let result = found.map(|o| Bounds { value: o.value, bound: o.bound });
    Known { scope: Scope::Global, unit: unit.into(), result, weights }
}
