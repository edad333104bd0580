//! 2-sparse parity on the whole cube: γ_gl = 1/√(8d) in closed form.

use latephase_core::exact::{Failure, two_layer};

use super::{Bounds, Known, Reference, Scope, Setting, two_layer::width, without};
use crate::source::Source;

/// The four neurons of parity and their certificate by uniform weights.
pub struct Parity;

impl Reference for Parity {
    fn name(&self) -> &'static str {
        "parity"
    }

    fn about(&self) -> &'static str {
        "2-sparse parity on the whole cube: global maximal margin 1/sqrt(8 d), certified by uniform weights"
    }

    fn applies(&self, setting: &Setting<'_>) -> Result<(), String> {
        width(setting)?;
        match &setting.spec.data {
            Source::XorParity(parity) if parity.n.is_none() => Ok(()),
            Source::XorParity(_) => Err("the data are a sample of the cube".into()),
            other => Err(format!("the data are {}, not xor-parity", other.kind())),
        }
    }

    fn columns(&self, _setting: &Setting<'_>) -> Vec<String> {
        vec!["margin".into()]
    }

    fn compute(&self, setting: &Setting<'_>, column: &str) -> Known {
        let dim = setting.problem.train.dim();
        let (neurons, exact) = match two_layer::parity(dim) {
            Ok(found) => found,
            Err(invalid) => return without(column, Failure::Invalid(invalid)),
        };
        let is_wide = width(setting).is_ok_and(|width| width >= neurons.len());
        let (value, scope) = if is_wide { (exact / 2.0, Scope::Global) } else { (f64::NAN, Scope::Local) };
        let unit = "1/(2 sqrt(8 d))".into();
        Known { scope, unit, result: Ok(Bounds { value, bound: exact / 2.0 }), weights: Vec::new() }
    }
}
