//! What is known of a run before its rows are read: what assumptions are checked against.

use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::descent::AnyDescent;
use latephase_core::norm::AnyNorm;
use latephase_core::pace::AnyPace;
use latephase_core::{Batches, Degree, Problem};

use super::user::Parts;
use crate::build::Built;
use crate::findings::Columns;
use crate::source::Truth;
use crate::spec::Spec;

/// The tail of the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// e^{−q}.
    Exponential,
    /// ln(1 + e^{−q}).
    Logistic,
    /// ln(1 + Σ_j e^{−s_j}).
    CrossEntropy,
    /// Another loss, made by the caller.
    Other,
}

/// Which examples a step sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// All of them.
    Full,
    /// A permutation every epoch.
    Shuffle,
    /// A subset drawn afresh at every step.
    Fresh,
}

/// How θ moves in one phase.
#[derive(Clone, Debug, PartialEq)]
pub enum Dynamics {
    /// The adaptive flow in a norm.
    Flow {
        /// Column suffix of the norm.
        norm: String,
        /// Local error allowed in a step, relative to ‖θ‖.
        rtol: f64,
    },
    /// The bundle flow or the implicit one, in ℓ2.
    Bundle,
    /// Steps.
    Steps {
        /// Column suffix of the norm whose steepest descent it is.
        norm: String,
        /// Whether a step goes along the steepest direction of the gradient at hand alone: no memory, no decay of weights.
        plain: bool,
        /// The descent's name.
        descent: &'static str,
        /// The pace's name.
        pace: &'static str,
        /// The constant rate on 𝓛, where it is constant.
        constant: Option<f64>,
        /// Which examples.
        batch: Batch,
    },
    /// Something of its own.
    Other {
        /// Its name.
        name: &'static str,
    },
}

impl Dynamics {
    /// Column suffix of the norm that it is of.
    fn norm(&self) -> Option<&str> {
        match self {
            Dynamics::Flow { norm, .. } | Dynamics::Steps { norm, .. } => Some(norm),
            Dynamics::Bundle => Some("l2"),
            Dynamics::Other { .. } => None,
        }
    }
}

/// The shape of the network, where a statement is about one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// ⟨θ, x⟩, or a matrix times x.
    Linear,
    /// A product of matrices.
    DeepLinear,
    /// Σ a_j σ(⟨v_j, x⟩), both layers trained, without biases.
    TwoLayer {
        /// σ.
        activation: &'static str,
    },
    /// Anything else.
    Other,
}

const RESHUFFLED: &str = "needs batches drawn afresh at every step; these are reshuffled every epoch";

/// What is known of a run beside its rows.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Degree of homogeneity, with bounds for the inputs at hand.
    pub degree: Degree,
    /// Degree of the outputs in every trained block, NaN where unknown.
    pub block_degrees: Vec<f64>,
    /// Degree in every layer, the blocks of one layer taken together; without layers of degree 0.
    pub layer_degrees: Vec<f64>,
    /// Examples.
    pub n: usize,
    /// Classes.
    pub classes: usize,
    /// The loss.
    pub tail: Tail,
    /// ln ℓ(0), on the sum.
    pub ln_threshold: f64,
    /// Whether the gradient of every output is locally Lipschitz in θ away from 0: no kinks.
    pub smooth: bool,
    /// Whether the model is definable in an o-minimal structure.
    pub definable: bool,
    /// The shape of the network.
    pub shape: Shape,
    /// Whether it is the network of which only the norms of neurons are trained.
    pub rotation_free: bool,
    /// Whether every block is trained.
    pub all_trained: bool,
    /// The phases.
    pub phases: Vec<Dynamics>,
    /// What the data source knows in closed form.
    pub truth: Option<Truth>,
    /// Margin and number of the groups, for data in groups.
    pub margin_nc: Option<(f64, f64)>,
    /// An upper bound of the global margin that was certified elsewhere.
    pub margin_global_bound: Option<f64>,
    /// The names of its parts, for claims of one's own.
    pub parts: Parts,
}

impl Facts {
    /// The facts of a spec whose problem has been built, at θ.
    pub fn of(spec: &Spec, problem: &Problem, theta: &[f64], truth: Option<&Truth>) -> Facts {
        let data = &problem.train;
        let radius =
            (0..data.n()).map(|i| latephase_core::numeric::norm(data.rows().row(i))).fold(0.0, f64::max);
        let model = &problem.model;
        let is_linear_kind = matches!(spec.model.name(), "linear" | "deep-linear" | "diagonal");
        // With every unit counted as near a kink, a model without kinks lists none.
        let no_kinks =
            || model.kinks(theta, data.rows().slice(0, 1), f64::INFINITY).is_some_and(|k| k.is_empty());
        Facts {
            parts: Parts::of(spec),
            degree: model.degree_at(radius),
            block_degrees: model.layout().blocks().iter().map(|b| b.degree).collect(),
            layer_degrees: layer_degrees(problem),
            n: data.n(),
            classes: data.classes.len(),
            tail: match spec.loss.name() {
                "exponential" => Tail::Exponential,
                "logistic" => Tail::Logistic,
                "cross-entropy" => Tail::CrossEntropy,
                _ => Tail::Other,
            },
            ln_threshold: problem.loss.ln_threshold(),
            smooth: is_linear_kind || no_kinks(),
            definable: model.is_definable(),
            shape: shape(spec),
            rotation_free: spec.model.name() == "rotation-free",
            all_trained: model.stored().blocks().len() == model.layout().blocks().len(),
            phases: spec.algorithm.iter().map(|p| dynamics(&p.algorithm)).collect(),
            truth: truth.cloned(),
            margin_nc: groups(spec, truth),
            margin_global_bound: None,
        }
    }

    /// The facts of a run that has been built.
    pub fn of_built(spec: &Spec, built: &Built) -> Facts {
        Facts::of(spec, &built.run.problem, built.run.at.theta(), built.truth.as_ref())
    }

    /// The same facts with what the record itself certifies: the bound of the probe `global`.
    pub fn with_record(self, rows: &Columns) -> Facts {
        let certified = Some(rows.last("margin_global_bound")).filter(|bound| bound.is_finite());
        Facts { margin_global_bound: self.margin_global_bound.or(certified), ..self }
    }

    /// L, or the order M.
    pub fn order(&self) -> Option<f64> {
        self.degree.order()
    }

    /// The dynamics, where all phases have the same sort.
    pub fn dynamics(&self) -> Option<&Dynamics> {
        let first = self.phases.first()?;
        let same = |d: &Dynamics| std::mem::discriminant(d) == std::mem::discriminant(first);
        self.phases.iter().all(same).then_some(first)
    }

    /// L, where the homogeneity is exact.
    ///
    /// # Errors
    /// Says what the degree calculus found instead.
    pub fn homogeneous(&self) -> Result<f64, String> {
        match &self.degree {
            Degree::Exact { degree } => Ok(*degree),
            other => Err(format!("needs an exactly homogeneous network; this one is {other}")),
        }
    }

    /// The order M, exact or near.
    ///
    /// # Errors
    /// Says why there is none.
    pub fn near_homogeneous(&self) -> Result<f64, String> {
        self.order().ok_or_else(|| format!("needs a (near-)homogeneous network; this one is {}", self.degree))
    }

    /// Whether the run follows the steepest flow in the norm with this column suffix, exactly or by full-batch steps.
    ///
    /// # Errors
    /// Which phase does not.
    pub fn follows_flow(&self, norm: &str) -> Result<(), String> {
        match self.flow_norm()? {
            own if own == norm => Ok(()),
            own => Err(format!("is about the {norm} flow; this run follows the {own} flow")),
        }
    }

    /// The norm of the flow that the run follows, exactly or by full-batch steps.
    ///
    /// # Errors
    /// Which phase follows none.
    pub fn flow_norm(&self) -> Result<&str, String> {
        let mut norms = self.phases.iter().map(|phase| match phase {
            Dynamics::Steps { batch, .. } if *batch != Batch::Full => {
                Err("is about the flow of the full loss; this run takes mini-batches".to_owned())
            }
            Dynamics::Steps { plain: false, descent, .. } => {
                Err(format!("is about steepest flow; `{descent}` has a memory or decays its weights"))
            }
            Dynamics::Other { name } => Err(format!("is about steepest flow; `{name}` is something else")),
            Dynamics::Flow { norm, .. } | Dynamics::Steps { norm, .. } => Ok(norm.as_str()),
            Dynamics::Bundle => Ok("l2"),
        });
        let first = norms.next().unwrap_or_else(|| Err("the run has no algorithm".into()))?;
        for norm in norms {
            let norm = norm?;
            if norm != first {
                return Err(format!("is about one flow; the phases follow {first} and {norm}"));
            }
        }
        Ok(first)
    }

    /// The norm that the algorithm is of, whether it follows the flow or not.
    ///
    /// # Errors
    /// When phases differ, or there is none.
    pub fn any_norm(&self) -> Result<&str, String> {
        let mut norms = self.phases.iter().map(Dynamics::norm);
        let first = norms.next().flatten().ok_or("the algorithm has no norm of its own")?;
        match norms.all(|norm| norm == Some(first)) {
            true => Ok(first),
            false => Err("is about one norm; the phases have several".into()),
        }
    }

    /// Whether every step is plain (stochastic) gradient descent.
    ///
    /// # Errors
    /// What it is instead.
    pub fn plain_gradient_steps(&self) -> Result<(), String> {
        let is_plain = |p: &Dynamics| matches!(p, Dynamics::Steps { norm, plain: true, descent: "steepest", .. } if norm == "l2");
        match self.phases.iter().all(is_plain) {
            true => Ok(()),
            false => Err("is about plain (stochastic) gradient steps".into()),
        }
    }

    /// Whether every step is plain (stochastic) gradient descent with constant or decaying rates, batches drawn afresh.
    ///
    /// # Errors
    /// What it is instead.
    pub fn bounded_steps_sgd(&self) -> Result<(), String> {
        self.plain_gradient_steps()?;
        for phase in &self.phases {
            match phase {
                Dynamics::Steps { batch: Batch::Shuffle, .. } => return Err(RESHUFFLED.into()),
                Dynamics::Steps { pace: "constant" | "polynomial-decay", .. } => {}
                Dynamics::Steps { pace, .. } => {
                    return Err(format!("needs rates that stay bounded; `{pace}` divides by the loss"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether every step is a step along the full gradient in ℓ2, of whatever size.
    ///
    /// # Errors
    /// What it is instead.
    pub fn gradient_descent(&self) -> Result<(), String> {
        for phase in &self.phases {
            match phase {
                Dynamics::Steps { norm, plain: true, descent: "steepest", batch: Batch::Full, .. }
                    if norm == "l2" => {}
                Dynamics::Steps { .. } => return Err("is about full-batch gradient descent".into()),
                _ => return Err("is about steps of gradient descent; this run follows a flow".into()),
            }
        }
        Ok(())
    }

    /// Whether every step is plain (stochastic) gradient descent with one constant rate, batches drawn afresh or full.
    ///
    /// # Errors
    /// What it is instead.
    pub fn constant_step_sgd(&self) -> Result<(), String> {
        for phase in &self.phases {
            match phase {
                Dynamics::Steps { batch: Batch::Shuffle, .. } => return Err(RESHUFFLED.into()),
                Dynamics::Steps { norm, plain: true, constant: Some(_), .. } if norm == "l2" => {}
                Dynamics::Steps { .. } => return Err("is about plain SGD with a constant step".into()),
                _ => return Err("is about SGD with a constant step; this run follows a flow".into()),
            }
        }
        Ok(())
    }

    /// Whether it is the exponential loss.
    ///
    /// # Errors
    /// When it is not.
    pub fn exponential(&self) -> Result<(), String> {
        match self.tail {
            Tail::Exponential => Ok(()),
            _ => Err("is about the exponential loss".into()),
        }
    }

    /// Whether the loss is one of those with exponential tails.
    ///
    /// # Errors
    /// When it is not.
    pub fn exponential_tail(&self) -> Result<(), String> {
        match self.tail {
            Tail::Other => Err("is about the exponential, logistic and cross-entropy losses".into()),
            _ => Ok(()),
        }
    }

    /// Whether the network has no kinks.
    ///
    /// # Errors
    /// When it has.
    pub fn needs_smooth(&self) -> Result<(), String> {
        if self.smooth {
            Ok(())
        } else {
            Err("needs locally Lipschitz gradients; this network has kinks".into())
        }
    }

    /// Whether it is a two-layer network without biases, both layers trained.
    ///
    /// # Errors
    /// When it is not.
    pub fn two_layer(&self) -> Result<&'static str, String> {
        match self.shape {
            Shape::TwoLayer { activation } if self.all_trained => Ok(activation),
            Shape::TwoLayer { .. } => Err("needs both layers trained; some blocks are frozen".into()),
            _ => Err("is about two-layer networks without biases".into()),
        }
    }
}

fn column(norm: &AnyNorm) -> String {
    norm.build().column()
}

fn dynamics(algorithm: &AnyAlgorithm) -> Dynamics {
    match algorithm {
        AnyAlgorithm::Flow(flow) => Dynamics::Flow { norm: column(&flow.norm), rtol: flow.rtol },
        // Either goes through the kinks that it accepts.
        AnyAlgorithm::Bundle(_) | AnyAlgorithm::Implicit(_) => Dynamics::Bundle,
        AnyAlgorithm::Stepped(steps) => {
            let built = steps.descent.build();
            let memoryless = matches!(
                steps.descent,
                AnyDescent::Steepest(_)
                    | AnyDescent::Normalized(_)
                    | AnyDescent::Sign(_)
                    | AnyDescent::Coordinate(_)
            );
            Dynamics::Steps {
                norm: column(&built.norm()),
                plain: memoryless && built.weight_decay() == 0.0,
                descent: steps.descent.name(),
                pace: steps.pace.name(),
                constant: match (&steps.pace, &steps.descent) {
                    (AnyPace::Constant(pace), AnyDescent::Steepest(_)) => Some(pace.eta),
                    _ => None,
                },
                batch: match steps.batch {
                    Batches::Full => Batch::Full,
                    Batches::Shuffle { .. } => Batch::Shuffle,
                    Batches::Fresh { .. } => Batch::Fresh,
                },
            }
        }
        other => Dynamics::Other { name: other.name() },
    }
}

fn shape(spec: &Spec) -> Shape {
    use latephase_core::model::AnyModel;
    use latephase_core::model::layer::Nonlinearity;
    let activation = |a: &Nonlinearity| a.name();
    match &spec.model {
        AnyModel::Linear(_) => Shape::Linear,
        AnyModel::DeepLinear(_) => Shape::DeepLinear,
        AnyModel::Mlp(mlp) if mlp.widths.is_empty() => Shape::Linear,
        AnyModel::Mlp(mlp) if mlp.widths.len() == 1 && !mlp.bias.in_layer(0) && !mlp.bias.in_layer(1) => {
            Shape::TwoLayer { activation: activation(&mlp.activation) }
        }
        _ => Shape::Other,
    }
}

/// Margin and number of the groups, where the data come in groups.
fn groups(spec: &Spec, truth: Option<&Truth>) -> Option<(f64, f64)> {
    let margin = truth?.margin_nc?;
    let settings = toml::Value::try_from(&spec.data).ok()?;
    Some((margin, settings.get("groups")?.as_integer()? as f64))
}

fn layer_degrees(problem: &Problem) -> Vec<f64> {
    let mut layers: Vec<(String, f64)> = Vec::new();
    for block in problem.model.layout().blocks().iter().filter(|b| b.degree != 0.0) {
        if layers.iter().all(|(name, _)| name != block.layer()) {
            layers.push((block.layer().to_owned(), block.degree));
        }
    }
    layers.into_iter().map(|(_, degree)| degree).collect()
}
