//! Two-layer ReLU networks: the global maximal margin γ_gl over any number of neurons.
//!
//! | column | network | maximal margin |
//! |---|---|---|
//! | `margin` | Σ\|a_j\|‖v_j‖ ≤ ½‖θ‖², with equality where \|a_j\| = ‖v_j‖ | γ_gl/2 |
//! | `margin_product` | Σ\|a_j\|‖v_j‖ ≤ ‖a‖‖V‖_F, with equality there too | γ_gl |
//!
//! A network narrower than the solution, or whose neurons cannot turn, keeps the upper bound.

use latephase_core::exact::two_layer::{self, Effort};
use latephase_core::model::AnyModel;
use latephase_core::model::layer::Nonlinearity;

use super::{Bounds, Known, Reference, Scope, Setting, Weight};

/// Most numbers in the inputs.
const NUMBERS: usize = 4000;

/// The best of all two-layer ReLU networks.
pub struct TwoLayer;

/// The width of a bias-free two-layer ReLU network that is trained whole; 0 for one whose neurons cannot turn.
pub(super) fn width(setting: &Setting<'_>) -> Result<usize, String> {
    let is_relu = |f: &Nonlinearity| matches!(f, Nonlinearity::Relu(_));
    let found = match &setting.spec.model {
        AnyModel::Mlp(net) if net.widths.len() == 1 && is_relu(&net.activation) => {
            let has_bias = (0..2).any(|k| net.bias.in_layer(k));
            if has_bias {
                return Err("its neurons have biases".into());
            }
            if !net.freeze.is_empty() {
                return Err("it has frozen blocks".into());
            }
            net.widths[0]
        }
        AnyModel::RotationFree(net) if is_relu(&net.activation) => 0,
        other => return Err(format!("the model is {}, not a two-layer ReLU network", other.name())),
    };
    match setting.problem.model.outputs() {
        1 => Ok(found),
        k => Err(format!("it has {k} outputs, not one")),
    }
}

impl Reference for TwoLayer {
    fn name(&self) -> &'static str {
        "two-layer"
    }

    fn about(&self) -> &'static str {
        "two-layer ReLU network: global maximal margin over any width, by exact pricing of activation patterns"
    }

    fn applies(&self, setting: &Setting<'_>) -> Result<(), String> {
        width(setting)?;
        let (n, dim) = (setting.problem.train.n(), setting.problem.train.dim());
        if n * dim > NUMBERS {
            return Err(format!(
                "{n} inputs of {dim} numbers are too many: at most {NUMBERS} numbers in all"
            ));
        }
        Ok(())
    }

    fn columns(&self, setting: &Setting<'_>) -> Vec<String> {
        let turns = width(setting).is_ok_and(|width| width > 0);
        let all = ["margin", "margin_product"];
        all.iter().take(if turns { 2 } else { 1 }).map(|c| (*c).to_string()).collect()
    }

    fn compute(&self, setting: &Setting<'_>, column: &str) -> Known {
        let (factor, unit) = if column == "margin" { (0.5, "gamma_gl/2") } else { (1.0, "gamma_gl") };
        let found = two_layer::of(&setting.problem.train, &Effort::default());
        let mut scope = Scope::Global;
        let dual = match &found {
            Ok(found) => found.optimum.dual.clone(),
            Err(latephase_core::exact::Failure::NotSeparable { weights, .. }) => weights.clone(),
            Err(_) => Vec::new(),
        };
        let carrying = dual.into_iter().enumerate().filter(|(_, w)| *w > 0.0);
        let weights = carrying.map(|(example, weight)| Weight { example, rival: None, weight }).collect();
        let result = found.map(|found| {
            let is_wide = width(setting).is_ok_and(|width| width >= found.neurons.len());
            let value = if is_wide { factor * found.optimum.value } else { f64::NAN };
            if !is_wide {
                scope = Scope::Local;
            }
            Bounds { value, bound: factor * found.optimum.bound }
        });
        Known { scope, unit: unit.into(), result, weights }
    }
}
