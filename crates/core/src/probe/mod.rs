//! Probes: what is measured at a look. They only look.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock};

use crate::algorithm::{Algorithm, Field, Taken};
use crate::iterate::{Clocks, growth};
use crate::loss::Constraint;
use crate::norm::AnyNorm;
use crate::{Breakdown, Eval, Invalid, Iterate, Problem, RowSet, State, numeric};

mod accuracy;
mod alignment;
mod balance;
mod collapse;
mod direction;
mod escape;
mod geometry;
mod global;
mod kkt;
mod layers;
mod margin;
mod near;
mod near_homogeneous;
mod ntk;
mod robustness;
mod rotation;
mod saliency;
mod sgd;
mod sharpness;
mod stationarity;
mod theory;
mod two_homogeneous;

pub use accuracy::Accuracy;
pub use alignment::Alignment;
pub use balance::Balance;
pub use collapse::Collapse;
pub use direction::DirectionProbe;
pub use escape::Escape;
pub use geometry::Geometry;
pub use global::Global;
pub use kkt::{Kkt, Support};
pub use layers::Layers;
pub use margin::Margin;
pub use near_homogeneous::NearHomogeneous;
pub use ntk::Ntk;
pub use robustness::Robustness;
pub use rotation::Rotation;
pub use saliency::Saliency;
pub use sgd::Sgd;
pub use sharpness::Sharpness;
pub use stationarity::Stationarity;
pub use theory::Theory;
pub use two_homogeneous::TwoHomogeneous;

/// What a probe knows before the first step.
pub struct Context<'a> {
    /// Model, loss, data.
    pub problem: &'a Problem,
    /// θ₀.
    pub theta: &'a [f64],
    /// The norms of the algorithm: one, or one for each phase of a run, without repeats.
    pub norms: Vec<AnyNorm>,
    /// The factor λ of the algorithm's decoupled weight decay; 0 without one.
    pub weight_decay: f64,
}

/// Everything known at one look: always of the full training set, shared by all probes, computed at most once.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// Model, loss, data.
    pub problem: &'a Problem,
    /// θ.
    pub theta: &'a [f64],
    /// ‖θ‖₂.
    pub rho: f64,
    /// [`Iterate::beyond`]: what the run's ln ‖θ‖₂ exceeds ln `rho` by.
    pub beyond: f64,
    /// The evaluation on the training set.
    pub full: Arc<Eval>,
    /// The clocks.
    pub clocks: Clocks,
    /// The algorithm's aggregated direction, where it has one.
    pub field: Option<&'a Field>,
    /// The algorithm's own estimate of the direction's error, NaN where it keeps none.
    pub direction_error: f64,
    /// What the algorithm's last step multiplied the gradient with, entry by entry and up to a common factor, where it did.
    pub multiplier: Option<Vec<f64>>,
    constraints: OnceLock<Vec<Constraint>>,
    test_outputs: OnceLock<Option<Vec<f64>>>,
    near: Mutex<near::Known>,
}

impl<'a> Snapshot<'a> {
    /// Looks at an iterate.
    ///
    /// # Errors
    /// When the evaluation breaks down.
    pub fn new(
        problem: &'a Problem,
        at: &'a mut Iterate,
        algorithm: Option<&'a dyn Algorithm>,
    ) -> Result<Self, Breakdown> {
        let full = at.eval(problem, &RowSet::Full)?;
        let at: &'a Iterate = at;
        Ok(Snapshot {
            problem,
            theta: at.theta(),
            rho: numeric::norm(at.theta()),
            beyond: at.beyond,
            full,
            clocks: at.clocks.clone(),
            field: algorithm.and_then(|a| a.field()),
            direction_error: algorithm.map_or(f64::NAN, |a| a.direction_error()),
            multiplier: algorithm.and_then(|a| a.multiplier()),
            constraints: OnceLock::new(),
            test_outputs: OnceLock::new(),
            near: Mutex::default(),
        })
    }

    /// The margin constraints, one for each example (binary) or example and wrong class.
    pub fn constraints(&self) -> &[Constraint] {
        self.constraints.get_or_init(|| self.problem.constraints(&self.full))
    }

    /// The least margin.
    pub fn q_min(&self) -> f64 {
        self.constraints().iter().map(|c| c.value).fold(f64::INFINITY, f64::min)
    }

    /// The constraints within `within`·|q_min| of q_min, at most the `most` nearest, with their gradients; none where a
    /// foreign model fails.
    fn near(&self, within: f64, most: usize) -> Option<Arc<near::Near>> {
        self.near.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(self, within, most)
    }

    /// Outputs on the test set, where there is one.
    pub fn test_outputs(&self) -> Option<&[f64]> {
        let outputs = || {
            let test = self.problem.test.as_ref()?;
            self.problem.outputs(self.theta, test.rows()).ok()
        };
        self.test_outputs.get_or_init(outputs).as_deref()
    }

    /// What margins and ln 𝓛 at the run's θ are in units of those at [`theta`](Snapshot::theta): 1 but at temperature zero.
    pub fn growth(&self) -> f64 {
        growth(self.beyond, self.problem.model.degree().order())
    }

    /// ρ^L.
    pub fn height(&self, degree: f64) -> f64 {
        self.rho.powf(degree)
    }
}

/// What happened in one step, for probes that follow the path.
#[derive(Clone, Copy, Debug)]
pub struct StepRecord<'a> {
    /// Model, loss, data.
    pub problem: &'a Problem,
    /// θ before the step.
    pub before: &'a [f64],
    /// θ after it.
    pub after: &'a [f64],
    /// What it was taken from, where it was a single step along a gradient.
    pub taken: Option<&'a Taken>,
    /// Both ends of the step on the full training set, where the algorithm works on that and some probe wants them
    /// ([`Probe::follows_ends`]).
    pub ends: Option<[End<'a>; 2]>,
}

/// One end of a step on the full training set.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Loss and gradient there.
    pub full: &'a Eval,
    /// The algorithm's aggregated direction there, where it has one.
    pub field: Option<&'a Field>,
}

/// One measurement each of named columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Values by column, in the order of writing.
    pub cells: Vec<(String, f64)>,
}

impl Row {
    /// Writes a value. What is not known is NaN, never a default.
    pub fn put(&mut self, column: &str, value: f64) {
        self.cells.push((column.to_owned(), value));
    }

    /// The value of a column, NaN where there is none.
    pub fn get(&self, column: &str) -> f64 {
        self.cells.iter().find(|(name, _)| name == column).map_or(f64::NAN, |(_, value)| *value)
    }
}

/// A measurement. Probes cannot see each other; their order cannot matter.
pub trait Probe: Send + Debug {
    /// Prepares; returns the columns that every [`Probe::measure`] writes, in that order.
    ///
    /// # Errors
    /// When the problem lacks what the probe needs (a degree of homogeneity).
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid>;
    /// Whether [`Probe::step`] wants to be called.
    fn follows_steps(&self) -> bool {
        false
    }
    /// Whether [`Probe::step`] wants [`StepRecord::ends`]: they keep the evaluation before a step alive and copy the
    /// aggregated direction.
    fn follows_ends(&self) -> bool {
        false
    }
    /// Sees one step.
    fn step(&mut self, _step: &StepRecord<'_>) {}
    /// Measures.
    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row);
    /// Saves what must survive a checkpoint.
    fn save(&self) -> State {
        State::default()
    }
    /// Loads it.
    ///
    /// # Errors
    /// When the checkpoint does not fit.
    fn load(&mut self, _state: &State) -> Result<(), Invalid> {
        Ok(())
    }
}

crate::catalogue! {
    /// A probe of a spec.
    pub AnyProbe: Probe, "probe" {
        "margin" => Margin,
        "alignment" => Alignment,
        "kkt" => Kkt,
        "direction" => DirectionProbe,
        "balance" => Balance,
        "accuracy" => Accuracy,
        "geometry" => Geometry,
        "sgd" => Sgd,
        "near" => NearHomogeneous,
        "layers" => Layers,
        "robustness" => Robustness,
        "ntk" => Ntk,
        "global" => Global,
        "rotation" => Rotation,
        "escape" => Escape,
        "stationarity" => Stationarity,
        "collapse" => Collapse,
        "saliency" => Saliency,
        "sharpness" => Sharpness,
        "theory" => Theory,
        "two-homogeneous" => TwoHomogeneous,
    }
}

/// The probes that a spec has to ask for, because their looks cost many evaluations or decompositions.
pub const ON_REQUEST: &[&str] = &[
    "robustness",
    "stationarity",
    "collapse",
    "saliency",
    "sharpness",
    "near",
    "layers",
    "theory",
    "two-homogeneous",
    "ntk",
    "global",
    "rotation",
    "escape",
];

/// The order of homogeneity, or the reason why a probe cannot be used.
fn needs_degree(probe: &str, problem: &Problem) -> Result<f64, Invalid> {
    let degree = problem.model.degree();
    degree.order().ok_or_else(|| {
        let text = format!("the probe {probe} needs a degree of homogeneity, and the model is {degree}");
        Invalid::new("probes", text)
    })
}
