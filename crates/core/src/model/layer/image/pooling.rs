//! Pooling of one image: the largest, or the average, of what a window sees in each channel.
//!
//! As in PyTorch: padding never wins a maximum, the first of equal maxima wins (row by row), a NaN wins for good, and an
//! average divides by the whole kernel, padding included.

use super::Window;

/// Writes the maxima and, for each, the index in its channel of the input that attains it.
///
/// # Shapes
/// image: channels × height × width; out, winners: channels × pixels
pub(crate) fn max_pool(window: &Window, image: &[f64], out: &mut [f64], winners: &mut [u32]) {
    let pixels = window.pixels();
    let planes = image.chunks_exact(window.plane());
    for ((image, out), winners) in
        planes.zip(out.chunks_exact_mut(pixels)).zip(winners.chunks_exact_mut(pixels))
    {
        window.for_each_place(|place, ys, xs| {
            let (mut best, mut winner) = (f64::NEG_INFINITY, ys.0 * window.size[1] + xs.0);
            for y in ys.0..ys.1 {
                let start = y * window.size[1];
                for (x, v) in image[start + xs.0..start + xs.1].iter().enumerate() {
                    if *v > best || v.is_nan() {
                        (best, winner) = (*v, start + xs.0 + x);
                    }
                }
            }
            out[place] = best;
            winners[place] = winner as u32;
        });
    }
}

/// Writes the cotangent of the image: each output's goes to the input that attained it.
pub(crate) fn max_pool_back(window: &Window, winners: &[u32], dout: &[f64], dimage: &mut [f64]) {
    let pixels = window.pixels();
    let outputs = dout.chunks_exact(pixels).zip(winners.chunks_exact(pixels));
    for (dimage, (dout, winners)) in dimage.chunks_exact_mut(window.plane()).zip(outputs) {
        dimage.fill(0.0);
        dout.iter().zip(winners).for_each(|(dy, at)| dimage[*at as usize] += dy);
    }
}

/// Writes the averages.
pub(crate) fn avg_pool(window: &Window, image: &[f64], out: &mut [f64]) {
    let (pixels, share) = (window.pixels(), 1.0 / window.taps() as f64);
    for (image, out) in image.chunks_exact(window.plane()).zip(out.chunks_exact_mut(pixels)) {
        window.for_each_place(|place, ys, xs| {
            let lines = (ys.0..ys.1).map(|y| &image[y * window.size[1]..][xs.0..xs.1]);
            out[place] = share * lines.flatten().sum::<f64>();
        });
    }
}

/// Writes the cotangent of the image: each output's in equal shares to what its window saw.
pub(crate) fn avg_pool_back(window: &Window, dout: &[f64], dimage: &mut [f64]) {
    let (pixels, share) = (window.pixels(), 1.0 / window.taps() as f64);
    for (dimage, dout) in dimage.chunks_exact_mut(window.plane()).zip(dout.chunks_exact(pixels)) {
        dimage.fill(0.0);
        window.for_each_place(|place, ys, xs| {
            for y in ys.0..ys.1 {
                let line = &mut dimage[y * window.size[1]..][xs.0..xs.1];
                line.iter_mut().for_each(|d| *d += share * dout[place]);
            }
        });
    }
}
