//! The training and test sets: inputs, labels and their class names.
//!
//! A [`Data`] is plain rows in memory, shared by `Arc` between the runs of a sweep. It knows nothing about
//! files; the sources of the lab make it.

use crate::Invalid;

/// A borrowed batch of inputs: `n` rows of `dim` numbers, row after row.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The numbers, `n × dim`, row-major.
    pub data: &'a [f64],
    /// Numbers in a row.
    pub dim: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `dim` numbers each.
    ///
    /// # Panics
    /// When `data` is not a whole number of rows.
    pub fn new(data: &'a [f64], dim: usize) -> Self {
        assert!(dim > 0 && data.len().is_multiple_of(dim), "{} numbers are no rows of {dim}", data.len());
        Rows { data, dim }
    }

    /// Number of rows.
    pub fn n(&self) -> usize {
        self.data.len() / self.dim
    }

    /// One row.
    pub fn row(&self, i: usize) -> &'a [f64] {
        &self.data[i * self.dim..(i + 1) * self.dim]
    }

    /// The rows `from..to`.
    pub fn slice(&self, from: usize, to: usize) -> Rows<'a> {
        Rows { data: &self.data[from * self.dim..to * self.dim], dim: self.dim }
    }
}

/// A labelled set of examples.
///
/// The class with index 0 is the positive one of a binary problem: `sign(0) = +1`, `sign(1) = −1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    inputs: Vec<f64>,
    labels: Vec<u32>,
    dim: usize,
    /// Names of the classes, by index.
    pub classes: Vec<String>,
    /// Shape of one input (`[dim]`, or `[channels, height, width]`); its product is `dim`.
    pub shape: Vec<usize>,
}

impl Data {
    /// Checks and takes the rows.
    ///
    /// # Errors
    /// Empty sets, lengths that do not fit, labels outside the classes and non-finite inputs, naming the example.
    ///
    /// # Examples
    /// Two points on a line, one of each class:
    /// ```
    /// use latephase_core::Data;
    /// let data = Data::new(vec![1.0, -1.0], vec![0, 1], vec!["up".into(), "down".into()], vec![1]).unwrap();
    /// assert_eq!(data.n(), 2);
    /// assert_eq!((data.sign(0), data.sign(1)), (1.0, -1.0));
    /// ```
    pub fn new(
        inputs: Vec<f64>,
        labels: Vec<u32>,
        classes: Vec<String>,
        shape: Vec<usize>,
    ) -> Result<Self, Invalid> {
        let dim: usize = shape.iter().product();
        if labels.is_empty() || dim == 0 {
            return Err(Invalid::new("data", "the data set is empty"));
        }
        if inputs.len() != labels.len() * dim {
            let text = format!("{} numbers for {} examples of {dim}", inputs.len(), labels.len());
            return Err(Invalid::new("data", text));
        }
        if let Some(i) = labels.iter().position(|&l| l as usize >= classes.len()) {
            let text =
                format!("example {i} has label {}, but there are {} classes", labels[i], classes.len());
            return Err(Invalid::new("data", text));
        }
        if let Some(k) = inputs.iter().position(|x| !x.is_finite()) {
            let text =
                format!("example {} has the non-finite input {} in column {}", k / dim, inputs[k], k % dim);
            return Err(Invalid::new("data", text));
        }
        Ok(Data { inputs, labels, dim, classes, shape })
    }

    /// Number of examples.
    pub fn n(&self) -> usize {
        self.labels.len()
    }

    /// Numbers in one input.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All inputs.
    pub fn rows(&self) -> Rows<'_> {
        Rows::new(&self.inputs, self.dim)
    }

    /// Class index of every example.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// +1 for the first class, −1 for any other.
    pub fn sign(&self, i: usize) -> f64 {
        if self.labels[i] == 0 { 1.0 } else { -1.0 }
    }

    /// The examples with these indices, in this order (repeats allowed).
    pub fn select(&self, indices: &[usize]) -> Data {
        let mut inputs = Vec::with_capacity(indices.len() * self.dim);
        for &i in indices {
            inputs.extend_from_slice(self.rows().row(i));
        }
        Data {
            inputs,
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            dim: self.dim,
            classes: self.classes.clone(),
            shape: self.shape.clone(),
        }
    }
}
