//! The degree calculus of a spec's model, layer by layer.

use latephase_core::model::calculus::Line;
use latephase_core::numeric::norm;
use latephase_core::{Degree, Posynomial};
use serde_json::{Value, json};

use crate::build::build;
use crate::error::Error;
use crate::source::Lookup;
use crate::spec::Spec;

/// What the calculus says.
#[derive(Clone, Debug)]
pub struct Calculus {
    /// The norm of inputs up to which the bounds hold.
    pub radius: f64,
    /// One line a layer; none where the model is not made of layers.
    pub lines: Vec<Line>,
    /// Of the whole network.
    pub whole: Degree,
}

/// The degree calculus of a spec's model, with bounds for inputs of norm up to `radius`; by default the largest of its
/// training set.
///
/// # Errors
/// What is wrong with the spec or the data.
///
/// # Examples
/// ```
/// use latephase_lab::{degree, input, source::Lookup};
/// let (spec, _) = input::read("quickstart", &[])?;
/// let found = degree::of(&spec, None, &Lookup::from_env())?;
/// assert_eq!(found.whole.order(), Some(2.0));
/// # Ok::<(), latephase_lab::Error>(())
/// ```
pub fn of(spec: &Spec, radius: Option<f64>, lookup: &Lookup) -> Result<Calculus, Error> {
    let built = build(spec, lookup).map_err(|e| spec.locate(e))?;
    let problem = &built.run.problem;
    let rows = problem.train.rows();
    let radius = radius.unwrap_or_else(|| (0..rows.n()).map(|i| norm(rows.row(i))).fold(0.0, f64::max));
    let (lines, whole) = (problem.model.calculus(radius), problem.model.degree_at(radius));
    Ok(Calculus { radius, lines, whole })
}

impl Calculus {
    /// As one JSON object.
    pub fn json(&self) -> Value {
        let terms = |p: Option<Posynomial>| p.map(|p| json!(p.terms()));
        let layer = |line: &Line| {
            json!({
                "layer": line.name, "about": line.about, "shape": line.shape, "own_degree": line.own_degree,
                "input_degree": line.input_degree, "degree": line.degree, "blocks": line.blocks, "dropped": line.dropped,
            })
        };
        let (defect, gap) = (terms(self.whole.defect()), terms(self.whole.gap()));
        json!({ "radius": self.radius, "layers": self.lines.iter().map(layer).collect::<Vec<_>>(), "degree": self.whole,
                "defect": defect, "gap": gap })
    }
}
