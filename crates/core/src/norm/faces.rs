//! Shares of several faces: the quadratic programme of the subgradient of a maximum of norms.

use crate::numeric::dot;

/// One term ‖s t κ − target‖² of the programme in t: a t² − 2 b t + const.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    square: f64,
    along: f64,
}

impl Share {
    /// The term of κ at the size s, both sides divided by s².
    pub fn new(face: &[f64], target: &[f64], size: f64) -> Share {
        Share { square: dot(face, face), along: dot(face, target) / size }
    }

    /// The t ≥ 0 whose derivative a t − b is −τ.
    fn at(&self, shift: f64) -> f64 {
        ((self.along - shift) / self.square).max(0.0)
    }
}

/// argmin Σ_l ½a_l t_l² − b_l t_l over the simplex: t_l = (b_l − τ)₊/a_l for the one τ that makes them sum to 1.
///
/// As τ falls, the terms come in by descending b_l; with the first m in, Σ (b_l − τ)/a_l = 1 gives τ, which is the answer as
/// soon as it is no smaller than the next b_l.
pub(super) fn share_out(terms: &[Share]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..terms.len()).collect();
    order.sort_by(|&i, &j| terms[j].along.total_cmp(&terms[i].along));
    let (mut ratio, mut inverse, mut shift) = (0.0, 0.0, f64::NEG_INFINITY);
    for l in order {
        if terms[l].along <= shift {
            break;
        }
        ratio += terms[l].along / terms[l].square;
        inverse += 1.0 / terms[l].square;
        shift = (ratio - 1.0) / inverse;
    }
    let mut shares: Vec<f64> = terms.iter().map(|t| t.at(shift)).collect();
    // Rounding of the difference b − τ is taken out of the sum, which the dual norm of the mixture has to equal.
    let total: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|t| *t /= total);
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::project_on_simplex;

    #[test]
    fn faces_of_length_one_share_like_the_projection_on_the_simplex() {
        let b = [0.75, 0.5, -3.0, 0.7];
        let shares = share_out(&b.map(|along| Share { square: 1.0, along }));
        let mut expected = b;
        project_on_simplex(&mut expected);
        shares.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-15));
    }

    #[test]
    fn shares_satisfy_the_optimality_conditions() {
        let terms = [(1.0, 0.3), (4.0, 1.0), (0.25, -0.2), (2.0, 0.1)];
        let terms = terms.map(|(square, along)| Share { square, along });
        let t = share_out(&terms);
        assert!((t.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        // a t − b is the same for every positive share and no smaller for the others.
        let slopes: Vec<f64> = terms.iter().zip(&t).map(|(s, t)| s.square * t - s.along).collect();
        let least = slopes.iter().copied().fold(f64::INFINITY, f64::min);
        for (slope, t) in slopes.iter().zip(&t) {
            assert!(if *t > 0.0 { slope - least < 1e-15 } else { *slope >= least });
        }
    }
}
