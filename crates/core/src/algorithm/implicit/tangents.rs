//! Margins by their tangents at p: any model. Where a gradient jumps, p's side counts.

use super::local::{Local, Play};
use crate::loss::Constraint;
use crate::model::Tape;
use crate::ntk;
use crate::numeric::{dot, scale};
use crate::problem::chunk_rows;
use crate::quadratic::shares::{Shares, Weights};
use crate::{Breakdown, Problem, Rows};

pub(super) struct Tangents<'a> {
    problem: &'a Problem,
    at: &'a [f64],
    play: Play,
    matrix: Shares,
    linear: Weights,
    passes: f64,
}

impl<'a> Tangents<'a> {
    /// Around `at`, for a step whose centre is `at` + `ahead` (none: at `at` itself).
    pub fn new(
        problem: &'a Problem,
        at: &'a [f64],
        play: Play,
        ahead: Option<&[f64]>,
    ) -> Result<Tangents<'a>, Breakdown> {
        let mut constraints = ntk::margins(problem, at, &play.list)?;
        scale(play.slope * play.slope, &mut constraints);
        let mut lambda = play.offsets.clone();
        if let Some(ahead) = ahead {
            let changes = changes(problem, at, ahead, &play)?;
            lambda.iter_mut().zip(changes).for_each(|(b, change)| *b += change);
        }
        let share = play.list.len() as f64 / problem.train.n() as f64;
        Ok(Tangents {
            problem,
            at,
            matrix: Shares { constraints, ..Shares::default() },
            linear: Weights { lambda, mu: Vec::new() },
            passes: share * (1.0 + f64::from(ahead.is_some())),
            play,
        })
    }
}

/// s times the change of every margin in play along `along`, to first order.
fn changes(problem: &Problem, at: &[f64], along: &[f64], play: &Play) -> Result<Vec<f64>, Breakdown> {
    let (k, chunk) = (problem.model.outputs(), chunk_rows(problem.model.as_ref(), play.list.len()));
    let (mut changes, mut tape) = (Vec::with_capacity(play.list.len()), Tape::default());
    for list in play.list.chunks(chunk.max(1)) {
        let row = |c: &Constraint| problem.train.rows().row(c.example);
        let rows: Vec<f64> = list.iter().flat_map(row).copied().collect();
        let mut outputs = vec![0.0; list.len() * k];
        problem.model.jvp(at, along, Rows::new(&rows, problem.train.dim()), &mut outputs, &mut tape)?;
        let change =
            |(c, out): (&Constraint, &[f64])| play.slope * dot(&problem.constraint_cotangent(c), out);
        changes.extend(list.iter().zip(outputs.chunks_exact(k)).map(change));
    }
    Ok(changes)
}

impl Local for Tangents<'_> {
    fn matrix(&self) -> &Shares {
        &self.matrix
    }

    fn linear(&self) -> &Weights {
        &self.linear
    }

    fn shares(&self) -> &[f64] {
        &[]
    }

    fn combine(&mut self, y: &Weights) -> Result<Vec<f64>, Breakdown> {
        self.passes += self.play.list.len() as f64 / self.problem.train.n() as f64;
        let lambda: Vec<f64> = y.lambda.iter().map(|l| self.play.slope * l).collect();
        ntk::combination(self.problem, self.at, &self.play.list, &lambda)
    }

    fn join(&mut self, _x: &[f64], _y: &Weights, _shares: &[f64], _allowed: f64) -> usize {
        0
    }

    fn between(&self, _y: &Weights, _shares: &[f64]) -> Vec<(usize, usize, f64)> {
        Vec::new()
    }

    fn passes(&mut self) -> f64 {
        std::mem::take(&mut self.passes)
    }
}
