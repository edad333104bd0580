//! Two-layer networks with a piecewise linear activation, neuron by neuron: what conditions at their kinks are computed from.

/// f_c(x) = Σ_r a_cr σ(⟨v_r, x⟩ + β_r) with σ(z) = left·min(z, 0) + right·max(z, 0): where its numbers stand in θ.
///
/// With a bias in the first layer, rows and inputs have one entry more: (v_r, β_r) and (x, 1).
///
/// # Examples
/// ```
/// use latephase_core::Neurons;
/// use latephase_core::model::{Architecture, Mlp};
/// let model = Mlp { widths: vec![3], ..Mlp::default() }.assemble(&[2], 1)?;
/// let view = model.neurons().unwrap();
/// assert_eq!((view.width, view.inner(1, 0), view.outer(0, 2)), (3, 2, 8));
/// assert_eq!(view.pre(&[1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 1.0, 1.0, 1.0], 1, &[5.0, 7.0]), 14.0);
/// # Ok::<(), latephase_core::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Neurons {
    /// Numbers in an input, without the 1 of a bias.
    pub inputs: usize,
    /// Neurons.
    pub width: usize,
    /// Outputs.
    pub outputs: usize,
    /// The slopes of σ on the left and on the right of 0.
    pub slopes: [f64; 2],
    /// Whether the first layer has a bias.
    pub bias: bool,
}

impl Neurons {
    /// Numbers in an inner row.
    pub fn cols(&self) -> usize {
        self.inputs + usize::from(self.bias)
    }

    /// Length of θ.
    pub fn dim(&self) -> usize {
        self.width * (self.cols() + self.outputs)
    }

    /// Where entry i of the inner row r stands.
    pub fn inner(&self, r: usize, i: usize) -> usize {
        if i < self.inputs { r * self.inputs + i } else { self.width * self.inputs + r }
    }

    /// Where the outer weight from neuron r to output c stands.
    pub fn outer(&self, c: usize, r: usize) -> usize {
        self.width * self.cols() + c * self.width + r
    }

    /// The places of everything that belongs to neuron r.
    pub fn places(&self, r: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.cols())
            .map(move |i| self.inner(r, i))
            .chain((0..self.outputs).map(move |c| self.outer(c, r)))
    }

    /// An input as the rows see it.
    pub fn input(&self, x: &[f64]) -> Vec<f64> {
        x.iter().copied().chain(self.bias.then_some(1.0)).collect()
    }

    /// ⟨row r, x⟩ for an input as [`input`](Neurons::input) gives it.
    pub fn pre(&self, theta: &[f64], r: usize, x: &[f64]) -> f64 {
        x.iter().enumerate().map(|(i, x)| theta[self.inner(r, i)] * x).sum()
    }

    /// Length of the inner row r.
    pub fn row_norm(&self, theta: &[f64], r: usize) -> f64 {
        (0..self.cols()).map(|i| theta[self.inner(r, i)].powi(2)).sum::<f64>().sqrt()
    }

    /// Length of neuron r: of its inner row and outer weights together.
    pub fn size(&self, theta: &[f64], r: usize) -> f64 {
        self.places(r).map(|p| theta[p].powi(2)).sum::<f64>().sqrt()
    }

    /// σ(z).
    pub fn value(&self, z: f64) -> f64 {
        if z > 0.0 { self.slopes[1] * z } else { self.slopes[0] * z }
    }

    /// σ'(z), the left slope at 0.
    pub fn slope(&self, z: f64) -> f64 {
        if z > 0.0 { self.slopes[1] } else { self.slopes[0] }
    }
}
