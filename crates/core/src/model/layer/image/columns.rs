//! An image as a matrix whose columns are what a window sees, and back.
//!
//! Row (c, k_y, k_x) of the matrix is channel c shifted by the tap: K = channels·kernel rows of P = pixels numbers. A
//! convolution is then a product with it. Rows of P rather than columns of K: at stride 1 a row is made of runs of the
//! image, which copy at the speed of the cache.

use std::ops::Range;

use super::Window;
use crate::numeric::wide;

/// Where the row of one tap comes from.
struct Tap<'a> {
    window: &'a Window,
    /// Places at which the tap falls on the image, along y and along x.
    y: (usize, usize),
    x: (usize, usize),
    ky: usize,
    kx: usize,
}

impl Tap<'_> {
    /// Whether places advance like pixels, so that a whole row of the matrix is the channel shifted as one run.
    fn is_shift(&self) -> bool {
        self.window.stride == [1, 1] && self.window.out[1] == self.window.size[1]
    }

    /// Where in a channel the tap falls at place (y, x).
    fn input(&self, y: usize, x: usize) -> usize {
        let (stride, before) = (self.window.stride, self.window.before);
        (y * stride[0] + self.ky - before[0]) * self.window.size[1] + x * stride[1] + self.kx - before[1]
    }

    /// Where in the row of the matrix and where in the channel the run from the first to the last place lies.
    fn run(&self) -> (Range<usize>, Range<usize>) {
        let width = self.window.out[1];
        let (from, to) = (self.y.0 * width + self.x.0, (self.y.1 - 1) * width + self.x.1);
        let start = self.input(self.y.0, self.x.0);
        (from..to, start..start + to - from)
    }

    /// Sets the places whose tap falls on padding to 0, within the rows y that the tap reaches.
    fn clear_sides(&self, row: &mut [f64]) {
        let width = self.window.out[1];
        if self.x == (0, width) {
            return;
        }
        for line in row[self.y.0 * width..self.y.1 * width].chunks_exact_mut(width) {
            line[..self.x.0].fill(0.0);
            line[self.x.1..].fill(0.0);
        }
    }
}

/// Calls `each` for every row of the matrix with the channel that it is taken from.
fn for_each_row(window: &Window, channels: usize, mut each: impl FnMut(usize, usize, &Tap<'_>)) {
    let mut row = 0;
    for c in 0..channels {
        for ky in 0..window.kernel[0] {
            for kx in 0..window.kernel[1] {
                let (y, x) = (window.reach(0, ky), window.reach(1, kx));
                // No place sees the image through this tap: an empty range on both axes.
                let (y, x) = if y.0 == y.1 || x.0 == x.1 { ((0, 0), (0, 0)) } else { (y, x) };
                each(row, c, &Tap { window, y, x, ky, kx });
                row += 1;
            }
        }
    }
}

/// Writes the matrix of these channels.
///
/// # Shapes
/// image: channels × height × width; columns: channels·kernel × pixels
pub(super) fn gather(window: &Window, image: &[f64], columns: &mut [f64]) {
    let (pixels, plane, width) = (window.pixels(), window.plane(), window.out[1]);
    for_each_row(window, image.len() / plane, |row, c, tap| {
        let (row, channel) = (&mut columns[row * pixels..][..pixels], &image[c * plane..][..plane]);
        row[..tap.y.0 * width].fill(0.0);
        row[tap.y.1 * width..].fill(0.0);
        if tap.y.0 == tap.y.1 {
            return;
        }
        if tap.is_shift() {
            let (to, from) = tap.run();
            row[to].copy_from_slice(&channel[from]);
        } else {
            let step = window.stride[1];
            for y in tap.y.0..tap.y.1 {
                let line = &mut row[y * width..][tap.x.0..tap.x.1];
                let from = &channel[tap.input(y, tap.x.0)..];
                if step == 1 {
                    line.copy_from_slice(&from[..line.len()]);
                } else {
                    line.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, x)| *to = *x);
                }
            }
        }
        tap.clear_sides(row);
    });
}

/// Adds the matrix back to the image: the transpose of [`gather`]. Spoils the matrix.
pub(super) fn scatter(window: &Window, columns: &mut [f64], image: &mut [f64]) {
    let (pixels, plane, width) = (window.pixels(), window.plane(), window.out[1]);
    for_each_row(window, image.len() / plane, |row, c, tap| {
        let (row, channel) = (&mut columns[row * pixels..][..pixels], &mut image[c * plane..][..plane]);
        if tap.y.0 == tap.y.1 {
            return;
        }
        if tap.is_shift() {
            tap.clear_sides(row);
            let (from, to) = tap.run();
            wide(|| channel[to].iter_mut().zip(&row[from]).for_each(|(to, x)| *to += x));
        } else {
            let step = window.stride[1];
            for y in tap.y.0..tap.y.1 {
                let line = &row[y * width..][tap.x.0..tap.x.1];
                let to = &mut channel[tap.input(y, tap.x.0)..];
                to.iter_mut().step_by(step).zip(line).for_each(|(to, x)| *to += x);
            }
        }
    });
}
