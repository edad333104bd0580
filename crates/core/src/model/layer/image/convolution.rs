//! A convolution of one image as matrix products.
//!
//! With X the columns of the image (K × P, one matrix for each group of channels), Y = W X + b; the pullback is
//! dW += dY Xᵀ, db += Σ_p dY, and dX = Wᵀ dY, added back to the image. (A convolution in the sense of deep learning: the
//! kernel is not flipped.)
//!
//! # Shapes
//! weight: filters × channels/groups·kernel, PyTorch's [out, in/groups, kh, kw] flattened; outputs: filters × pixels

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::{Window, columns, room};

/// A window whose taps are weighted: `filters` outputs at each place, each of one of `groups` equal groups of channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Convolution {
    pub(crate) window: Window,
    pub(crate) filters: usize,
    pub(crate) groups: usize,
}

impl Convolution {
    /// Weights of one filter: the K of the products.
    pub(crate) fn depth(&self) -> usize {
        self.window.channels / self.groups * self.window.taps()
    }

    /// Multiplications and additions of one image.
    pub(crate) fn work(&self) -> usize {
        2 * self.outputs() * self.depth()
    }

    /// Numbers in one output image.
    pub(crate) fn outputs(&self) -> usize {
        self.filters * self.window.pixels()
    }

    /// The image of one group's channels.
    pub(super) fn part<'a>(&self, image: &'a [f64], group: usize) -> &'a [f64] {
        let size = image.len() / self.groups;
        &image[group * size..][..size]
    }

    /// The columns of one group. A 1x1 kernel that neither skips nor pads sees the image as it is.
    pub(super) fn columns<'a>(&self, image: &'a [f64], group: usize, scratch: &'a mut Vec<f64>) -> &'a [f64] {
        let part = self.part(image, group);
        if self.is_pointwise() {
            return part;
        }
        let columns = room(scratch, self.depth() * self.window.pixels());
        columns::gather(&self.window, part, columns);
        columns
    }

    fn is_pointwise(&self) -> bool {
        let w = &self.window;
        w.kernel == [1, 1] && w.stride == [1, 1] && w.before == [0, 0] && w.out == w.size
    }

    /// Writes the output image.
    pub(crate) fn forward(
        &self,
        weight: &[f64],
        bias: Option<&[f64]>,
        image: &[f64],
        out: &mut [f64],
        scratch: &mut Vec<f64>,
    ) {
        let (k, p, filters) = (self.depth(), self.window.pixels(), self.filters / self.groups);
        for group in 0..self.groups {
            let x = MatRef::from_row_major_slice(self.columns(image, group, scratch), k, p);
            let w = MatRef::from_row_major_slice(self.part(weight, group), filters, k);
            let out = &mut out[group * filters * p..][..filters * p];
            let out = MatMut::from_row_major_slice_mut(out, filters, p);
            matmul(out, Accum::Replace, w, x, 1.0, Par::Seq);
        }
        if let Some(bias) = bias {
            for (out, b) in out.chunks_exact_mut(p).zip(bias) {
                out.iter_mut().for_each(|y| *y += b);
            }
        }
    }

    /// Adds to the gradient of the weights.
    pub(crate) fn weight_gradient(
        &self,
        image: &[f64],
        dout: &[f64],
        dweight: &mut [f64],
        scratch: &mut Vec<f64>,
    ) {
        let (k, p, filters) = (self.depth(), self.window.pixels(), self.filters / self.groups);
        for group in 0..self.groups {
            let x = MatRef::from_row_major_slice(self.columns(image, group, scratch), k, p);
            let dy = MatRef::from_row_major_slice(self.part(dout, group), filters, p);
            let dw = &mut dweight[group * filters * k..][..filters * k];
            let dw = MatMut::from_row_major_slice_mut(dw, filters, k);
            matmul(dw, Accum::Add, dy, x.transpose(), 1.0, Par::Seq);
        }
    }

    /// Adds to the gradient of the bias.
    pub(crate) fn bias_gradient(&self, dout: &[f64], dbias: &mut [f64]) {
        let pixels = self.window.pixels();
        dbias.iter_mut().zip(dout.chunks_exact(pixels)).for_each(|(d, dy)| *d += dy.iter().sum::<f64>());
    }

    /// Writes the cotangent of the image.
    pub(crate) fn input_gradient(
        &self,
        weight: &[f64],
        dout: &[f64],
        dimage: &mut [f64],
        scratch: &mut Vec<f64>,
    ) {
        let (k, p, filters) = (self.depth(), self.window.pixels(), self.filters / self.groups);
        let size = dimage.len() / self.groups;
        for group in 0..self.groups {
            let w = MatRef::from_row_major_slice(self.part(weight, group), filters, k);
            let dy = MatRef::from_row_major_slice(self.part(dout, group), filters, p);
            let part = &mut dimage[group * size..][..size];
            if self.is_pointwise() {
                let dx = MatMut::from_row_major_slice_mut(part, k, p);
                matmul(dx, Accum::Replace, w.transpose(), dy, 1.0, Par::Seq);
                continue;
            }
            let columns = room(scratch, k * p);
            let dx = MatMut::from_row_major_slice_mut(columns, k, p);
            matmul(dx, Accum::Replace, w.transpose(), dy, 1.0, Par::Seq);
            part.fill(0.0);
            columns::scatter(&self.window, columns, part);
        }
    }
}
