//! A batch of images shared out among threads.
//!
//! Images do not influence each other. What is added up over them is added in groups that depend on the batch and the layer
//! alone, and the groups' sums in order, so the bytes do not depend on how many threads there are.

use rayon::prelude::*;

use crate::product::both;

/// Multiplications and additions that are worth another thread: a sixth of a millisecond.
const GRAIN: usize = 8_000_000;
/// Most groups, and the most numbers that their sums may hold together.
const GROUPS: usize = 16;
const GROUP_NUMBERS: usize = 8_000_000;

/// The outputs of some images, and places for the indices of their winners.
pub(super) struct Outputs<'a> {
    /// Index of the first image.
    pub(super) first: usize,
    pub(super) y: &'a mut [f64],
    /// Numbers in one output.
    pub(super) size: usize,
    /// As many as outputs, or none.
    pub(super) winners: &'a mut [u32],
}

/// Calls `each` with the index, the output and the winners of every image; `work` is the cost of one.
pub(super) fn forward(of: Outputs<'_>, work: usize, each: &(impl Fn(usize, &mut [f64], &mut [u32]) + Sync)) {
    let Outputs { first, y, size, winners } = of;
    let n = y.len() / size;
    if n * work > GRAIN && n > 1 {
        let half = n / 2;
        let (y_left, y_right) = y.split_at_mut(half * size);
        let (w_left, w_right) = winners.split_at_mut(if winners.is_empty() { 0 } else { half * size });
        let left = Outputs { first, y: y_left, size, winners: w_left };
        let right = Outputs { first: first + half, y: y_right, size, winners: w_right };
        return both(|| forward(left, work, each), || forward(right, work, each));
    }
    let per_image = if winners.is_empty() { 0 } else { size };
    for (k, y) in y.chunks_exact_mut(size).enumerate() {
        each(first + k, y, &mut winners[k * per_image..][..per_image]);
    }
}

/// What a pullback of images writes.
pub(super) struct Pulled<'a> {
    /// Added to.
    pub(super) dparams: Option<&'a mut [f64]>,
    /// Overwritten.
    pub(super) dx: Option<&'a mut [f64]>,
}

/// Calls `each` with the index of every one of `n` images and where its gradients go; `sums` is room for the groups' sums.
pub(super) fn pullback(
    n: usize,
    work: usize,
    into: Pulled<'_>,
    sums: &mut Vec<f64>,
    each: &(impl Fn(usize, Pulled<'_>) + Sync),
) {
    let Pulled { mut dparams, mut dx } = into;
    let numbers = dparams.as_ref().map_or(0, |d| d.len());
    let most = (GROUP_NUMBERS / numbers.max(1)).clamp(1, GROUPS);
    let groups = (n * work / GRAIN).clamp(1, most).min(n);
    let inputs = dx.as_ref().map_or(0, |dx| dx.len() / n);
    if groups == 1 {
        for k in 0..n {
            let dx = dx.as_deref_mut().map(|dx| &mut dx[k * inputs..][..inputs]);
            each(k, Pulled { dparams: dparams.as_deref_mut(), dx });
        }
        return;
    }
    sums.clear();
    sums.resize(groups * numbers, 0.0);
    let size = n.div_ceil(groups);
    let mut work: Vec<(usize, Pulled<'_>)> = Vec::with_capacity(groups);
    let (mut rest_sums, mut rest_dx) = (&mut sums[..], dx);
    for first in (0..n).step_by(size) {
        let (own, after) = rest_sums.split_at_mut(numbers);
        rest_sums = after;
        let own_dx = rest_dx.take().map(|dx| {
            let (own, after) = dx.split_at_mut(size.min(n - first) * inputs);
            rest_dx = Some(after);
            own
        });
        work.push((first, Pulled { dparams: dparams.is_some().then_some(own), dx: own_dx }));
    }
    let run = |(first, mut into): (usize, Pulled<'_>)| {
        for k in first..(first + size).min(n) {
            let dx = into.dx.as_deref_mut().map(|dx| &mut dx[(k - first) * inputs..][..inputs]);
            each(k, Pulled { dparams: into.dparams.as_deref_mut(), dx });
        }
    };
    if rayon::current_num_threads() > 1 {
        work.into_par_iter().for_each(run);
    } else {
        work.into_iter().for_each(run);
    }
    if let Some(dparams) = dparams {
        sums.chunks_exact(numbers).for_each(|sum| crate::numeric::axpy(1.0, sum, dparams));
    }
}
