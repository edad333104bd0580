//! Parts that break one assumption each, on purpose.

use std::borrow::Cow;
use std::sync::Arc;

use latephase_core::algorithm::{Algorithm, AnyAlgorithm};
use latephase_core::loss::{AnyLoss, Constraint, Loss, Reduction};
use latephase_core::model::layer::Kink;
use latephase_core::model::{AnyModel, Architecture, Init, Model, Tape};
use latephase_core::norm::{AnyNorm, L2};
use latephase_core::numeric::{Scaled, dot, norm};
use latephase_core::{Breakdown, Degree, Invalid, Iterate, Layout, Problem, RowSet, Rows, State};

/// What a model gets wrong.
#[derive(Clone, Copy, Debug)]
pub enum Wrong {
    /// Its degree is one more than it says it is.
    Degree,
    /// The gradient of its first block is half as long as it is.
    Gradient,
    /// It says that it has no kinks.
    NoKinks,
    /// It says that what gradient flow conserves is another quantity.
    Conserved,
}

/// A model that gets one thing wrong.
pub fn model(inner: AnyModel, wrong: Wrong) -> AnyModel {
    AnyModel::External(Arc::new(move || Box::new(Plan { inner: inner.build(), wrong })))
}

struct Plan {
    inner: Box<dyn Architecture>,
    wrong: Wrong,
}

impl Architecture for Plan {
    fn assemble(&self, shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        let inner = self.inner.assemble(shape, outputs)?;
        let degree = match (self.wrong, inner.degree()) {
            (Wrong::Degree, Degree::Exact { degree }) => Degree::Exact { degree: degree + 1.0 },
            (_, degree) => degree.clone(),
        };
        Ok(Box::new(Liar { inner, degree, wrong: self.wrong }))
    }

    fn init(&self) -> &Init {
        self.inner.init()
    }
}

#[derive(Debug)]
struct Liar {
    inner: Box<dyn Model>,
    degree: Degree,
    wrong: Wrong,
}

impl Model for Liar {
    fn layout(&self) -> &Layout {
        self.inner.layout()
    }

    fn degree(&self) -> &Degree {
        &self.degree
    }

    fn inputs(&self) -> usize {
        self.inner.inputs()
    }

    fn outputs(&self) -> usize {
        self.inner.outputs()
    }

    fn init(&self, rng: &mut rand_chacha::ChaCha8Rng) -> Vec<f64> {
        self.inner.init(rng)
    }

    fn forward(&self, theta: &[f64], x: Rows<'_>, out: &mut [f64], tape: &mut Tape) -> Result<(), Breakdown> {
        self.inner.forward(theta, x, out, tape)
    }

    fn pullback(
        &self,
        theta: &[f64],
        x: Rows<'_>,
        tape: &mut Tape,
        cot: &[f64],
        grad: Option<&mut [f64]>,
        dx: Option<&mut [f64]>,
    ) -> Result<(), Breakdown> {
        let grad = match (self.wrong, grad) {
            (Wrong::Gradient, Some(grad)) => grad,
            (_, grad) => return self.inner.pullback(theta, x, tape, cot, grad, dx),
        };
        let mut whole = vec![0.0; grad.len()];
        self.inner.pullback(theta, x, tape, cot, Some(&mut whole), dx)?;
        let first = self.layout().blocks()[0].of(&whole).len();
        for (k, (to, from)) in grad.iter_mut().zip(whole).enumerate() {
            *to += if k < first { 0.5 * from } else { from };
        }
        Ok(())
    }

    fn row_size(&self) -> usize {
        self.inner.row_size()
    }

    fn select<'a>(&self, stored: &'a [f64]) -> Cow<'a, [f64]> {
        self.inner.select(stored)
    }

    fn kinks(&self, theta: &[f64], x: Rows<'_>, within: f64) -> Option<Vec<Kink>> {
        if matches!(self.wrong, Wrong::NoKinks) {
            Some(Vec::new())
        } else {
            self.inner.kinks(theta, x, within)
        }
    }

    fn conserved(&self, theta: &[f64]) -> Vec<f64> {
        if matches!(self.wrong, Wrong::Conserved) {
            vec![theta[0] * theta[0]]
        } else {
            self.inner.conserved(theta)
        }
    }
}

/// What an update gets wrong.
#[derive(Clone, Copy, Debug)]
pub enum Update {
    /// Its tangential part goes the wrong way: it grows θ and turns it away from the gradient.
    TurnsAway,
    /// θ drifts along a fixed direction besides.
    Drifts,
}

/// Small steps that are said to follow the gradient flow and do not.
pub fn update(wrong: Update) -> AnyAlgorithm {
    AnyAlgorithm::External(Arc::new(move || Box::new(Saboteur { wrong })))
}

#[derive(Debug)]
struct Saboteur {
    wrong: Update,
}

/// Part of ‖θ‖ that a sabotaged step is long.
const STEP: f64 = 1e-3;

impl Algorithm for Saboteur {
    fn begin(&mut self, _: &Problem, _: u64) -> Result<(), Invalid> {
        Ok(())
    }

    fn step(&mut self, problem: &Problem, at: &mut Iterate) -> Result<(), Breakdown> {
        let eval = at.eval(problem, &RowSet::Full)?;
        let theta = at.theta().to_vec();
        let rho = norm(&theta);
        let force: Vec<f64> = eval.grad.iter().map(|g| -g).collect();
        let size = norm(&force);
        let radial = dot(&force, &theta) / (rho * rho);
        let is_late = eval.ln_loss_sum < 0.0;
        let d: Vec<f64> = match self.wrong {
            // The radial part as it is, half of the tangential one backwards.
            Update::TurnsAway if is_late => {
                force.iter().zip(&theta).map(|(g, t)| 1.5 * radial * t - 0.5 * g).collect()
            }
            Update::Drifts if is_late => {
                let push =
                    |k: usize| if k.is_multiple_of(2) { size / (theta.len() as f64).sqrt() } else { 0.0 };
                force.iter().enumerate().map(|(k, g)| g + push(k)).collect()
            }
            _ => force,
        };
        let h = STEP * rho / norm(&d);
        let next: Vec<f64> = theta.iter().zip(&d).map(|(t, d)| t + h * d).collect();
        at.move_to(next, None);
        at.clocks.advance(h, h.ln() - eval.ln_loss);
        Ok(())
    }

    fn norm(&self) -> AnyNorm {
        L2 {}.into()
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    fn save(&self) -> State {
        State::default()
    }

    fn load(&mut self, _: &State) -> Result<(), Invalid> {
        Ok(())
    }
}

/// A loss whose margins, or that of the first example alone, are read off by so much.
pub fn margins_off(inner: AnyLoss, by: f64, all: bool) -> AnyLoss {
    AnyLoss::External(Arc::new(move || Box::new(Off(inner.build(), by, all))))
}

#[derive(Debug)]
struct Off(Box<dyn Loss>, f64, bool);

impl Loss for Off {
    fn outputs(&self, classes: usize) -> Result<usize, Invalid> {
        self.0.outputs(classes)
    }

    fn accumulate(&self, out: &[f64], labels: &[u32], into: &mut Scaled, cot: &mut [f64]) -> f64 {
        self.0.accumulate(out, labels, into, cot)
    }

    fn constraints(&self, example: usize, label: u32, out: &[f64], cot: &[f64], to: &mut Vec<Constraint>) {
        let from = to.len();
        self.0.constraints(example, label, out, cot, to);
        let misread = to[from..].iter_mut().filter(|c| self.2 || c.example == 0);
        misread.for_each(|c| c.value += self.1);
    }

    fn constraint_cotangent(&self, label: u32, rival: usize, cot: &mut [f64]) {
        self.0.constraint_cotangent(label, rival, cot);
    }

    fn is_correct(&self, label: u32, out: &[f64]) -> bool {
        self.0.is_correct(label, out)
    }

    fn inverse(&self, u: f64) -> f64 {
        self.0.inverse(u)
    }

    fn ln_threshold(&self) -> f64 {
        self.0.ln_threshold()
    }

    fn reduction(&self) -> Reduction {
        self.0.reduction()
    }
}
