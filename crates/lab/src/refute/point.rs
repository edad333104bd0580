//! What kind of KKT point a direction is near, in double-double: a witness for saddles.
//!
//! At u = θ/‖θ‖ the best λ ≥ 0 leave ε = ‖u − Σλ_n h_n‖, h_n = ∇q_n over the near-support set. A move by r along the sphere
//! can raise the margin by at most L·ε·r relative to itself to first order. One that leaves all supported margins equal
//! and raises them by more than that is an ascent of second order: u is near a saddle.

use latephase_core::rng::stream;
use rand_distr::{Distribution, StandardNormal};

use super::dd::Dd;
use super::twin::Twin;

/// Relative width of the near-support set.
const NEAR: f64 = 0.03;
/// Directions that are tried for each hidden unit, and for the whole network.
const DIRECTIONS: usize = 60;
/// Lengths of a move on the unit sphere; an ascent has to be one at each.
const RADII: [f64; 2] = [0.2, 0.1];
/// How many times what the residual explains an ascent has to be.
const BEYOND: f64 = 2.0;

fn dot(a: &[Dd], b: &[Dd]) -> Dd {
    a.iter().zip(b).map(|(a, b)| *a * *b).sum()
}

fn moved(a: &[Dd], c: Dd, d: &[Dd]) -> Vec<Dd> {
    a.iter().zip(d).map(|(a, d)| *a + c * *d).collect()
}

fn unit(v: &[Dd]) -> Vec<Dd> {
    let size = dot(v, v).sqrt();
    v.iter().map(|x| *x / size).collect()
}

impl Twin {
    /// ε relative to ‖θ̃‖, and −1 for a saddle with an ascent that was taken, 0 where none was found; NaN before the data
    /// are separated.
    pub(super) fn point(&self, theta: &[Dd]) -> [f64; 2] {
        let u = unit(theta);
        let q = self.margins(&u);
        let least = q.iter().copied().fold(Dd::from(f64::INFINITY), |a, b| if b < a { b } else { a });
        if !(least > Dd::ZERO) {
            return [f64::NAN; 2];
        }
        let near: Vec<usize> = (0..q.len()).filter(|&i| q[i] <= least * Dd::from(1.0 + NEAR)).collect();
        let h: Vec<Vec<Dd>> = near.iter().map(|&i| self.margin_gradient(&u, i)).collect();
        let lambda = multipliers(&h, &u);
        let mut rest = u.clone();
        h.iter().zip(&lambda).for_each(|(h, l)| rest = moved(&rest, -*l, h));
        let epsilon = dot(&rest, &rest).sqrt().to_f64();
        let most = lambda.iter().map(|l| l.to_f64()).fold(0.0, f64::max);
        let active: Vec<usize> = (0..h.len()).filter(|&k| lambda[k].to_f64() > 1e-6 * most).collect();
        let support: Vec<usize> = active.iter().map(|&k| near[k]).collect();
        let gradients: Vec<Vec<Dd>> = active.iter().map(|&k| h[k].clone()).collect();
        let weights: Vec<Dd> = active.iter().map(|&k| lambda[k]).collect();
        let rises = |v: &[Dd]| {
            RADII.iter().all(|&r| {
                let there = self.levelled(&moved(&u, Dd::from(r), v), &support, &gradients, &weights);
                let gain = there.map_or(f64::NAN, |p| (self.normalized(&p) / least).to_f64() - 1.0);
                // A NaN is no ascent.
                gain > BEYOND * self.degree() * epsilon * r + 1e-9
            })
        };
        let is_saddle = self.directions(u.len()).iter().any(|v| {
            let v = tangent(v, &gradients, &u);
            dot(&v, &v).to_f64() > 1e-6 && rises(&unit(&v))
        });
        [epsilon, if is_saddle { -1.0 } else { 0.0 }]
    }

    /// Least margin over ‖p‖^L.
    fn normalized(&self, p: &[Dd]) -> Dd {
        let q = self.margins(p).into_iter().fold(Dd::from(f64::INFINITY), |a, b| if b < a { b } else { a });
        q / dot(p, p).sqrt().powf(self.degree())
    }

    /// Moves p within the span of the gradients until the supported margins are equal, to their mean by `weights`.
    fn levelled(
        &self,
        p: &[Dd],
        support: &[usize],
        gradients: &[Vec<Dd>],
        weights: &[Dd],
    ) -> Option<Vec<Dd>> {
        let mut p = p.to_vec();
        let total: Dd = weights.iter().copied().sum();
        for _ in 0..4 {
            let q = self.margins(&p);
            let mean: Dd = support.iter().zip(weights).map(|(&i, w)| q[i] * *w / total).sum();
            let gap: Vec<Dd> = support.iter().map(|&i| mean - q[i]).collect();
            let gram = gradients.iter().map(|a| gradients.iter().map(|b| dot(a, b)).collect()).collect();
            let c = solved(gram, gap)?;
            gradients.iter().zip(c).for_each(|(h, c)| p = moved(&p, c, h));
        }
        Some(p)
    }

    /// Random directions, in the whole network and in what goes into and out of one hidden unit.
    fn directions(&self, dim: usize) -> Vec<Vec<Dd>> {
        let mut rng = stream(0, "refute.point", 0);
        let mut all = Vec::new();
        let parts = self.units().into_iter().chain([(0..dim).collect()]);
        for part in parts {
            for _ in 0..DIRECTIONS {
                let mut v = vec![Dd::ZERO; dim];
                for &j in &part {
                    let x: f64 = StandardNormal.sample(&mut rng);
                    v[j] = Dd::from(x);
                }
                all.push(v);
            }
        }
        all
    }
}

/// What of v changes neither a supported margin nor ‖u‖ to first order.
fn tangent(v: &[Dd], gradients: &[Vec<Dd>], u: &[Dd]) -> Vec<Dd> {
    let mut basis: Vec<Vec<Dd>> = Vec::new();
    for h in gradients.iter().map(Vec::as_slice).chain([u]) {
        let rest = basis.iter().fold(h.to_vec(), |rest, b| moved(&rest, -dot(&rest, b), b));
        if dot(&rest, &rest).to_f64() > 1e-10 * dot(h, h).to_f64() {
            basis.push(unit(&rest));
        }
    }
    basis.iter().fold(unit(v), |rest, b| moved(&rest, -dot(&rest, b), b))
}

/// The λ ≥ 0 that bring Σλ_n h_n nearest to u, by coordinate descent: a handful of numbers.
fn multipliers(h: &[Vec<Dd>], u: &[Dd]) -> Vec<Dd> {
    let mut lambda = vec![Dd::ZERO; h.len()];
    let mut rest = u.to_vec();
    for _ in 0..2000 {
        let mut change = 0.0f64;
        for (l, h) in lambda.iter_mut().zip(h) {
            let size = dot(h, h);
            if size.to_f64() == 0.0 {
                continue;
            }
            let next = *l + dot(&rest, h) / size;
            let next = if next < Dd::ZERO { Dd::ZERO } else { next };
            let by = next - *l;
            rest = moved(&rest, -by, h);
            change = change.max(by.to_f64().abs());
            *l = next;
        }
        if change < 1e-15 {
            break;
        }
    }
    lambda
}

/// Gaussian elimination with pivots; none for a matrix that is nearly singular.
fn solved(mut a: Vec<Vec<Dd>>, mut b: Vec<Dd>) -> Option<Vec<Dd>> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|i, j| a[*i][k].to_f64().abs().total_cmp(&a[*j][k].to_f64().abs()))?;
        if !(a[pivot][k].to_f64().abs() > 1e-12) {
            return None;
        }
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..n {
            let c = a[i][k] / a[k][k];
            for j in k..n {
                let x = a[k][j];
                a[i][j] = a[i][j] - c * x;
            }
            b[i] = b[i] - c * b[k];
        }
    }
    for k in (0..n).rev() {
        let sum: Dd = (k + 1..n).map(|j| a[k][j] * b[j]).sum();
        b[k] = (b[k] - sum) / a[k][k];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Lookup;
    use crate::spec::Spec;

    /// Two points of one class at 2·atan(1/tilt), a first neuron half-way between them, and a second one at 0.
    fn judged(tilt: f64) -> [f64; 2] {
        let text = format!(
            "data = {{ kind = \"points\", inputs = [[1.0, {tilt}], [-1.0, {tilt}]], labels = [1, 1] }}\n\
             model = {{ kind = \"mlp\", widths = [2] }}\nloss = \"exponential\"\nstop = {{ steps = 1 }}\n\
             algorithm = {{ kind = \"flow\" }}\n"
        );
        let spec = Spec::parse(&text, "test", &[]).unwrap();
        let data = spec.data.load(0, &Lookup::from_env()).unwrap().train;
        let twin = Twin::of(&spec, &data).unwrap();
        twin.point(&[0.0, 1.0, 0.0, 0.0, 1.0, 0.0].map(Dd::from))
    }

    #[test]
    fn one_neuron_for_two_points_is_a_saddle_from_120_degrees_on() {
        // λ_n = 1/(2 tilt) each; the second neuron alone on one point has ‖z‖ = λ‖x‖ > 1 exactly where tilt < 1/√3.
        for (tilt, kind) in [(0.3, -1.0), (0.5, -1.0), (0.7, 0.0), (1.5, 0.0)] {
            let [epsilon, second] = judged(tilt);
            assert!(epsilon < 1e-12, "{tilt}: {epsilon}");
            assert_eq!(second, kind, "{tilt}");
        }
    }

    #[test]
    fn linear_equations_are_solved_to_the_last_digit() {
        let a = vec![vec![2.0, 1.0], vec![1.0, 3.0]];
        let a = a.into_iter().map(|row| row.into_iter().map(Dd::from).collect()).collect();
        let x = solved(a, vec![Dd::from(1.0), Dd::from(2.0)]).unwrap();
        let five = Dd::from(5.0);
        assert!((x[0] * five - Dd::ONE).to_f64().abs() < 1e-30);
        assert!((x[1] * five - Dd::from(3.0)).to_f64().abs() < 1e-30);
    }
}
