//! Neural collapse of the last hidden layer.
//!
//! With h_i the features of example i, μ_c the class means and M = (μ_c − μ_G)_c about their mean μ_G, the four phenomena of
//! Papyan, Han & Donoho 2020 are: features fall together with their class mean (NC1), the means form a regular simplex
//! (NC2), the last layer's rows align with them (NC3), and the network decides for the nearest mean (NC4).

use faer::Mat;
use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, PAPYAN_2020};
use crate::matrix::eigen;
use crate::model::Head;
use crate::numeric::{axpy, dot, norm, scale};

/// Of the training set, each 0 at collapse; NaN where the model has no last layer of its own, or a class no example:
///
/// | column | what it is |
/// |---|---|
/// | `nc1` | Tr(Σ_W Σ_B⁺)/C: covariance of features within classes over that of class means |
/// | `nc2_norms` | standard deviation of ‖μ_c − μ_G‖ over its mean |
/// | `nc2_angles` | mean over pairs of \|cos∠(μ_c − μ_G, μ_{c'} − μ_G) + 1/(C − 1)\| |
/// | `nc3` | ‖W/‖W‖_F − Mᵀ/‖M‖_F‖_F; for one output the rows of W are w and −w |
/// | `nc4` | share of examples that the network and the nearest class mean put in different classes |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collapse {}

const COLUMNS: [&str; 5] = ["nc1", "nc2_norms", "nc2_angles", "nc3", "nc4"];

impl Probe for Collapse {
    fn begin(&mut self, _context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        Ok(COLUMNS.map(String::from).to_vec())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let values = measured(at).unwrap_or([f64::NAN; COLUMNS.len()]);
        COLUMNS.iter().zip(values).for_each(|(column, value)| row.put(column, value));
    }
}

fn measured(at: &Snapshot<'_>) -> Option<[f64; COLUMNS.len()]> {
    let (data, outputs) = (&at.problem.train, at.problem.model.outputs());
    let classes = data.classes.len();
    let head = at.problem.model.head(at.theta, data.rows())?;
    let width = head.width;
    let mut means = vec![vec![0.0; width]; classes];
    let mut counts = vec![0.0; classes];
    for (h, label) in head.features.chunks_exact(width).zip(data.labels()) {
        axpy(1.0, h, &mut means[*label as usize]);
        counts[*label as usize] += 1.0;
    }
    if counts.contains(&0.0) {
        return None;
    }
    means.iter_mut().zip(&counts).for_each(|(mean, n)| scale(1.0 / n, mean));
    let mut centre = vec![0.0; width];
    means.iter().for_each(|mean| axpy(1.0 / classes as f64, mean, &mut centre));
    let spread: Vec<Vec<f64>> =
        means.iter().map(|mean| mean.iter().zip(&centre).map(|(m, c)| m - c).collect()).collect();
    let lengths: Vec<f64> = spread.iter().map(|m| norm(m)).collect();
    let mean = lengths.iter().sum::<f64>() / classes as f64;
    let variance = lengths.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / classes as f64;
    let even = -1.0 / (classes as f64 - 1.0);
    let mut angles = 0.0;
    for c in 0..classes {
        for d in (0..classes).filter(|d| *d != c) {
            angles += (dot(&spread[c], &spread[d]) / (lengths[c] * lengths[d]) - even).abs();
        }
    }
    let angles = angles / (classes * (classes - 1)) as f64;
    let apart = apart(&head, outputs, classes, &spread);
    let mut differ = 0;
    for (i, h) in head.features.chunks_exact(width).enumerate() {
        let far = |c: usize| -> f64 { means[c].iter().zip(h).map(|(m, h)| (m - h).powi(2)).sum() };
        let nearest = (0..classes).min_by(|a, b| far(*a).total_cmp(&far(*b)))?;
        let out = &at.full.outputs[i * outputs..(i + 1) * outputs];
        differ += usize::from(!at.problem.loss.is_correct(nearest as u32, out));
    }
    let shrunk = within(&head, data.labels(), &means, &spread)? / classes as f64;
    Some([shrunk, variance.sqrt() / mean, angles, apart, differ as f64 / data.n() as f64])
}

/// Tr(Σ_W Σ_B⁺): with M⁺ = (MᵀM)⁺Mᵀ it is the mean of C‖M⁺(h_i − μ)‖².
fn within(head: &Head, labels: &[u32], means: &[Vec<f64>], spread: &[Vec<f64>]) -> Option<f64> {
    let classes = means.len();
    let gram = Mat::from_fn(classes, classes, |c, d| dot(&spread[c], &spread[d]));
    let (values, vectors) = eigen(gram.as_ref())?;
    let largest = values.last().copied()?;
    let mut total = 0.0;
    for (h, label) in head.features.chunks_exact(head.width).zip(labels) {
        let rest: Vec<f64> = h.iter().zip(&means[*label as usize]).map(|(h, m)| h - m).collect();
        let along: Vec<f64> = spread.iter().map(|m| dot(m, &rest)).collect();
        // The means sum to 0, so that one eigenvalue is rounding.
        for (k, value) in values.iter().enumerate().filter(|(_, v)| **v > 1e-12 * largest) {
            let part: f64 = along.iter().enumerate().map(|(c, a)| a * vectors[(c, k)]).sum();
            total += (part / value).powi(2);
        }
    }
    Some(classes as f64 * total / labels.len() as f64)
}

/// ‖W/‖W‖_F − Mᵀ/‖M‖_F‖_F.
fn apart(head: &Head, outputs: usize, classes: usize, spread: &[Vec<f64>]) -> f64 {
    let m = spread.concat();
    let w = match (outputs, classes) {
        (1, 2) => head.weight.iter().copied().chain(head.weight.iter().map(|w| -w)).collect(),
        _ => head.weight.clone(),
    };
    if w.len() != m.len() {
        return f64::NAN;
    }
    let (a, b) = (norm(&w), norm(&m));
    crate::numeric::scaled_distance(1.0 / a, &w, 1.0 / b, &m)
}

impl Entry for Collapse {
    const ABOUT: &'static str = "neural collapse of the last hidden layer, NC1 to NC4 (on request)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[PAPYAN_2020];
}
