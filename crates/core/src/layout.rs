//! How the flat parameter vector θ is cut into named blocks.

use serde::Serialize;

/// One block of θ: a weight matrix, a bias, a vector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Block {
    /// Name as `torch.nn.Sequential` gives it: `<layer index>.weight`, `<layer index>.bias`.
    pub name: String,
    /// Shape in PyTorch's layout (`[out, in]` for a dense weight).
    pub shape: Vec<usize>,
    /// First index in θ.
    pub offset: usize,
    /// Rows of the matrix view (1 for a vector).
    pub rows: usize,
    /// Columns of the matrix view.
    pub cols: usize,
    /// Degree of the outputs' homogenization in this block alone: 0 where it drops the block, NaN where the block enters a
    /// sum with others and has none of its own.
    pub degree: f64,
}

impl Block {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Whether the block has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is a matrix and not a vector.
    pub fn is_matrix(&self) -> bool {
        self.shape.len() > 1
    }

    /// The name of the block's layer: its own name up to the last dot.
    pub fn layer(&self) -> &str {
        self.name.rsplit_once('.').map_or(&self.name, |(layer, _)| layer)
    }

    /// A layout of this block alone, as a parameter vector of its own.
    pub fn alone(&self) -> Layout {
        let mut alone = Layout::default();
        alone.push(self.name.clone(), &self.shape, self.degree);
        alone
    }

    /// The block's part of a flat vector.
    pub fn of<'a>(&self, flat: &'a [f64]) -> &'a [f64] {
        &flat[self.offset..self.offset + self.len()]
    }

    /// The block's part of a flat vector, to write to.
    pub fn of_mut<'a>(&self, flat: &'a mut [f64]) -> &'a mut [f64] {
        &mut flat[self.offset..self.offset + self.len()]
    }
}

/// The blocks of θ, in order, without gaps.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Layout {
    blocks: Vec<Block>,
}

impl Layout {
    /// Adds a block at the end. Its matrix view is `shape[0] × rest`; a vector is one row.
    pub fn push(&mut self, name: impl Into<String>, shape: &[usize], degree: f64) {
        let len: usize = shape.iter().product();
        let (rows, cols) = if shape.len() > 1 { (shape[0], len / shape[0].max(1)) } else { (1, len) };
        let offset = self.dim();
        self.blocks.push(Block { name: name.into(), shape: shape.to_vec(), offset, rows, cols, degree });
    }

    /// A layout of one vector block, for tests and plain vectors.
    pub fn vector(dim: usize) -> Self {
        let mut layout = Layout::default();
        layout.push("0.weight", &[dim], 1.0);
        layout
    }

    /// The blocks.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Length of θ.
    pub fn dim(&self) -> usize {
        self.blocks.last().map_or(0, |b| b.offset + b.len())
    }
}
