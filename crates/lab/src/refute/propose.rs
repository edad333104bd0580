//! What is tried: random runs, awkward ones, and changes of those that came nearest.
//!
//! Data are drawn from laws that theorems find hard: nearly collinear or repeated points, margins near 0, exclusive-or,
//! points of very different lengths, opposite points of one class. So is θ₀: dead or repeated neurons, one neuron along a
//! point, scales from 0.03 to 5. Widths are 1 to 8, layers 1 to 3, and steps go up to where they throw θ about.

use latephase_core::rng::stream;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::candidate::{Activation, Candidate, Loss, Motion, Norm, Pace};

/// What is fixed of a proposal: the parts that a claim's assumptions speak of.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Hidden layers.
    pub hidden: usize,
    /// σ.
    pub activation: Activation,
    /// The loss.
    pub loss: Loss,
    /// What moves θ, at some length.
    pub motion: Motion,
}

impl Class {
    /// Every class there is.
    pub fn all() -> Vec<Class> {
        let norms = [Norm::L2, Norm::Linf, Norm::L1];
        let mut motions: Vec<Motion> = norms.iter().map(|&norm| Motion::Flow { norm, rtol: 1e-7 }).collect();
        for norm in norms {
            for unit in [false, true] {
                let paces = [
                    Pace::Constant { eta: 0.1 },
                    Pace::LossScaled { eta: 0.01 },
                    Pace::UnitDecrease { eta: 0.02 },
                    Pace::Normalized { c: 0.1 },
                ];
                motions.extend(paces.map(|pace| Motion::Steps { norm, unit, pace }));
            }
        }
        let nets = [
            (0, Activation::Identity),
            (1, Activation::Identity),
            (1, Activation::Relu),
            (1, Activation::LeakyRelu(0.2)),
            (1, Activation::ReluSquared),
            (2, Activation::Identity),
            (2, Activation::Relu),
            (2, Activation::ReluSquared),
        ];
        let mut all = Vec::new();
        for motion in motions {
            for loss in [Loss::Exponential, Loss::Logistic] {
                all.extend(nets.map(|(hidden, activation)| Class { hidden, activation, loss, motion }));
            }
        }
        all
    }

    /// A small member of the class, by which a claim is asked whether it applies.
    pub fn example(&self) -> Candidate {
        let widths = vec![2; self.hidden];
        let mut candidate = Candidate {
            inputs: vec![vec![1.0, 0.5], vec![-0.5, -1.0]],
            labels: vec![1, -1],
            widths,
            activation: self.activation,
            loss: self.loss,
            motion: self.motion,
            theta: Vec::new(),
            steps: 1,
            log10_loss: -1.0,
        };
        let dim = candidate.offsets().last().copied().unwrap_or(0);
        candidate.theta = (0..dim).map(|j| 0.5 + 0.25 * (j % 3) as f64).collect();
        candidate
    }
}

/// A stream of proposals.
pub struct Proposer {
    rng: ChaCha8Rng,
    classes: Vec<Class>,
    /// Whether every run is to end late: for claims about the neighbourhood of a limit.
    late: bool,
}

/// Whether some thousand steps take ln 𝓛 as far down as one likes.
fn gets_late(motion: &Motion) -> bool {
    match motion {
        Motion::Flow { norm, .. } => *norm == Norm::L2,
        Motion::Steps { pace, .. } => matches!(pace, Pace::UnitDecrease { .. }),
    }
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// 10^x for x uniform in a range.
fn power_of_ten(rng: &mut ChaCha8Rng, from: f64, to: f64) -> f64 {
    10f64.powf(rng.random_range(from..to))
}

/// A number to two digits: what is found is easier to read, and nothing is lost.
fn plain(x: f64) -> f64 {
    rounded(x, 2)
}

/// x to so many significant digits.
pub fn rounded(x: f64, digits: usize) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    format!("{x:.*e}", digits.saturating_sub(1)).parse().unwrap_or(x)
}

impl Proposer {
    /// Proposals from these classes; the same seed gives the same ones. Where all are to end `late`, classes that do not
    /// get there are left out.
    ///
    /// # Panics
    /// Without a class.
    pub fn new(seed: u64, mut classes: Vec<Class>, late: bool) -> Proposer {
        assert!(!classes.is_empty(), "proposals need a class");
        if late && classes.iter().any(|class| gets_late(&class.motion)) {
            classes.retain(|class| gets_late(&class.motion));
        }
        Proposer { rng: stream(seed, "refute", 0), classes, late }
    }

    /// A fresh run.
    pub fn fresh(&mut self) -> Candidate {
        let k = self.rng.random_range(0..self.classes.len());
        let class = self.classes[k].clone();
        let (inputs, labels) = self.data();
        let rng = &mut self.rng;
        let widths: Vec<usize> = (0..class.hidden)
            .map(|_| if rng.random_bool(0.6) { rng.random_range(1..=2) } else { rng.random_range(3..=8) })
            .collect();
        let activation = match class.activation {
            Activation::LeakyRelu(_) => Activation::LeakyRelu(plain(rng.random_range(-0.5..0.9))),
            other => other,
        };
        let mut motion = class.motion;
        let length = motion.length_mut();
        *length = plain(match class.motion {
            Motion::Flow { .. } => power_of_ten(rng, -8.0, -6.0),
            Motion::Steps { pace: Pace::Constant { .. }, .. } => power_of_ten(rng, -2.0, 2.5),
            Motion::Steps { pace: Pace::LossScaled { .. }, .. } => power_of_ten(rng, -3.0, 0.5),
            Motion::Steps { pace: Pace::UnitDecrease { .. }, .. } => power_of_ten(rng, -2.0, 0.3),
            Motion::Steps { pace: Pace::Normalized { .. }, .. } => power_of_ten(rng, -2.0, 0.5),
        });
        // Some runs are long and late; most are short.
        let late = gets_late(&motion);
        let (steps, log10_loss) = match rng.random_range(0..10) {
            _ if self.late && late => {
                *motion.length_mut() = match motion {
                    Motion::Steps { .. } => plain(rng.random_range(0.4..1.0)),
                    Motion::Flow { .. } => 1e-6,
                };
                (2000, -power_of_ten(rng, 1.5, 2.5).round())
            }
            0..3 if late => (2000, -power_of_ten(rng, 1.0, 3.0).round()),
            0..5 => (60, -4.0),
            _ => (300, -power_of_ten(rng, 0.3, 1.5).round()),
        };
        let mut candidate = Candidate {
            inputs,
            labels,
            widths,
            activation,
            loss: class.loss,
            motion,
            theta: Vec::new(),
            steps,
            log10_loss,
        };
        self.start(&mut candidate);
        candidate
    }

    fn data(&mut self) -> (Vec<Vec<f64>>, Vec<i64>) {
        let rng = &mut self.rng;
        let dim = rng.random_range(1..=3);
        let n = rng.random_range(1..=6);
        let point = |rng: &mut ChaCha8Rng| -> Vec<f64> { (0..dim).map(|_| plain(normal(rng))).collect() };
        let mut inputs: Vec<Vec<f64>> = (0..n).map(|_| point(rng)).collect();
        let teacher = point(rng);
        let sign =
            |x: &[f64]| if x.iter().zip(&teacher).map(|(a, b)| a * b).sum::<f64>() < 0.0 { -1 } else { 1 };
        let mut labels: Vec<i64> = inputs.iter().map(|x| sign(x)).collect();
        // Few neurons reach a KKT point of data of one class, and may be too few.
        let law =
            if self.late && rng.random_bool(0.5) { rng.random_range(6..=8) } else { rng.random_range(0..11) };
        match law {
            // Labels at random.
            0 => labels.iter_mut().for_each(|y| *y = if rng.random_bool(0.5) { 1 } else { -1 }),
            // Nearly collinear.
            1 => {
                let noise = plain(power_of_ten(rng, -4.0, -0.5));
                for x in &mut inputs {
                    let c = plain(normal(rng));
                    *x = teacher.iter().map(|t| plain(c * t + noise * normal(rng))).collect();
                }
                labels = inputs.iter().map(|x| sign(x)).collect();
            }
            // Repeated, with labels as they are.
            2 => {
                let first = inputs[0].clone();
                for x in &mut inputs {
                    if rng.random_bool(0.6) {
                        *x = first.iter().map(|a| plain(a * (1.0 + 0.01 * normal(rng)))).collect();
                    }
                }
                labels = inputs.iter().map(|x| sign(x)).collect();
            }
            // Exclusive-or in the first two coordinates.
            3 if dim >= 2 => {
                for (x, y) in inputs.iter_mut().zip(&mut labels) {
                    x.iter_mut().for_each(|a| *a = if *a < 0.0 { -1.0 } else { 1.0 });
                    *y = if x[0] * x[1] > 0.0 { 1 } else { -1 };
                }
            }
            // A tiny margin: points just beside the boundary.
            4 => {
                let size: f64 = teacher.iter().map(|t| t * t).sum();
                let off = power_of_ten(rng, -3.0, -1.0);
                for (x, y) in inputs.iter_mut().zip(&labels) {
                    let inner: f64 = x.iter().zip(&teacher).map(|(a, b)| a * b).sum();
                    let shift = (*y as f64 * off - inner / size.max(1e-9)) * 0.999;
                    x.iter_mut().zip(&teacher).for_each(|(a, t)| *a = rounded(*a + shift * t, 4));
                }
            }
            // Very different lengths.
            5 => {
                for x in &mut inputs {
                    let c = power_of_ten(rng, -1.0, 1.0);
                    x.iter_mut().for_each(|a| *a = plain(*a * c));
                }
            }
            // One class, on one side.
            7 => {
                inputs.iter_mut().for_each(|x| x[0] = plain(x[0].abs() + 0.1));
                labels.fill(1);
            }
            // Opposite points of one class, tilted a little.
            6 | 8 if dim >= 2 => {
                let tilt = plain(rng.random_range(0.05..1.0));
                for (i, x) in inputs.iter_mut().enumerate() {
                    x.fill(0.0);
                    x[0] = if i % 2 == 0 { 1.0 } else { -1.0 };
                    x[1] = tilt;
                }
                labels.fill(1);
            }
            // A lattice.
            9 => {
                for x in &mut inputs {
                    x.iter_mut().for_each(|a| *a = f64::from(rng.random_range(-3..=3)));
                }
                labels = inputs.iter().map(|x| sign(x)).collect();
            }
            _ => {}
        }
        (inputs, labels)
    }

    /// Draws θ₀.
    fn start(&mut self, candidate: &mut Candidate) {
        let rng = &mut self.rng;
        let scale = power_of_ten(rng, -1.5, 0.7);
        let (layers, at) = (candidate.layers(), candidate.offsets());
        let mut theta = Vec::new();
        for (outs, ins) in &layers {
            let size = scale / (*ins as f64).sqrt();
            theta.extend((0..outs * ins).map(|_| plain(size * normal(rng))));
        }
        candidate.theta = theta;
        if candidate.widths.is_empty() {
            if rng.random_bool(0.3) {
                // Along the sum of y·x, where the data are separated soonest.
                for j in 0..candidate.dim() {
                    let sum: f64 =
                        candidate.inputs.iter().zip(&candidate.labels).map(|(x, y)| *y as f64 * x[j]).sum();
                    candidate.theta[j] = plain(scale * sum);
                }
            }
        } else {
            let (first, width) = (layers[0], candidate.widths[0]);
            let unit = rng.random_range(0..width);
            match rng.random_range(0..6) {
                // A neuron along a point of its class, with an outer weight of that sign.
                0 => {
                    let i = rng.random_range(0..candidate.inputs.len());
                    let x = candidate.inputs[i].clone();
                    candidate.theta[unit * first.1..(unit + 1) * first.1]
                        .iter_mut()
                        .zip(&x)
                        .for_each(|(w, x)| *w = plain(scale * x));
                    let y = candidate.labels[i] as f64;
                    candidate.theta[at[1] + unit] = plain(y * candidate.theta[at[1] + unit].abs());
                }
                // All neurons but one are 0, and it may be along the mean of y·x.
                1 | 2 if candidate.widths.len() == 1 => {
                    if rng.random_bool(0.5) {
                        for j in 0..first.1 {
                            let of = candidate.inputs.iter().zip(&candidate.labels);
                            let sum: f64 = of.map(|(x, y)| *y as f64 * x[j]).sum();
                            candidate.theta[unit * first.1 + j] = plain(scale * sum);
                        }
                        candidate.theta[at[1] + unit] = plain(candidate.theta[at[1] + unit].abs());
                    }
                    for other in (0..width).filter(|o| *o != unit) {
                        zero_unit(candidate, other);
                    }
                }
                // Two neurons alike.
                3 if width >= 2 => {
                    let other = (unit + 1) % width;
                    for j in 0..first.1 {
                        candidate.theta[other * first.1 + j] = candidate.theta[unit * first.1 + j];
                    }
                    let (outs, ins) = layers[1];
                    for o in 0..outs {
                        candidate.theta[at[1] + o * ins + other] = candidate.theta[at[1] + o * ins + unit];
                    }
                }
                _ => {}
            }
        }
        if candidate.theta.iter().all(|t| *t == 0.0) {
            candidate.theta[0] = 1.0;
        }
    }

    /// A run near another one.
    pub fn near(&mut self, of: &Candidate) -> Candidate {
        let mut candidate = of.clone();
        let rng = &mut self.rng;
        for _ in 0..rng.random_range(1..=3) {
            let size = power_of_ten(rng, -2.0, 0.0);
            match rng.random_range(0..9) {
                0 | 1 => {
                    candidate.theta.iter_mut().for_each(|t| *t = rounded(*t * (1.0 + size * normal(rng)), 3))
                }
                2 => {
                    let c = power_of_ten(rng, -0.5, 0.5);
                    candidate.theta.iter_mut().for_each(|t| *t = rounded(c * *t, 3));
                }
                3 | 4 => {
                    for x in candidate.inputs.iter_mut().flatten() {
                        *x = rounded(*x * (1.0 + size * normal(rng)), 3);
                    }
                }
                5 | 6 => {
                    let c = power_of_ten(rng, -0.5, 0.5);
                    let length = candidate.motion.length_mut();
                    *length = plain(*length * c);
                }
                7 => {
                    let i = rng.random_range(0..candidate.inputs.len());
                    if rng.random_bool(0.5) && candidate.inputs.len() > 1 {
                        candidate.inputs.remove(i);
                        candidate.labels.remove(i);
                    } else if candidate.inputs.len() < 8 {
                        let x = candidate.inputs[i].iter().map(|a| plain(a + size * normal(rng))).collect();
                        candidate.inputs.push(x);
                        candidate.labels.push(candidate.labels[i]);
                    }
                }
                _ => {
                    let i = rng.random_range(0..candidate.labels.len());
                    candidate.labels[i] = -candidate.labels[i];
                }
            }
        }
        candidate
    }

    /// Whether to change a known run rather than to draw a fresh one, and which of `count`.
    pub fn choose(&mut self, count: usize) -> Option<usize> {
        (count > 0 && self.rng.random_bool(0.5)).then(|| self.rng.random_range(0..count))
    }
}

/// Sets what goes into and out of a unit of the first hidden layer to 0.
fn zero_unit(candidate: &mut Candidate, unit: usize) {
    let (layers, at) = (candidate.layers(), candidate.offsets());
    let ins = layers[0].1;
    candidate.theta[unit * ins..(unit + 1) * ins].fill(0.0);
    let (outs, ins) = layers[1];
    for o in 0..outs {
        candidate.theta[at[1] + o * ins + unit] = 0.0;
    }
}
