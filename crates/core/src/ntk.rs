//! The empirical tangent kernel: inner products of gradients in θ.
//!
//! For outputs f_c(θ; x) the kernel is K[(i, c), (j, d)] = ⟨∇f_c(θ; x_i), ∇f_d(θ; x_j)⟩; for margins q_a of a loss it is
//! K[a, b] = ⟨∇q_a(θ), ∇q_b(θ)⟩, which is the Gram matrix of the hard-margin SVM on tangent features. Both are sums over
//! layers of products of small Gram matrices ([`Model::tangent_gram`]); the matrix of gradients, examples × dim θ, is never
//! formed for a network of dense layers.
//!
//! # References
//! A. Jacot, F. Gabriel, C. Hongler, *Neural tangent kernel* (NeurIPS 2018); for the layer-wise form R. Novak,
//! J. Sohl-Dickstein, S. Schoenholz, *Fast finite width neural tangent kernel* (ICML 2022).

use crate::loss::Constraint;
use crate::model::layer::tangent::combined;
use crate::model::{Model, Tape};
use crate::{Breakdown, Problem, Rows};

/// The kernel of the outputs: (n·k) × (n·k), row-major, member i·k + c for output c of row i.
///
/// # Errors
/// Only models that run foreign code fail.
///
/// # Examples
/// A linear model's gradient is its input, so its kernel is that of the inputs:
/// ```
/// use latephase_core::model::{Architecture, Linear};
/// use latephase_core::{Rows, ntk};
/// let model = Linear::default().assemble(&[2], 1)?;
/// let x = [1.0, 2.0, 3.0, -1.0];
/// let kernel = ntk::outputs(model.as_ref(), &[0.5, 0.5], Rows::new(&x, 2))?;
/// assert_eq!(kernel, [5.0, 1.0, 1.0, 10.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn outputs(model: &dyn Model, theta: &[f64], x: Rows<'_>) -> Result<Vec<f64>, Breakdown> {
    let (n, k) = (x.n(), model.outputs());
    let mut cots = vec![0.0; n * k * k];
    for c in 0..k {
        (0..n).for_each(|i| cots[(c * n + i) * k + c] = 1.0);
    }
    let by_pass = model.tangent_gram(theta, x, &cots)?;
    if k == 1 {
        return Ok(by_pass);
    }
    let places: Vec<usize> = (0..n * k).map(|a| a % k * n + a / k).collect();
    Ok(permuted(&by_pass, n * k, &places))
}

/// The kernel of some margins of a problem: row-major, in the order of `of`.
///
/// # Errors
/// Only models that run foreign code fail.
///
/// # Panics
/// When a constraint names an example or a rival that the problem does not have.
pub fn margins(problem: &Problem, theta: &[f64], of: &[Constraint]) -> Result<Vec<f64>, Breakdown> {
    let Members { rows, cots, places } = Members::of(problem, of);
    let by_pass = problem.model.tangent_gram(theta, Rows::new(&rows, problem.train.dim()), &cots)?;
    let members = cots.len() / problem.model.outputs();
    if members == of.len() && places.iter().enumerate().all(|(a, place)| a == *place) {
        return Ok(by_pass);
    }
    Ok(permuted(&by_pass, members, &places))
}

/// The kernel of some margins from a kernel of the outputs of all training rows, without another pass through the network.
///
/// # Panics
/// When `outputs` is no kernel of the training set's outputs, or a constraint is not of this problem.
pub fn margins_of_outputs(problem: &Problem, outputs: &[f64], of: &[Constraint]) -> Vec<f64> {
    let (n, k) = (problem.train.n(), problem.model.outputs());
    assert_eq!(outputs.len(), n * n * k * k, "a kernel of {n} rows of {k} outputs");
    // The few outputs that a margin is made of, with their weights.
    let parts = |constraint: &Constraint| {
        let all = problem.constraint_cotangent(constraint).into_iter().enumerate().filter(|(_, c)| *c != 0.0);
        all.map(|(output, c)| (constraint.example * k + output, c)).collect::<Vec<_>>()
    };
    let parts: Vec<Vec<(usize, f64)>> = of.iter().map(parts).collect();
    let entry = |a: &[(usize, f64)], b: &[(usize, f64)]| {
        a.iter().map(|(i, c)| b.iter().map(|(j, d)| c * d * outputs[i * n * k + j]).sum::<f64>()).sum::<f64>()
    };
    parts.iter().flat_map(|a| parts.iter().map(move |b| entry(a, b))).collect()
}

/// Σ_a λ_a ∇q_a(θ), in one pass back.
///
/// # Errors
/// Only models that run foreign code fail.
///
/// # Panics
/// When there are not as many multipliers as constraints.
pub fn combination(
    problem: &Problem,
    theta: &[f64],
    of: &[Constraint],
    lambda: &[f64],
) -> Result<Vec<f64>, Breakdown> {
    assert_eq!(of.len(), lambda.len(), "one multiplier for each constraint");
    let k = problem.model.outputs();
    let Members { rows, cots, places } = Members::of(problem, of);
    let mut weights = vec![0.0; cots.len() / k];
    places.iter().zip(lambda).for_each(|(place, lambda)| weights[*place] = *lambda);
    let x = Rows::new(&rows, problem.train.dim());
    let mut cot = vec![0.0; x.n() * k];
    combined(&weights, &cots, &mut cot);
    let (mut tape, mut grad) = (Tape::default(), vec![0.0; theta.len()]);
    let chunk = crate::problem::chunk_rows(problem.model.as_ref(), x.n());
    let mut out = vec![0.0; chunk * k];
    for from in (0..x.n()).step_by(chunk) {
        let to = (from + chunk).min(x.n());
        let part = x.slice(from, to);
        problem.model.forward(theta, part, &mut out[..(to - from) * k], &mut tape)?;
        let cot = &cot[from * k..to * k];
        problem.model.pullback(theta, part, &mut tape, cot, Some(&mut grad), None)?;
    }
    Ok(grad)
}

/// Constraints as members of passes over their examples: the r-th constraint of an example is in pass r.
struct Members {
    /// The inputs of the examples that occur.
    rows: Vec<f64>,
    /// One cotangent for each pass and example; 0 where an example has fewer constraints than others.
    cots: Vec<f64>,
    /// Where each constraint stands among the members.
    places: Vec<usize>,
}

impl Members {
    fn of(problem: &Problem, of: &[Constraint]) -> Members {
        let k = problem.model.outputs();
        let (mut row_of, mut rows) = (vec![usize::MAX; problem.train.n()], Vec::new());
        let (mut counts, mut at) = (Vec::new(), Vec::with_capacity(of.len()));
        for constraint in of {
            let row = &mut row_of[constraint.example];
            if *row == usize::MAX {
                *row = counts.len();
                counts.push(0);
                rows.extend_from_slice(problem.train.rows().row(constraint.example));
            }
            at.push((counts[*row], *row));
            counts[*row] += 1;
        }
        let (n, passes) = (counts.len(), counts.iter().copied().max().unwrap_or(0));
        let mut cots = vec![0.0; passes * n * k];
        let places: Vec<usize> = at.iter().map(|(pass, row)| pass * n + row).collect();
        for (constraint, place) in of.iter().zip(&places) {
            let label = problem.train.labels()[constraint.example];
            let cot = &mut cots[place * k..(place + 1) * k];
            problem.loss.constraint_cotangent(label, constraint.rival, cot);
        }
        Members { rows, cots, places }
    }
}

/// The rows and columns `places` of a symmetric matrix of `size` rows.
fn permuted(gram: &[f64], size: usize, places: &[usize]) -> Vec<f64> {
    places.iter().flat_map(|&a| places.iter().map(move |b| gram[a * size + b])).collect()
}
