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
        let best = room(&mut scratch.weight, 2 * c.filters);
        wide(|| self.pool(bias, outputs, out, winners, best));
    }

    /// The maxima of max(·, 0) over the windows of the pool. `best` is room for the maximum and the winner, as a
    /// number, of each filter at one place.
    #[inline(always)]
    fn pool(
        &self,
        bias: Option<&[f64]>,
        outputs: &[f64],
        out: &mut [f64],
        winners: &mut [u32],
        best: &mut [f64],
    ) {
        let (pool, filters, places) = (&self.pool, self.convolution.filters, self.pool.pixels());
        let (best, winner) = best.split_at_mut(filters);
        for place in 0..places {
            let (ys, xs) = (pool.covered(0, place / pool.out[1]), pool.covered(1, place % pool.out[1]));
            // Nothing at or below 0 passes the activation, so 0 without a winner stands for all of it.
            best.fill(0.0);
            winner.fill(f64::from(CUT));
            for y in ys.0..ys.1 {
                for x in xs.0..xs.1 {
                    let pixel = y * pool.size[1] + x;
                    let row = &outputs[pixel * filters..][..filters];
                    match bias {
                        Some(bias) => {
                            keep_larger(best, winner, pixel, row.iter().zip(bias).map(|(y, b)| y + b))
                        }
                        None => keep_larger(best, winner, pixel, row.iter().copied()),
                    }
                }
            }
            for f in 0..filters {
                out[f * places + place] = best[f];
                winners[f * places + place] = winner[f] as u32;
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

/// Replaces what is smaller than `row`, or met by a NaN, which nothing replaces afterwards: as PyTorch's pool.
#[inline(always)]
fn keep_larger(best: &mut [f64], winner: &mut [f64], pixel: usize, row: impl Iterator<Item = f64>) {
    let pixel = pixel as f64;
    for ((best, winner), v) in best.iter_mut().zip(winner).zip(row) {
        // Bitwise, not short-circuit: a branch would keep the loop from being a vector loop.
        let wins = (v > *best) | v.is_nan();
        *best = if wins { v } else { *best };
        *winner = if wins { pixel } else { *winner };
    }
}
