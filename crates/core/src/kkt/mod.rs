//! How near a point is to a KKT point of min ½‖θ‖² subject to q_i(θ) ≥ 1, kinks included, and what kind of point it is.
//!
//! | question | answer |
//! |---|---|
//! | the best multipliers with every Clarke subgradient at a kink | [`Point::clarke`]: an exact convex programme, for two-layer networks |
//! | the same for any network | [`Point::goldstein`]: an upper bound by gradients sampled within a radius |
//! | the KKT point nearby | [`Point::polish`]: Newton's method with an active set of constraints and kinks |
//! | maximum or saddle | [`Point::judge`]: first- and second-order conditions, a dual certificate, and a step that is taken |
//!
//! Near a KKT point that is not one the margin always rises a little along the residual, which says nothing of the point;
//! hence verdicts are about polished points, and an ascent counts only where the margin on the sphere has been evaluated
//! and rose by more than the residual explains.

mod clarke;
mod goldstein;
mod judge;
mod peak;
mod polish;

use crate::loss::Constraint;
use crate::numeric::norm;
use crate::{Breakdown, Neurons, Problem};

pub use clarke::Multipliers;
pub use judge::{Ascent, Judgement, Verdict};

/// Numbers that the gradients may take together; beyond it fewer constraints are kept.
const NUMBERS: usize = 32_000_000;

/// What counts as near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// Relative width of the band of constraints above q_min.
    pub within: f64,
    /// Most constraints, the nearest ones.
    pub most: usize,
    /// A pre-activation ⟨v, x⟩ of at most this times ‖v‖·‖x‖ counts as 0.
    pub kink: f64,
}

impl Default for Reach {
    /// Three hundredths, 128 constraints, kinks to 1e-6.
    fn default() -> Self {
        Reach { within: 0.03, most: 128, kink: 1e-6 }
    }
}

/// Which of the kinks within reach may have every slope between the one-sided ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinks {
    /// All: the Clarke subdifferential.
    All,
    /// Those that cost margin at first order on either side. Others repel: the flow leaves them with one gradient, and σ keeps the
    /// side that θ is on.
    Attracting,
}

impl Kinks {
    /// Whether a kink of this [`strength`](Edge::strength) is one of them.
    pub(crate) fn has(self, strength: f64) -> bool {
        match self {
            Kinks::All => strength != 0.0,
            Kinks::Attracting => strength < 0.0,
        }
    }
}

/// A pre-activation that counts as 0, in the gradient of one constraint: its slope may be anything between σ's two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The neuron.
    pub unit: usize,
    /// Index of the constraint among [`Point::constraints`].
    pub constraint: usize,
    /// ∂q/∂σ times the jump of σ': where it is negative, leaving the kink costs margin at first order on either side.
    pub strength: f64,
}

/// θ scaled to a least margin of 1, with the constraints near it, their gradients and their kinks.
///
/// # Examples
/// One neuron that two examples share, at its best: the margin is ½·¼, and the point a maximum of a network of width one.
/// ```
/// use std::sync::Arc;
/// use latephase_core::kkt::{Point, Reach, Verdict};
/// use latephase_core::loss::Logistic;
/// use latephase_core::model::{Architecture, Mlp};
/// use latephase_core::{Data, Problem};
/// let side = (15.0f64 / 16.0).sqrt();
/// let data = Data::new(vec![side, 0.25, -side, 0.25], vec![0, 0], vec!["+".into(), "-".into()], vec![2])?;
/// let model = Mlp { widths: vec![1], ..Mlp::default() }.assemble(&[2], 1)?;
/// let problem = Problem::new(model, Box::new(Logistic::default()), Arc::new(data), None);
/// let near = Point::at(&problem, &[0.01, 3.0, 3.01], Reach::default())?.unwrap();
/// assert!(near.clarke().unwrap().epsilon > 1e-4);
/// let point = near.polish()?.unwrap();
/// assert!(point.clarke().unwrap().epsilon < 1e-12);
/// assert!((point.margin() - 0.125).abs() < 1e-14);
/// assert_eq!(point.judge()?.verdict, Verdict::StrictMaximum);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Point<'a> {
    problem: &'a Problem,
    degree: f64,
    reach: Reach,
    theta: Vec<f64>,
    constraints: Vec<Constraint>,
    /// ∇q_i with the left slope at every edge.
    gradients: Vec<Vec<f64>>,
    edges: Vec<Edge>,
    two: Option<Neurons>,
    /// Whether every kink near the constraints is among the edges.
    is_complete: bool,
}

impl<'a> Point<'a> {
    /// Looks at θ. None where the model has no degree of homogeneity, and before the data are separated.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    pub fn at(problem: &'a Problem, theta: &[f64], reach: Reach) -> Result<Option<Point<'a>>, Breakdown> {
        let Some(degree) = problem.model.degree().order() else { return Ok(None) };
        let mut all = constraints(problem, theta)?;
        let q_min = least(&all);
        if !(q_min > 0.0 && q_min.is_finite() && degree > 0.0) {
            return Ok(None);
        }
        let shrink = q_min.powf(-1.0 / degree);
        let theta: Vec<f64> = theta.iter().map(|t| t * shrink).collect();
        all.iter_mut().for_each(|c| c.value /= q_min);
        all.retain(|c| c.value <= 1.0 + reach.within);
        // Ties by index, so that the list does not depend on how it was found.
        all.sort_by(|a, b| {
            a.value.total_cmp(&b.value).then(a.example.cmp(&b.example)).then(a.rival.cmp(&b.rival))
        });
        all.truncate(reach.most.min((NUMBERS / theta.len().max(1)).max(1)).max(1));
        let two = problem.model.neurons();
        let mut point = Point {
            problem,
            degree,
            reach,
            theta,
            constraints: all,
            gradients: Vec::new(),
            edges: Vec::new(),
            two,
            is_complete: true,
        };
        point.differentiate()?;
        Ok(Some(point))
    }

    fn differentiate(&mut self) -> Result<(), Breakdown> {
        let Some(two) = self.two.clone() else {
            for c in &self.constraints {
                self.gradients.push(self.problem.margin_gradient(&self.theta, c)?);
            }
            let rows: Vec<f64> = self
                .constraints
                .iter()
                .flat_map(|c| self.problem.train.rows().row(c.example))
                .copied()
                .collect();
            let rows = crate::Rows::new(&rows, self.problem.train.dim());
            let kinks = self.problem.model.kinks(&self.theta, rows, self.reach.kink);
            self.is_complete = kinks.is_some_and(|kinks| kinks.is_empty());
            return Ok(());
        };
        let jump = two.slopes[1] - two.slopes[0];
        for (k, c) in self.constraints.iter().enumerate() {
            let x = two.input(self.problem.train.rows().row(c.example));
            let along = self.outer(&two, c);
            let size = norm(&x);
            let is_kinked: Vec<bool> = (0..two.width)
                .map(|r| {
                    two.pre(&self.theta, r, &x).abs() <= self.reach.kink * two.row_norm(&self.theta, r) * size
                })
                .collect();
            let kinked = (0..two.width).filter(|&r| is_kinked[r] && along[r] != 0.0);
            self.edges.extend(kinked.map(|unit| Edge { unit, constraint: k, strength: along[unit] * jump }));
            // σ is what it is also where a pre-activation that counts as 0 is not: then the gradient is among the choices.
            let side = |r: usize| {
                let z = two.pre(&self.theta, r, &x);
                (if is_kinked[r] { two.slopes[0] } else { two.slope(z) }, two.value(z))
            };
            self.gradients.push(self.gradient(&two, &self.theta, c, &x, side));
        }
        Ok(())
    }

    /// ∂q/∂σ_r for every neuron: Σ_c u_c a_cr.
    fn outer(&self, two: &Neurons, c: &Constraint) -> Vec<f64> {
        let cot = self.problem.constraint_cotangent(c);
        let along = |r: usize| cot.iter().enumerate().map(|(o, u)| u * self.theta[two.outer(o, r)]).sum();
        (0..two.width).map(along).collect()
    }

    /// ∇q with these slopes and values in place of σ' and σ.
    fn gradient(
        &self,
        two: &Neurons,
        theta: &[f64],
        c: &Constraint,
        x: &[f64],
        side: impl Fn(usize) -> (f64, f64),
    ) -> Vec<f64> {
        let cot = self.problem.constraint_cotangent(c);
        let mut grad = vec![0.0; theta.len()];
        for r in 0..two.width {
            let (slope, value) = side(r);
            let along: f64 = cot.iter().enumerate().map(|(o, u)| u * theta[two.outer(o, r)]).sum();
            x.iter().enumerate().for_each(|(i, x)| grad[two.inner(r, i)] = along * slope * x);
            cot.iter().enumerate().for_each(|(o, u)| grad[two.outer(o, r)] = u * value);
        }
        grad
    }

    /// The input of a constraint, as the rows of a two-layer network see it.
    fn input(&self, two: &Neurons, c: &Constraint) -> Vec<f64> {
        two.input(self.problem.train.rows().row(c.example))
    }

    /// θ/q_min^{1/L}.
    pub fn theta(&self) -> &[f64] {
        &self.theta
    }

    /// The constraints near q_min, their values over q_min, the nearest first.
    pub fn constraints(&self) -> &[Constraint] {
        &self.constraints
    }

    /// The kinks in their gradients; empty for models that are no two-layer networks.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// q_min/‖θ‖^L, of all examples.
    pub fn margin(&self) -> f64 {
        norm(&self.theta).powf(-self.degree)
    }

    /// q_min/‖θ‖^L at another θ.
    fn margin_at(&self, theta: &[f64]) -> Result<f64, Breakdown> {
        let q_min = least(&constraints(self.problem, theta)?);
        Ok(q_min / norm(theta).powf(self.degree))
    }

    /// Distance of the directions of this θ and another.
    pub fn distance(&self, other: &[f64]) -> f64 {
        let (a, b) = (norm(&self.theta), norm(other));
        self.theta.iter().zip(other).map(|(x, y)| (x / a - y / b).powi(2)).sum::<f64>().sqrt()
    }
}

/// The margin constraints of the training set at θ; their weights are not known and 0.
pub(crate) fn constraints(problem: &Problem, theta: &[f64]) -> Result<Vec<Constraint>, Breakdown> {
    let k = problem.model.outputs();
    let outputs = problem.outputs(theta, problem.train.rows())?;
    let (mut list, none) = (Vec::new(), vec![0.0; k]);
    for (i, &label) in problem.train.labels().iter().enumerate() {
        problem.loss.constraints(i, label, &outputs[i * k..(i + 1) * k], &none, &mut list);
    }
    Ok(list)
}

/// q_min at θ; NaN where a margin is.
pub(crate) fn least_margin(problem: &Problem, theta: &[f64]) -> Result<f64, Breakdown> {
    Ok(least(&constraints(problem, theta)?))
}

/// The least value; NaN where one of them is.
fn least(all: &[Constraint]) -> f64 {
    all.iter().map(|c| c.value).fold(f64::INFINITY, |m, v| if v.is_nan() || v < m { v } else { m })
}
