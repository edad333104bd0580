//! From a violation to the smallest one nearby: fewer points, layers, neurons, dimensions and steps, rounder numbers.
//!
//! A change is kept when the run still violates the claim, confirmed as at first. Rounds go on until none is kept.

use super::candidate::{Activation, Candidate, Motion};
use super::propose::rounded;

/// The next smaller runs to try, the largest changes first. Of a statement about the flow, the flow itself before steps.
pub(super) fn smaller(of: &Candidate, is_flow: bool) -> Vec<Candidate> {
    let mut all = Vec::new();
    if let (true, Motion::Steps { norm, .. }) = (is_flow, of.motion) {
        let motion = Motion::Flow { norm, rtol: 1e-7 };
        all.extend([of.steps, 300].map(|steps| Candidate { motion, steps, ..of.clone() }));
    }
    if of.inputs.len() > 1 {
        all.extend((0..of.inputs.len()).map(|i| without_point(of, i)));
    }
    all.extend((0..of.widths.len()).filter_map(|l| without_layer(of, l)));
    for l in 0..of.widths.len() {
        if of.widths[l] > 1 {
            all.extend((0..of.widths[l]).map(|unit| without_unit(of, l, unit)));
        }
    }
    if of.dim() > 1 {
        all.extend((0..of.dim()).map(|j| without_dimension(of, j)));
    }
    if of.log10_loss.is_finite() {
        all.push(Candidate { log10_loss: f64::NEG_INFINITY, ..of.clone() });
    }
    for steps in [of.steps / 4, of.steps / 2, of.steps * 3 / 4, of.steps - 1] {
        if steps >= 1 && steps < of.steps {
            all.push(Candidate { steps, ..of.clone() });
        }
    }
    all.extend(rounder(of));
    all.retain(|c| c != of && c.theta.iter().any(|t| *t != 0.0));
    all
}

fn without_point(of: &Candidate, i: usize) -> Candidate {
    let mut c = of.clone();
    c.inputs.remove(i);
    c.labels.remove(i);
    c
}

/// θ with the entries of each layer that `keep(layer, output, input)` says.
fn kept(of: &Candidate, keep: impl Fn(usize, usize, usize) -> bool) -> Vec<f64> {
    let at = of.offsets();
    let mut theta = Vec::new();
    for (l, (outs, ins)) in of.layers().into_iter().enumerate() {
        for o in 0..outs {
            theta.extend((0..ins).filter(|i| keep(l, o, *i)).map(|i| of.theta[at[l] + o * ins + i]));
        }
    }
    theta
}

fn without_unit(of: &Candidate, hidden: usize, unit: usize) -> Candidate {
    let theta = kept(of, |l, o, i| !((l == hidden && o == unit) || (l == hidden + 1 && i == unit)));
    let mut widths = of.widths.clone();
    widths[hidden] -= 1;
    Candidate { widths, theta, ..of.clone() }
}

fn without_dimension(of: &Candidate, j: usize) -> Candidate {
    let theta = kept(of, |l, _, i| !(l == 0 && i == j));
    let mut c = Candidate { theta, ..of.clone() };
    for x in &mut c.inputs {
        x.remove(j);
    }
    c
}

/// A hidden layer of one unit, or as wide as what feeds it, taken out: what fed it feeds the next.
fn without_layer(of: &Candidate, hidden: usize) -> Option<Candidate> {
    let layers = of.layers();
    let ((outs, ins), (next, _)) = (layers[hidden], layers[hidden + 1]);
    let at = of.offsets();
    let mut theta = of.theta[..at[hidden]].to_vec();
    let (below, above) = (&of.theta[at[hidden]..at[hidden + 1]], &of.theta[at[hidden + 1]..at[hidden + 2]]);
    // The product of the two matrices: the network without the activation between them.
    for o in 0..next {
        for i in 0..ins {
            theta.push((0..outs).map(|k| above[o * outs + k] * below[k * ins + i]).sum());
        }
    }
    theta.extend_from_slice(&of.theta[at[hidden + 2]..]);
    let mut widths = of.widths.clone();
    widths.remove(hidden);
    let activation = if widths.is_empty() { Activation::Identity } else { of.activation };
    Some(Candidate { widths, theta, activation, ..of.clone() })
}

/// The same with rounder numbers.
fn rounder(of: &Candidate) -> Vec<Candidate> {
    let mut all = Vec::new();
    for digits in [1, 2] {
        let mut c = of.clone();
        c.inputs.iter_mut().flatten().chain(&mut c.theta).for_each(|x| *x = rounded(*x, digits));
        all.push(c);
        let mut c = of.clone();
        let length = c.motion.length_mut();
        *length = rounded(*length, digits);
        all.push(c);
    }
    let count = of.inputs.len() * of.dim();
    for k in 0..count + of.theta.len() {
        let value = |c: &Candidate| match k < count {
            true => c.inputs[k / c.dim()][k % c.dim()],
            false => c.theta[k - count],
        };
        let x = value(of);
        for y in [0.0, x.signum(), x.round(), rounded(x, 1), rounded(x, 2)] {
            if cost(y) < cost(x) {
                let mut c = of.clone();
                let dim = c.dim();
                match k < count {
                    true => c.inputs[k / dim][k % dim] = y,
                    false => c.theta[k - count] = y,
                }
                all.push(c);
            }
        }
    }
    if let Activation::LeakyRelu(slope) = of.activation {
        all.push(Candidate { activation: Activation::Relu, ..of.clone() });
        all.push(Candidate { activation: Activation::LeakyRelu(rounded(slope, 1)), ..of.clone() });
    }
    all
}

/// How much there is to a number: its digits, and 0 for 0.
fn cost(x: f64) -> usize {
    if x == 0.0 {
        return 0;
    }
    if x.abs() == 1.0 {
        return 1;
    }
    let digits = format!("{x:e}");
    let digits = digits.split('e').next().unwrap_or("").chars().filter(char::is_ascii_digit).count();
    1 + digits + usize::from(x.fract() != 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::candidate::{Loss, Norm, Pace};
    use super::*;

    fn candidate() -> Candidate {
        Candidate {
            inputs: vec![vec![1.0, 0.25], vec![-0.5, 2.0]],
            labels: vec![1, -1],
            widths: vec![2, 3],
            activation: Activation::Relu,
            loss: Loss::Exponential,
            motion: Motion::Steps { norm: Norm::L2, unit: false, pace: Pace::Constant { eta: 0.31 } },
            theta: (0..13).map(|k| 1.0 + 0.1 * f64::from(k)).collect(),
            steps: 10,
            log10_loss: -4.0,
        }
    }

    #[test]
    fn every_smaller_run_is_one_that_can_be_built() {
        let all = smaller(&candidate(), true);
        assert!(all.len() > 20);
        for c in all {
            let spec = c.spec(&["margin"]).unwrap_or_else(|e| panic!("{c:?}\n{e}"));
            crate::build::build(&spec, &crate::source::Lookup::from_env())
                .unwrap_or_else(|e| panic!("{c:?}\n{e}"));
        }
    }

    #[test]
    fn a_unit_goes_with_its_row_and_its_column() {
        let c = without_unit(&candidate(), 0, 0);
        assert_eq!(c.widths, [1, 3]);
        // Row 1 of the first layer, column 1 of the second (3 × 2), all of the third.
        let kept: Vec<f64> = [2, 3, 5, 7, 9, 10, 11, 12].map(|k| 1.0 + 0.1 * f64::from(k)).to_vec();
        assert_eq!(c.theta, kept);
    }

    #[test]
    fn taking_numbers_away_ends() {
        let mut c = candidate();
        let mut rounds = 0;
        while let Some(next) = smaller(&c, true).into_iter().next() {
            c = next;
            rounds += 1;
            assert!(rounds < 1000);
        }
    }
}
