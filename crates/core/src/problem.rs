//! A problem: model, loss and data, and the one expensive operation, [`Problem::eval`].
//!
//! Rows are cut into fixed chunks. Each of K lanes has several chunks in a row and works through them in order, forward and
//! backward in one pass, and keeps (shift, sum, gradient); the lanes are merged in order. K and the chunks depend on the
//! problem alone, so the bytes of the result do not depend on the number of threads.
//!
//! A model whose weights fit the cache is evaluated in many small chunks, on several lanes at once. For a larger one every
//! chunk streams the weights and every lane the gradient through memory, so its chunks are as tall as makes up for that, one
//! lane does them all, and its layers use the threads instead. Either way what is kept does not grow with the data, but for
//! outputs and cotangents, n × k each.

use std::sync::{Arc, Mutex, MutexGuard};

use rayon::prelude::*;

use crate::loss::{Constraint, Loss};
use crate::model::{Chunking, Model, Tape};
use crate::numeric::{Scaled, scale};
use crate::{Breakdown, Data, Rows};

/// Numbers of activations that a chunk may keep: 720 kB, which leaves room for weights in a second-level cache of 1 MB.
const CHUNK_NUMBERS: usize = 90_000;
/// From this many weights on a model counts as large: with their gradient they fill a second-level cache of 1 MB.
const LARGE: usize = 65_536;
/// Rows of a large model's chunks, so many that adding to the gradient costs little beside the products, and the most numbers
/// of activations that they may keep: 32 MB.
const LARGE_ROWS: usize = 512;
const LARGE_CHUNK_NUMBERS: usize = 4_000_000;
/// Evaluations whose memory is kept for reuse.
const SPARE: usize = 2;
/// Most lanes, and the most numbers that the lanes' gradients may hold together.
const LANES: usize = 16;
const LANE_NUMBERS: usize = 32_000_000;

/// Model, loss and data.
#[derive(Debug)]
pub struct Problem {
    /// θ and inputs to outputs.
    pub model: Box<dyn Model>,
    /// Outputs and labels to ln 𝓛.
    pub loss: Box<dyn Loss>,
    /// What is trained on.
    pub train: Arc<Data>,
    /// What is only looked at.
    pub test: Option<Arc<Data>>,
    scratch: Mutex<Scratch>,
    /// Evaluations that nobody needs any more, for their memory.
    spare: Mutex<Vec<Arc<Eval>>>,
}

/// Which rows an evaluation is of.
#[derive(Clone, Debug, PartialEq)]
pub enum RowSet {
    /// The whole training set.
    Full,
    /// A mini-batch: its number in the run, and the indices of its examples.
    Batch(u64, Arc<Vec<usize>>),
}

/// What is known at one θ about one set of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Eval {
    /// ln Σ ℓ_i.
    pub ln_loss_sum: f64,
    /// ln 𝓛 in the loss's own reduction.
    pub ln_loss: f64,
    /// ∇ ln 𝓛.
    pub grad: Vec<f64>,
    /// The outputs, n × k.
    pub outputs: Vec<f64>,
    /// ∂ ln 𝓛/∂out, n × k.
    pub cotangent: Vec<f64>,
}

#[derive(Debug, Default)]
struct Scratch {
    lanes: Vec<Lane>,
    inputs: Vec<f64>,
    labels: Vec<u32>,
}

/// First row, outputs and cotangents of a chunk.
type Piece<'a> = (usize, &'a mut [f64], &'a mut [f64]);
/// A lane's number, itself, and its outputs and cotangents.
type Share<'a> = (usize, ((&'a mut Lane, &'a mut [f64]), &'a mut [f64]));

/// How rows are cut: rows of a chunk, and of a lane.
#[derive(Clone, Copy)]
struct Cut {
    chunk: usize,
    lane: usize,
}

#[derive(Debug)]
struct Lane {
    total: Scaled,
    grad: Vec<f64>,
    tape: Tape,
    /// Outputs and cotangents of a chunk, where they are not wanted afterwards.
    out: Vec<f64>,
    cot: Vec<f64>,
    /// (first row, shift at that time) of each chunk done.
    shifts: Vec<(usize, f64)>,
    failed: Option<Breakdown>,
}

impl Problem {
    /// Puts a problem together.
    pub fn new(
        model: Box<dyn Model>,
        loss: Box<dyn Loss>,
        train: Arc<Data>,
        test: Option<Arc<Data>>,
    ) -> Problem {
        Problem { model, loss, train, test, scratch: Mutex::default(), spare: Mutex::default() }
    }

    /// Length of θ.
    pub fn dim(&self) -> usize {
        self.model.layout().dim()
    }

    /// Number of examples in a row set.
    pub fn count(&self, rows: &RowSet) -> usize {
        match rows {
            RowSet::Full => self.train.n(),
            RowSet::Batch(_, indices) => indices.len(),
        }
    }

    /// ln 𝓛, ∇ ln 𝓛, outputs and cotangents at θ.
    ///
    /// # Errors
    /// When an output, ln 𝓛 or a gradient entry is not finite.
    pub fn eval(&self, theta: &[f64], rows: &RowSet) -> Result<Eval, Breakdown> {
        self.eval_shared(theta, rows).map(Arc::unwrap_or_clone)
    }

    /// The same in memory that has been [handed back](Problem::recycle), where there is some.
    ///
    /// # Errors
    /// As [`eval`](Problem::eval).
    pub(crate) fn eval_shared(&self, theta: &[f64], rows: &RowSet) -> Result<Arc<Eval>, Breakdown> {
        let mut memory = self.spare().pop().unwrap_or_default();
        let eval = Arc::make_mut(&mut memory);
        self.with_rows(rows, |x, labels, lanes| self.eval_rows(theta, x, labels, lanes, eval))?;
        let finite = eval.ln_loss.is_finite() && crate::numeric::all_finite(&eval.grad);
        if finite {
            Ok(memory)
        } else {
            Err(Breakdown::Diverged { what: "ln of the loss or its gradient is no longer finite".into() })
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Arc<Eval>>> {
        self.spare.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// ln 𝓛 alone, to the last bit that of [`eval`](Problem::eval), at about a third of its cost.
    ///
    /// # Errors
    /// When ln 𝓛 is not finite.
    pub fn ln_loss(&self, theta: &[f64], rows: &RowSet) -> Result<f64, Breakdown> {
        let ln_loss = self.with_rows(rows, |x, labels, lanes| self.loss_of_rows(theta, x, labels, lanes))?;
        if ln_loss.is_finite() {
            Ok(ln_loss)
        } else {
            Err(Breakdown::Diverged { what: "ln of the loss is no longer finite".into() })
        }
    }

    /// Takes the memory of an evaluation that nothing else holds on to for one to come: fresh memory of the size of a large
    /// gradient costs as much as a pass over it.
    pub fn recycle(&self, mut eval: Arc<Eval>) {
        if Arc::get_mut(&mut eval).is_some() {
            let mut spare = self.spare();
            if spare.len() < SPARE {
                spare.push(eval);
            }
        }
    }

    /// Gives `work` the rows, gathered if need be, and the lanes.
    fn with_rows<T>(&self, rows: &RowSet, work: impl FnOnce(Rows<'_>, &[u32], &mut Vec<Lane>) -> T) -> T {
        let mut scratch = self.scratch.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Scratch { lanes, inputs, labels } = &mut *scratch;
        match rows {
            RowSet::Full => work(self.train.rows(), self.train.labels(), lanes),
            RowSet::Batch(_, indices) => {
                inputs.clear();
                labels.clear();
                for &i in indices.iter() {
                    inputs.extend_from_slice(self.train.rows().row(i));
                    labels.push(self.train.labels()[i]);
                }
                work(Rows::new(inputs, self.train.dim()), labels, lanes)
            }
        }
    }

    /// How `n` rows are cut, and the lanes.
    fn plan<'l>(&self, n: usize, dim: usize, lanes: &'l mut Vec<Lane>) -> (Cut, &'l mut [Lane]) {
        let chunk = chunk_rows(self.model.as_ref(), n).max(1);
        let chunks = n.div_ceil(chunk);
        let most = match is_large(self.model.as_ref()) {
            true => 1,
            false => (LANE_NUMBERS / dim.max(1)).clamp(2, LANES),
        };
        let of_lane = chunks.div_ceil(most);
        let count = chunks.div_ceil(of_lane.max(1));
        lanes.resize_with(count.max(lanes.len()), Lane::new);
        (Cut { chunk, lane: of_lane * chunk }, &mut lanes[..count])
    }

    /// Whether lanes are worth threads of their own.
    fn is_shared(&self, lanes: usize) -> bool {
        lanes > 1 && self.model.parallel() && rayon::current_num_threads() > 1
    }

    fn loss_of_rows(
        &self,
        theta: &[f64],
        x: Rows<'_>,
        labels: &[u32],
        lanes: &mut Vec<Lane>,
    ) -> Result<f64, Breakdown> {
        let n = x.n();
        let (cut, lanes) = self.plan(n, theta.len(), lanes);
        let run = |(first, lane): (usize, &mut Lane)| {
            lane.begin();
            for from in (first * cut.lane..n.min((first + 1) * cut.lane)).step_by(cut.chunk) {
                let rows = x.slice(from, (from + cut.chunk).min(n));
                let labels = &labels[from..from + rows.n()];
                if let Err(breakdown) = lane.loss_of_chunk(self, theta, rows, labels) {
                    lane.failed = Some(breakdown);
                    return;
                }
            }
        };
        if self.is_shared(lanes.len()) {
            lanes.par_iter_mut().enumerate().for_each(run);
        } else {
            lanes.iter_mut().enumerate().for_each(run);
        }
        Ok(merged(lanes)?.ln() - self.loss.reduction().ln_divisor(n))
    }

    fn eval_rows(
        &self,
        theta: &[f64],
        x: Rows<'_>,
        labels: &[u32],
        lanes: &mut Vec<Lane>,
        eval: &mut Eval,
    ) -> Result<(), Breakdown> {
        let (n, k, dim) = (x.n(), self.model.outputs(), theta.len());
        let (cut, lanes) = self.plan(n, dim, lanes);
        let count = lanes.len();
        // With all rows in one chunk the weights are known before the way back, which saves a pass over the gradient.
        let at_once = cut.chunk >= n;

        let Eval { outputs, cotangent, grad, .. } = eval;
        outputs.resize(n * k, 0.0);
        cotangent.resize(n * k, 0.0);
        grad.resize(dim, 0.0);
        crate::numeric::in_parts(grad, [], |grad, []| grad.fill(0.0));
        if let [only] = &mut *lanes {
            // The only lane's gradient is the whole one.
            std::mem::swap(&mut only.grad, grad);
        }
        let run = |(first, ((lane, outputs), cotangent)): Share<'_>| {
            lane.begin();
            if count > 1 {
                lane.clear(dim);
            }
            let pieces = outputs.chunks_mut(cut.chunk * k).zip(cotangent.chunks_mut(cut.chunk * k));
            for (c, (out, cot)) in pieces.enumerate() {
                let from = first * cut.lane + c * cut.chunk;
                let rows = x.slice(from, (from + cut.chunk).min(n));
                let labels = &labels[from..from + rows.n()];
                if let Err(breakdown) = lane.chunk(self, theta, rows, labels, (from, out, cot), at_once) {
                    lane.failed = Some(breakdown);
                    return;
                }
            }
        };
        let of_lane = cut.lane * k;
        if self.is_shared(count) {
            let shares = lanes.par_iter_mut().zip(outputs.par_chunks_mut(of_lane));
            shares.zip(cotangent.par_chunks_mut(of_lane)).enumerate().for_each(run);
        } else {
            let shares = lanes.iter_mut().zip(outputs.chunks_mut(of_lane));
            shares.zip(cotangent.chunks_mut(of_lane)).enumerate().for_each(run);
        }
        if let [only] = &mut *lanes {
            std::mem::swap(&mut only.grad, grad);
        }
        let total = merged(lanes)?;
        for lane in lanes.iter().filter(|_| !at_once) {
            let weight = (lane.total.shift - total.shift).exp() / total.sum;
            match count {
                1 => scale(weight, grad),
                _ => crate::numeric::axpy(weight, &lane.grad, grad),
            }
            for &(from, shift) in &lane.shifts {
                let to = (from + cut.chunk).min(n);
                scale((shift - total.shift).exp() / total.sum, &mut cotangent[from * k..to * k]);
            }
        }
        eval.ln_loss_sum = total.ln();
        eval.ln_loss = eval.ln_loss_sum - self.loss.reduction().ln_divisor(n);
        Ok(())
    }

    /// The outputs for any inputs, in chunks.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    pub fn outputs(&self, theta: &[f64], x: Rows<'_>) -> Result<Vec<f64>, Breakdown> {
        outputs(self.model.as_ref(), theta, x)
    }

    /// ∇ of one margin constraint at θ.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    pub fn margin_gradient(&self, theta: &[f64], at: &Constraint) -> Result<Vec<f64>, Breakdown> {
        let (k, rows) = (self.model.outputs(), self.train.rows().slice(at.example, at.example + 1));
        let (mut out, mut grad) = (vec![0.0; k], vec![0.0; theta.len()]);
        let mut tape = Tape::default();
        self.model.forward(theta, rows, &mut out, &mut tape)?;
        let cot = self.constraint_cotangent(at);
        self.model.pullback(theta, rows, &mut tape, &cot, Some(&mut grad), None)?;
        Ok(grad)
    }

    /// ∂q/∂out of a margin constraint of the training set, output by output.
    pub(crate) fn constraint_cotangent(&self, of: &Constraint) -> Vec<f64> {
        let mut cot = vec![0.0; self.model.outputs()];
        self.loss.constraint_cotangent(self.train.labels()[of.example], of.rival, &mut cot);
        cot
    }

    /// The margin constraints of the training set, given an evaluation of it.
    pub fn constraints(&self, full: &Eval) -> Vec<Constraint> {
        let mut list = Vec::with_capacity(self.train.n());
        self.constraints_into(full, &mut list);
        list
    }

    /// The same in memory that is used again.
    pub(crate) fn constraints_into(&self, full: &Eval, list: &mut Vec<Constraint>) {
        let k = self.model.outputs();
        list.clear();
        for (i, &label) in self.train.labels().iter().enumerate() {
            let span = i * k..(i + 1) * k;
            self.loss.constraints(i, label, &full.outputs[span.clone()], &full.cotangent[span], list);
        }
    }

    /// The share of examples that these outputs classify correctly.
    pub fn accuracy(&self, outputs: &[f64], labels: &[u32]) -> f64 {
        let k = self.model.outputs();
        let right = labels.iter().zip(outputs.chunks(k)).filter(|(y, out)| self.loss.is_correct(**y, out));
        right.count() as f64 / labels.len() as f64
    }
}

/// The sum over all lanes, in the largest of their scales, or what stopped the first lane that was stopped.
fn merged(lanes: &mut [Lane]) -> Result<Scaled, Breakdown> {
    if let Some(breakdown) = lanes.iter_mut().find_map(|lane| lane.failed.take()) {
        return Err(breakdown);
    }
    let mut total = Scaled::ZERO;
    lanes.iter().for_each(|lane| {
        total.raise(lane.total.shift);
    });
    total.sum = lanes.iter().map(|l| l.total.sum * (l.total.shift - total.shift).exp()).sum();
    Ok(total)
}

fn is_large(model: &dyn Model) -> bool {
    match model.chunking() {
        Chunking::Cache => model.layout().dim() > LARGE,
        Chunking::Tall => true,
        Chunking::Rows(_) | Chunking::Whole => false,
    }
}

/// The outputs of a model, in chunks.
pub(crate) fn outputs(model: &dyn Model, theta: &[f64], x: Rows<'_>) -> Result<Vec<f64>, Breakdown> {
    let (n, k) = (x.n(), model.outputs());
    let chunk = chunk_rows(model, n);
    let mut outputs = vec![0.0; n * k];
    let mut tape = Tape::default();
    for (c, out) in outputs.chunks_mut(chunk * k).enumerate() {
        let rows = x.slice(c * chunk, (c * chunk + chunk).min(n));
        model.forward(theta, rows, out, &mut tape)?;
    }
    Ok(outputs)
}

pub(crate) fn chunk_rows(model: &dyn Model, n: usize) -> usize {
    match model.chunking() {
        Chunking::Whole => n,
        Chunking::Rows(rows) => rows.clamp(1, n),
        Chunking::Cache | Chunking::Tall => {
            let row = model.row_size().max(1);
            let most = (CHUNK_NUMBERS / row).clamp(16, 4096);
            if is_large(model) {
                let most = most.max(LARGE_ROWS.min(LARGE_CHUNK_NUMBERS / row));
                return n.div_ceil(n.div_ceil(most));
            }
            if n <= most {
                // Splitting pays only when each half still fills the matrix kernels.
                return n;
            }
            // A multiple of four chunks, so that two and four threads have equal shares.
            let chunks = n.div_ceil(most).next_multiple_of(4);
            n.div_ceil(chunks)
        }
    }
}

impl Lane {
    fn new() -> Lane {
        Lane {
            total: Scaled::ZERO,
            grad: Vec::new(),
            tape: Tape::default(),
            out: Vec::new(),
            cot: Vec::new(),
            shifts: Vec::new(),
            failed: None,
        }
    }

    fn begin(&mut self) {
        self.total = Scaled::ZERO;
        self.shifts.clear();
        self.failed = None;
    }

    fn clear(&mut self, dim: usize) {
        self.grad.resize(dim, 0.0);
        self.grad.fill(0.0);
    }

    fn loss_of_chunk(
        &mut self,
        problem: &Problem,
        theta: &[f64],
        x: Rows<'_>,
        labels: &[u32],
    ) -> Result<(), Breakdown> {
        let numbers = x.n() * problem.model.outputs();
        self.out.resize(numbers, 0.0);
        self.cot.resize(numbers, 0.0);
        problem.model.forward(theta, x, &mut self.out, &mut self.tape)?;
        problem.loss.accumulate(&self.out, labels, &mut self.total, &mut self.cot);
        Ok(())
    }

    fn chunk(
        &mut self,
        problem: &Problem,
        theta: &[f64],
        x: Rows<'_>,
        labels: &[u32],
        (from, out, cot): Piece<'_>,
        at_once: bool,
    ) -> Result<(), Breakdown> {
        problem.model.forward(theta, x, out, &mut self.tape)?;
        let factor = problem.loss.accumulate(out, labels, &mut self.total, cot);
        match at_once {
            true => scale(1.0 / self.total.sum, cot),
            false => scale(factor, &mut self.grad),
        }
        problem.model.pullback(theta, x, &mut self.tape, cot, Some(&mut self.grad), None)?;
        self.shifts.push((from, self.total.shift));
        Ok(())
    }
}
