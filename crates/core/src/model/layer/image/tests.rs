//! Every kernel against the seven loops that define it, and against central differences.

use super::*;
use crate::rng::stream;
use rand::Rng;

/// (channels, height, width), filters, groups, kernel, stride, padding
type Case = ([usize; 3], usize, usize, [usize; 2], [usize; 2], Padding);

fn zeros(h: usize, w: usize) -> Padding {
    Padding::Zeros(Pair([h, w]))
}

fn cases() -> Vec<Case> {
    vec![
        ([1, 6, 6], 4, 1, [5, 5], [1, 1], Padding::Same),
        ([3, 7, 5], 2, 1, [3, 3], [1, 1], Padding::Same),
        ([2, 5, 6], 3, 1, [2, 4], [1, 1], Padding::Same),
        ([4, 6, 5], 6, 2, [3, 2], [2, 1], zeros(1, 0)),
        ([4, 5, 5], 4, 4, [3, 3], [1, 1], zeros(1, 1)),
        ([3, 5, 4], 5, 1, [1, 1], [1, 1], zeros(0, 0)),
        ([6, 4, 4], 4, 2, [1, 1], [1, 1], zeros(0, 0)),
        ([2, 9, 8], 3, 1, [3, 3], [3, 2], zeros(2, 1)),
        ([1, 3, 3], 2, 1, [3, 3], [1, 1], zeros(0, 0)),
        ([2, 4, 4], 2, 1, [2, 2], [5, 5], zeros(3, 3)),
        ([1, 4, 7], 1, 1, [4, 1], [1, 3], zeros(0, 2)),
    ]
}

fn convolution((input, filters, groups, kernel, stride, padding): &Case) -> Convolution {
    let window =
        Window::new(input, "kernel", Pair(*kernel), Pair(*stride), *padding).expect("a case that fits");
    Convolution { window, filters: *filters, groups: *groups }
}

fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = stream(seed, "kernels", 0);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn close(ours: &[f64], truth: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), truth.len(), "{what}: lengths");
    for (i, (a, b)) in ours.iter().zip(truth).enumerate() {
        assert!((a - b).abs() <= tolerance, "{what}[{i}]: {a} against {b}");
    }
}

/// The definition: y[o, y, x] = b[o] + Σ_{c, ky, kx} w[o, c, ky, kx]·image[first + c, y·s − p + ky, x·s − p + kx].
/// With `each` the caller sees every term: (output, weight, input).
fn each_term(c: &Convolution, mut each: impl FnMut(usize, usize, usize)) {
    let w = &c.window;
    let (channels, filters) = (w.channels / c.groups, c.filters / c.groups);
    for o in 0..c.filters {
        for ci in 0..channels {
            for y in 0..w.out[0] {
                for x in 0..w.out[1] {
                    for ky in 0..w.kernel[0] {
                        for kx in 0..w.kernel[1] {
                            let iy = (y * w.stride[0] + ky) as isize - w.before[0] as isize;
                            let ix = (x * w.stride[1] + kx) as isize - w.before[1] as isize;
                            if iy < 0 || ix < 0 || iy >= w.size[0] as isize || ix >= w.size[1] as isize {
                                continue;
                            }
                            let channel = o / filters * channels + ci;
                            let input = (channel * w.size[0] + iy as usize) * w.size[1] + ix as usize;
                            let weight = ((o * channels + ci) * w.kernel[0] + ky) * w.kernel[1] + kx;
                            each((o * w.out[0] + y) * w.out[1] + x, weight, input);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_convolution_and_its_gradients_are_the_seven_loops() {
    for case in cases() {
        let c = convolution(&case);
        let image = numbers(c.window.inputs(), 1);
        let (weight, bias) = (numbers(c.filters * c.depth(), 2), numbers(c.filters, 3));
        let dout = numbers(c.outputs(), 4);
        let pixels = c.window.pixels();

        let mut truth: Vec<f64> = (0..c.outputs()).map(|i| bias[i / pixels]).collect();
        let (mut dweight, mut dimage) = (numbers(weight.len(), 5), vec![0.0; image.len()]);
        let mut dbias = numbers(c.filters, 6);
        let (mut ours_dweight, mut ours_dbias) = (dweight.clone(), dbias.clone());
        each_term(&c, |out, w, x| {
            truth[out] += weight[w] * image[x];
            dweight[w] += dout[out] * image[x];
            dimage[x] += dout[out] * weight[w];
        });
        dout.iter().enumerate().for_each(|(i, d)| dbias[i / pixels] += d);

        // Stale numbers in the scratch and the outputs must not be seen.
        let mut scratch = vec![f64::NAN; 7];
        let (mut out, mut ours_dimage) = (vec![f64::NAN; c.outputs()], vec![f64::NAN; image.len()]);
        c.forward(&weight, Some(&bias), &image, &mut out, &mut scratch);
        scratch.fill(f64::NAN);
        c.weight_gradient(&image, &dout, &mut ours_dweight, &mut scratch);
        c.bias_gradient(&dout, &mut ours_dbias);
        scratch.fill(f64::NAN);
        c.input_gradient(&weight, &dout, &mut ours_dimage, &mut scratch);
        // Sums of at most 75 products below 1: rounding is far below 1e-13.
        close(&out, &truth, 1e-13, &format!("{case:?} outputs"));
        close(&ours_dweight, &dweight, 1e-13, &format!("{case:?} weights"));
        close(&ours_dbias, &dbias, 1e-13, &format!("{case:?} bias"));
        close(&ours_dimage, &dimage, 1e-13, &format!("{case:?} image"));
    }
}

/// What a pool sees at each place, by the definition.
fn seen(w: &Window, mut each: impl FnMut(usize, Vec<usize>)) {
    for c in 0..w.channels {
        for y in 0..w.out[0] {
            for x in 0..w.out[1] {
                let mut inputs = Vec::new();
                for ky in 0..w.kernel[0] {
                    for kx in 0..w.kernel[1] {
                        let iy = (y * w.stride[0] + ky) as isize - w.before[0] as isize;
                        let ix = (x * w.stride[1] + kx) as isize - w.before[1] as isize;
                        if iy >= 0 && ix >= 0 && iy < w.size[0] as isize && ix < w.size[1] as isize {
                            inputs.push((c * w.size[0] + iy as usize) * w.size[1] + ix as usize);
                        }
                    }
                }
                each((c * w.out[0] + y) * w.out[1] + x, inputs);
            }
        }
    }
}

fn pools() -> Vec<Window> {
    let pool = |input: [usize; 3], kernel, stride, padding| {
        Window::new(&input, "size", Pair(kernel), Pair(stride), padding).expect("a case that fits")
    };
    vec![
        pool([2, 6, 6], [2, 2], [2, 2], zeros(0, 0)),
        pool([1, 7, 5], [2, 2], [2, 2], zeros(0, 0)),
        pool([3, 7, 6], [3, 3], [2, 2], zeros(1, 1)),
        pool([2, 5, 5], [3, 2], [1, 1], zeros(1, 1)),
        pool([1, 4, 9], [2, 3], [3, 4], zeros(0, 1)),
        pool([2, 4, 4], [4, 4], [4, 4], zeros(0, 0)),
    ]
}

#[test]
fn a_max_pool_takes_the_first_of_the_largest_and_sends_the_cotangent_there() {
    for w in pools() {
        // Few distinct values, so that ties are common.
        let image: Vec<f64> = numbers(w.inputs(), 1).iter().map(|x| (2.0 * x).round()).collect();
        let n = w.channels * w.pixels();
        let dout = numbers(n, 2);
        let (mut truth, mut dtruth) = (vec![0.0; n], vec![0.0; image.len()]);
        seen(&w, |out, inputs| {
            let first =
                inputs.iter().fold(inputs[0], |best, i| if image[*i] > image[best] { *i } else { best });
            truth[out] = image[first];
            dtruth[first] += dout[out];
        });
        let (mut out, mut winners, mut dimage) = (vec![f64::NAN; n], vec![7; n], vec![f64::NAN; image.len()]);
        max_pool(&w, &image, &mut out, &mut winners);
        max_pool_back(&w, &winners, &dout, &mut dimage);
        assert_eq!(out, truth, "{w:?}");
        assert_eq!(dimage, dtruth, "{w:?}");
    }
}

#[test]
fn an_average_divides_by_the_whole_kernel_and_is_transposed_on_the_way_back() {
    for w in pools() {
        let (image, n) = (numbers(w.inputs(), 1), w.channels * w.pixels());
        let dout = numbers(n, 2);
        let (mut truth, mut dtruth) = (vec![0.0; n], vec![0.0; image.len()]);
        seen(&w, |out, inputs| {
            for i in inputs {
                truth[out] += image[i] / w.taps() as f64;
                dtruth[i] += dout[out] / w.taps() as f64;
            }
        });
        let (mut out, mut dimage) = (vec![f64::NAN; n], vec![f64::NAN; image.len()]);
        avg_pool(&w, &image, &mut out);
        avg_pool_back(&w, &dout, &mut dimage);
        close(&out, &truth, 1e-15, &format!("{w:?} outputs"));
        close(&dimage, &dtruth, 1e-15, &format!("{w:?} image"));
    }
}

#[test]
fn a_nan_wins_a_pool_for_good() {
    let w = Window::new(&[1, 2, 2], "size", Pair([2, 2]), Pair([2, 2]), zeros(0, 0)).expect("fits");
    let (mut out, mut winners) = ([0.0], [0]);
    max_pool(&w, &[1.0, f64::NAN, 5.0, 2.0], &mut out, &mut winners);
    assert!(out[0].is_nan());
    assert_eq!(winners, [1]);
}

/// Convolution, max(·, 0) and pool one after another.
fn one_after_another(
    f: &PooledConvolution,
    (weight, bias, image, dout): (&[f64], &[f64], &[f64], &[f64]),
) -> [Vec<f64>; 4] {
    let (c, mut scratch) = (&f.convolution, Vec::new());
    let (mut z, n) = (vec![0.0; c.outputs()], f.outputs());
    c.forward(weight, Some(bias), image, &mut z, &mut scratch);
    let a: Vec<f64> = z.iter().map(|z| z.max(0.0)).collect();
    let (mut out, mut winners, mut dz) = (vec![0.0; n], vec![0; n], vec![0.0; z.len()]);
    max_pool(&f.pool, &a, &mut out, &mut winners);
    max_pool_back(&f.pool, &winners, dout, &mut dz);
    dz.iter_mut().zip(&z).for_each(|(d, z)| *d = if *z > 0.0 { *d } else { 0.0 });
    let (mut dw, mut db, mut dx) = (vec![0.5; weight.len()], vec![0.25; bias.len()], vec![0.0; image.len()]);
    c.weight_gradient(image, &dz, &mut dw, &mut scratch);
    c.bias_gradient(&dz, &mut db);
    c.input_gradient(weight, &dz, &mut dx, &mut scratch);
    [out, dw, db, dx]
}

#[test]
fn convolution_activation_and_pool_in_one_go_are_the_three_one_after_another() {
    let pools = [([2, 2], [2, 2], zeros(0, 0)), ([3, 2], [2, 1], zeros(1, 1)), ([1, 1], [1, 1], zeros(0, 0))];
    for case in cases() {
        for (size, stride, padding) in pools {
            let c = convolution(&case);
            let [h, w] = c.window.out;
            let Ok(pool) = Window::new(&[c.filters, h, w], "size", Pair(size), Pair(stride), padding) else {
                continue;
            };
            let f = PooledConvolution { convolution: c, pool };
            let c = &f.convolution;
            let (image, n) = (numbers(c.window.inputs(), 1), f.outputs());
            let (weight, bias) = (numbers(c.filters * c.depth(), 2), numbers(c.filters, 3));
            let dout = numbers(n, 4);
            let [out, dw, db, dx] = one_after_another(&f, (&weight, &bias, &image, &dout));

            let mut scratch = Scratch::default();
            let (mut ours, mut winners) = (vec![f64::NAN; n], vec![7; n]);
            let (mut ours_dw, mut ours_db) = (vec![0.5; weight.len()], vec![0.25; bias.len()]);
            let mut ours_dx = vec![f64::NAN; image.len()];
            f.forward(&weight, Some(&bias), &image, &mut ours, &mut winners, &mut scratch);
            scratch.columns.fill(f64::NAN);
            scratch.outputs.fill(f64::NAN);
            let grads = PooledGrads {
                weight: Some(&mut ours_dw),
                bias: Some(&mut ours_db),
                image: Some(&mut ours_dx),
            };
            f.pullback(&weight, &image, &winners, &dout, grads, &mut scratch);
            // The products may sum in another order.
            let what = format!("{case:?} with a pool of {size:?} by {stride:?}");
            close(&ours, &out, 1e-13, &format!("{what}: outputs"));
            close(&ours_dw, &dw, 1e-13, &format!("{what}: weights"));
            close(&ours_db, &db, 1e-13, &format!("{what}: bias"));
            close(&ours_dx, &dx, 1e-13, &format!("{what}: image"));
        }
    }
}

#[test]
fn the_shapes_are_those_of_pytorch() {
    let out = |input: [usize; 3], kernel, stride, padding| {
        let w = Window::new(&input, "kernel", Pair(kernel), Pair(stride), padding).expect("fits");
        (w.out, w.before)
    };
    assert_eq!(out([1, 28, 28], [5, 5], [1, 1], Padding::Same), ([28, 28], [2, 2]));
    // torch.nn.Conv2d(1, 1, 4, padding="same") pads one before and two after.
    assert_eq!(out([1, 9, 8], [4, 2], [1, 1], Padding::Same), ([9, 8], [1, 0]));
    assert_eq!(out([3, 224, 224], [11, 11], [4, 4], zeros(2, 2)).0, [55, 55]);
    assert_eq!(out([1, 7, 7], [2, 2], [2, 2], zeros(0, 0)).0, [3, 3]);
}

#[test]
fn windows_that_do_not_fit_say_both_shapes() {
    let complaint = |input: &[usize], kernel, stride, padding| {
        Window::new(input, "kernel", Pair(kernel), Pair(stride), padding).expect_err("does not fit").message
    };
    assert!(
        complaint(&[1, 3, 3], [5, 5], [1, 1], zeros(0, 0))
            .contains("5x5 is larger than its padded input of 1x3x3")
    );
    assert!(complaint(&[9], [1, 1], [1, 1], zeros(0, 0)).contains("shape 9"));
    assert!(complaint(&[1, 3, 3], [0, 2], [1, 1], zeros(0, 0)).contains("0x2"));
    assert!(complaint(&[1, 3, 3], [2, 2], [2, 1], Padding::Same).contains("stride of 1, not 2x1"));
}
