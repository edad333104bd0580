//! The whole idea on one page, without dependencies: a two-layer ReLU network on four points, trained to loss
//! 1e-4000 by steps whose predicted fall of ln L is constant.
//!
//! It leaves out everything but the arithmetic: one loss, one step rule, plain loops. The real thing has to give the
//! same numbers (crates/core/tests/twin.rs).

/// Inputs and signs.
pub const POINTS: [([f64; 2], f64); 4] =
    [([2.0, 1.0], 1.0), ([1.0, 3.0], 1.0), ([-1.0, -2.0], -1.0), ([-3.0, -0.5], -1.0)];
/// Hidden neurons.
pub const WIDTH: usize = 6;

/// Inner weights (two each), then outer weights: any start will do, this one is easy to write down.
pub fn start() -> Vec<f64> {
    (0..3 * WIDTH).map(|k| (1.7 * k as f64 + 0.3).sin()).collect()
}

/// ln of the exponential loss, its gradient, and the least margin, at any loss.
pub fn evaluate(theta: &[f64]) -> (f64, Vec<f64>, f64) {
    let (inner, outer) = theta.split_at(2 * WIDTH);
    let hidden = |x: &[f64; 2], r: usize| inner[2 * r] * x[0] + inner[2 * r + 1] * x[1];
    let margins: Vec<f64> = POINTS
        .iter()
        .map(|(x, y)| y * (0..WIDTH).map(|r| outer[r] * hidden(x, r).max(0.0)).sum::<f64>())
        .collect();
    // L = sum e^{-q}. With the least margin taken out, every exponential is at most 1 and nothing is lost.
    let q_min = margins.iter().copied().fold(f64::INFINITY, f64::min);
    let total: f64 = margins.iter().map(|q| (q_min - q).exp()).sum();
    let mut grad = vec![0.0; theta.len()];
    for ((x, y), q) in POINTS.iter().zip(&margins) {
        let weight = (q_min - q).exp() / total;
        for r in 0..WIDTH {
            let z = hidden(x, r);
            if z > 0.0 {
                grad[2 * r] -= weight * y * outer[r] * x[0];
                grad[2 * r + 1] -= weight * y * outer[r] * x[1];
                grad[2 * WIDTH + r] -= weight * y * z;
            }
        }
    }
    (total.ln() - q_min, grad, q_min)
}

/// Steps along -grad whose predicted fall of ln L is `eta`; returns θ, ln L and the normalised margin q_min/|θ|^2.
pub fn descend(eta: f64, steps: usize) -> (Vec<f64>, f64, f64) {
    let mut theta = start();
    for _ in 0..steps {
        let (_, grad, _) = evaluate(&theta);
        let squared: f64 = grad.iter().map(|g| g * g).sum();
        theta.iter_mut().zip(&grad).for_each(|(t, g)| *t -= eta / squared * g);
    }
    let (ln_loss, _, q_min) = evaluate(&theta);
    let rho_squared: f64 = theta.iter().map(|t| t * t).sum();
    (theta, ln_loss, q_min / rho_squared)
}

#[allow(dead_code)]
fn main() {
    for steps in [100, 1_000, 10_000, 100_000] {
        let (_, ln_loss, margin) = descend(0.1, steps);
        println!("{steps:7} steps: loss 1e{:.0}, margin {margin:.6}", ln_loss / std::f64::consts::LN_10);
    }
    println!("the largest possible margin is 0.554472");
}
