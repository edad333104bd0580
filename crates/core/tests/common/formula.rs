//! Models that are formulas, with their gradients.

use latephase_core::model::{Model, Tape};
use latephase_core::numeric::axpy;
use latephase_core::{Breakdown, Degree, Layout, Problem, Rows};

use crate::common::{data, problem};

/// A model made of formulas: input i asks for the margin `pieces(θ, i)` and its gradient.
struct Formula<P> {
    layout: Layout,
    degree: Degree,
    pieces: P,
}

impl<P> std::fmt::Debug for Formula<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Formula").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl<P: Fn(&[f64], usize) -> (f64, Vec<f64>) + Send + Sync> Model for Formula<P> {
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn degree(&self) -> &Degree {
        &self.degree
    }
    fn inputs(&self) -> usize {
        1
    }
    fn outputs(&self) -> usize {
        1
    }
    fn init(&self, _: &mut rand_chacha::ChaCha8Rng) -> Vec<f64> {
        vec![1.0; self.layout.dim()]
    }
    fn forward(&self, theta: &[f64], x: Rows<'_>, out: &mut [f64], _: &mut Tape) -> Result<(), Breakdown> {
        out.iter_mut().zip(x.data).for_each(|(out, i)| *out = (self.pieces)(theta, *i as usize).0);
        Ok(())
    }
    fn pullback(
        &self,
        theta: &[f64],
        x: Rows<'_>,
        _: &mut Tape,
        cot: &[f64],
        grad: Option<&mut [f64]>,
        _: Option<&mut [f64]>,
    ) -> Result<(), Breakdown> {
        if let Some(grad) = grad {
            x.data.iter().zip(cot).for_each(|(i, c)| axpy(*c, &(self.pieces)(theta, *i as usize).1, grad));
        }
        Ok(())
    }
    fn row_size(&self) -> usize {
        1
    }
}

/// `n` examples of the positive class, on a formula of degree 1 in `dim` parameters.
pub fn formula(
    dim: usize,
    n: usize,
    pieces: impl Fn(&[f64], usize) -> (f64, Vec<f64>) + Send + Sync + 'static,
) -> Problem {
    let model = Formula { layout: Layout::vector(dim), degree: Degree::Exact { degree: 1.0 }, pieces };
    let inputs: Vec<f64> = (0..n).map(|i| i as f64).collect();
    problem(Box::new(model), "kind = 'exponential'", data(&inputs, &vec![0; n], 1, 2))
}
