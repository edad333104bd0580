//! Linear models: the maximal margin of the data in each norm is the margin that θ can have.

use latephase_core::exact::{Geometry, max_margin};
use latephase_core::model::AnyModel;

use super::{Known, Reference, Setting, constraints, without};

/// f(x) = W x, with or without a bias.
pub struct Linear;

impl Reference for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn about(&self) -> &'static str {
        "linear model: maximal margin of the data in the norm of the column"
    }

    fn applies(&self, setting: &Setting<'_>) -> Result<(), String> {
        match &setting.spec.model {
            AnyModel::Linear(linear) if linear.freeze.is_empty() => Ok(()),
            AnyModel::Linear(_) => Err("it has frozen blocks".into()),
            other => Err(format!("the model is {}, not linear", other.name())),
        }
    }

    fn columns(&self, setting: &Setting<'_>) -> Vec<String> {
        let known = |c: &String| setting.norm(c).and_then(Geometry::of).is_some();
        setting.columns().into_iter().filter(known).collect()
    }

    fn compute(&self, setting: &Setting<'_>, column: &str) -> Known {
        let bias = matches!(&setting.spec.model, AnyModel::Linear(linear) if linear.bias);
        let Some(geometry) = setting.norm(column).and_then(Geometry::of) else {
            return without(column, latephase_core::exact::Failure::Stalled("no such norm".into()));
        };
        match constraints(setting, bias) {
            Ok(a) => Known::from_optimum(&a, max_margin(&a, geometry), 1.0, unit(geometry)),
            Err(failure) => without(column, failure),
        }
    }
}

/// The exact problem of a geometry, by its norm.
pub(super) fn unit(geometry: Geometry) -> String {
    match geometry {
        Geometry::L1 => "gamma(l1)".into(),
        Geometry::L2 => "gamma(l2)".into(),
        Geometry::Linf => "gamma(linf)".into(),
        Geometry::Lp(p) => format!("gamma(l{p})"),
        Geometry::Spectral => "gamma(spectral)".into(),
        Geometry::Nuclear => "gamma(nuclear)".into(),
    }
}
