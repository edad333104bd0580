//! The core's losses and norms for arrays: what Python's own versions of them are tested against, and what users may call.

use latephase_core::Layout;
use latephase_core::loss::AnyLoss;
use latephase_core::norm::AnyNorm;
use latephase_core::numeric::Scaled;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::guard;

/// What is wrong with a loss or a norm, without the place in a text that nobody has seen.
fn said(e: toml::de::Error) -> PyErr {
    let text = e.message();
    let text = text.strip_prefix('@').and_then(|t| t.split_once('@')).map_or(text, |(_, text)| text);
    PyValueError::new_err(text.to_owned())
}

/// ln of a loss, in its own reduction, and its gradient with respect to the outputs (n, k). `labels` are class indices; class 0 is the
/// positive one of a binary loss.
#[pyfunction]
pub fn evaluate_loss<'py>(
    py: Python<'py>,
    toml: &str,
    outputs: PyReadonlyArray2<'py, f64>,
    labels: PyReadonlyArray1<'py, i64>,
) -> PyResult<(f64, Bound<'py, PyArray2<f64>>)> {
    guard(py, || {
        let loss = toml::from_str::<AnyLoss>(toml).map_err(said)?.build();
        let (n, k) = (outputs.shape()[0], outputs.shape()[1]);
        let (classes, labels) = (k.max(2), labels.as_slice()?);
        if loss.outputs(classes).ok() != Some(k) || n == 0 || labels.len() != n {
            let text = format!("the loss takes no outputs of shape ({n}, {k}) with {} labels", labels.len());
            return Err(PyValueError::new_err(text));
        }
        if let Some(i) = labels.iter().position(|y| !(0..classes as i64).contains(y)) {
            let text = format!("label {i} is {}, allowed are 0 to {}", labels[i], classes - 1);
            return Err(PyValueError::new_err(text));
        }
        let labels: Vec<u32> = labels.iter().map(|y| *y as u32).collect();
        let (mut total, mut cotangent) = (Scaled::ZERO, vec![0.0; n * k]);
        loss.accumulate(outputs.as_slice()?, &labels, &mut total, &mut cotangent);
        cotangent.iter_mut().for_each(|c| *c /= total.sum);
        let ln_loss = total.ln() - loss.reduction().ln_divisor(n);
        Ok((ln_loss, PyArray1::from_vec(py, cotangent).reshape([n, k])?))
    })
}

/// argmax ⟨g, d⟩ over ‖d‖ ≤ 1 for g in blocks of these names and shapes, flat, with the dual norm of g and the norm of g itself.
#[pyfunction]
pub fn steepest<'py>(
    py: Python<'py>,
    toml: &str,
    blocks: Vec<(String, Vec<usize>)>,
    g: PyReadonlyArray1<'py, f64>,
) -> PyResult<(Bound<'py, PyArray1<f64>>, f64, f64)> {
    guard(py, || {
        let norm = toml::from_str::<AnyNorm>(toml).map_err(said)?.build();
        let mut layout = Layout::default();
        blocks.into_iter().for_each(|(name, shape)| layout.push(name, &shape, f64::NAN));
        let g = g.as_slice()?;
        if g.len() != layout.dim() {
            let text = format!("{} numbers for blocks of {}", g.len(), layout.dim());
            return Err(PyValueError::new_err(text));
        }
        norm.check(&layout).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let mut d = vec![0.0; g.len()];
        let dual = norm.steepest(g, &layout, &mut d);
        let size = norm.of(g, &layout);
        Ok((PyArray1::from_vec(py, d), dual, size))
    })
}
