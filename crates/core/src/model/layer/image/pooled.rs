//! A convolution, max(·, 0) and a max-pool of one image in one go.
//!
//! The convolution's outputs, several times as many as the pooled ones, live only in the scratch. What the way back needs
//! of them is which one won each place of the pool and whether the activation let it through; the columns of the image
//! are made once more there, which costs less than to keep them.
//!
//! The outputs lie pixel by pixel with the filters innermost, so that the pool compares whole vectors of filters.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::{Convolution, Scratch, Window, columns, room};
use crate::numeric::wide;

/// Winner of a place where the activation is 0: no cotangent passes.
pub(crate) const CUT: u32 = u32::MAX;
/// Filters that are pooled at once: two vectors of AVX2, one of AVX-512.
const LANES: usize = 8;

/// A convolution, max(·, 0), and a pool of what comes out; the slope of max(·, 0) at 0 is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PooledConvolution {
    pub(crate) convolution: Convolution,
    pub(crate) pool: Window,
}

impl PooledConvolution {
    /// Numbers in one output image.
    pub(crate) fn outputs(&self) -> usize {
        self.convolution.filters * self.pool.pixels()
    }

    /// Writes the pooled image and, for each of its numbers, the pixel of the convolution that won or [`CUT`].
    pub(crate) fn forward(
        &self,
        weight: &[f64],
        bias: Option<&[f64]>,
        image: &[f64],
        out: &mut [f64],
        winners: &mut [u32],
        scratch: &mut Scratch,
    ) {
        let c = &self.convolution;
        let (k, p, groups) = (c.depth(), c.window.pixels(), c.groups);
        let filters = c.filters / groups;
        let outputs = room(&mut scratch.outputs, p * c.filters);
        for group in 0..groups {
            let x = MatRef::from_row_major_slice(c.columns(image, group, &mut scratch.columns), k, p);
            let w = MatRef::from_row_major_slice(c.part(weight, group), filters, k);
            let y =
                MatMut::from_row_major_slice_mut(outputs, p, c.filters).subcols_mut(group * filters, filters);
            matmul(y, Accum::Replace, x.transpose(), w.transpose(), 1.0, Par::Seq);
        }
        wide(|| self.pool(bias, outputs, out, winners));
    }

    /// The maxima of max(·, 0) over the windows of the pool.
    #[inline(always)]
    fn pool(&self, bias: Option<&[f64]>, outputs: &[f64], out: &mut [f64], winners: &mut [u32]) {
        let filters = self.convolution.filters;
        let whole = filters - filters % LANES;
        (0..whole).step_by(LANES).for_each(|f| self.pool_lanes::<LANES>(f, bias, outputs, out, winners));
        (whole..filters).for_each(|f| self.pool_lanes::<1>(f, bias, outputs, out, winners));
    }

    /// The same for the N filters from `first` on, in registers.
    #[inline(always)]
    fn pool_lanes<const N: usize>(
        &self,
        first: usize,
        bias: Option<&[f64]>,
        outputs: &[f64],
        out: &mut [f64],
        winners: &mut [u32],
    ) {
        let (pool, filters, places) = (&self.pool, self.convolution.filters, self.pool.pixels());
        let bias: [f64; N] = std::array::from_fn(|k| bias.map_or(0.0, |b| b[first + k]));
        for place in 0..places {
            let (ys, xs) = (pool.covered(0, place / pool.out[1]), pool.covered(1, place % pool.out[1]));
            // Nothing at or below 0 passes the activation, so 0 without a winner stands for all of it.
            let (mut best, mut winner) = ([0.0; N], [u64::from(CUT); N]);
            for y in ys.0..ys.1 {
                for pixel in y * pool.size[1] + xs.0..y * pool.size[1] + xs.1 {
                    let row = &outputs[pixel * filters + first..][..N];
                    for k in 0..N {
                        let v = row[k] + bias[k];
                        // A NaN wins and then loses only to another, as in PyTorch. By masks: the compiler would make
                        // branches of an `if`, and every other one would be mispredicted.
                        let wins = u64::from((v > best[k]) | v.is_nan()).wrapping_neg();
                        best[k] = f64::from_bits((v.to_bits() & wins) | (best[k].to_bits() & !wins));
                        winner[k] = (pixel as u64 & wins) | (winner[k] & !wins);
                    }
                }
            }
            for k in 0..N {
                out[(first + k) * places + place] = best[k];
                winners[(first + k) * places + place] = winner[k] as u32;
            }
        }
    }

    /// Adds to the gradients of weights and bias and writes the cotangent of the image, each where it is wanted.
    pub(crate) fn pullback(
        &self,
        weight: &[f64],
        image: &[f64],
        winners: &[u32],
        dout: &[f64],
        grads: PooledGrads<'_>,
        scratch: &mut Scratch,
    ) {
        let c = &self.convolution;
        let (k, p, groups, places) = (c.depth(), c.window.pixels(), c.groups, self.pool.pixels());
        let filters = c.filters / groups;
        let dy = room(&mut scratch.outputs, p * c.filters);
        dy.fill(0.0);
        for (f, (winners, dout)) in winners.chunks_exact(places).zip(dout.chunks_exact(places)).enumerate() {
            for (pixel, d) in winners.iter().zip(dout).filter(|(pixel, _)| **pixel != CUT) {
                dy[*pixel as usize * c.filters + f] += d;
            }
        }
        if let Some(dbias) = grads.bias {
            for row in dy.chunks_exact(c.filters) {
                dbias.iter_mut().zip(row).for_each(|(d, dy)| *d += dy);
            }
        }
        let dy = MatRef::from_row_major_slice(dy, p, c.filters);
        if let Some(dweight) = grads.weight {
            for group in 0..groups {
                let x = MatRef::from_row_major_slice(c.columns(image, group, &mut scratch.columns), k, p);
                let dw = &mut dweight[group * filters * k..][..filters * k];
                let dw = MatMut::from_row_major_slice_mut(dw, filters, k);
                let dy = dy.subcols(group * filters, filters);
                matmul(dw, Accum::Add, dy.transpose(), x.transpose(), 1.0, Par::Seq);
            }
        }
        if let Some(dimage) = grads.image {
            dimage.fill(0.0);
            let size = dimage.len() / groups;
            for group in 0..groups {
                let w = MatRef::from_row_major_slice(c.part(weight, group), filters, k);
                let columns = room(&mut scratch.columns, k * p);
                let dx = MatMut::from_row_major_slice_mut(columns, k, p);
                let dy = dy.subcols(group * filters, filters);
                matmul(dx, Accum::Replace, w.transpose(), dy.transpose(), 1.0, Par::Seq);
                columns::scatter(&c.window, columns, &mut dimage[group * size..][..size]);
            }
        }
    }
}

/// Where the pullback goes.
#[derive(Debug, Default)]
pub(crate) struct PooledGrads<'a> {
    /// Added to.
    pub(crate) weight: Option<&'a mut [f64]>,
    /// Added to.
    pub(crate) bias: Option<&'a mut [f64]>,
    /// Overwritten.
    pub(crate) image: Option<&'a mut [f64]>,
}
