//! The degree calculus: how homogeneity passes through compositions, sums and products.
//!
//! A piece h(θ; x) of a network has an order M, a size bound ‖h‖ ≤ q(ρ) and a defect bound ‖Dh − M h‖ ≤ p′(ρ), D = ⟨∇_θ ·, θ⟩
//! and ρ = ‖θ‖, for all inputs within a radius (Cai et al. 2025, Definition 1, taken piece by piece). A composition s_1∘s_2
//! of pieces of degrees (M_k, N_k) in parameters and input has (M_1 + N_1·M_2, N_1·N_2); in a sum the largest order wins
//! and what is below it vanishes from the homogenization; in a product orders add.

use serde::Serialize;

use crate::{Defect, Degree, Posynomial};

/// Whether a block is trained. A frozen one is a constant, of degree 0 in θ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// It is part of θ.
    Trained,
    /// It is not, and has this norm; ∞ while that is unknown.
    Frozen(f64),
}

impl Part {
    /// (degree in θ, bound of the norm).
    pub fn term(&self) -> (f64, Posynomial) {
        match self {
            Part::Trained => (1.0, Posynomial::term(1.0, 1.0)),
            Part::Frozen(norm) => (0.0, Posynomial::term(*norm, 0.0)),
        }
    }
}

/// What the calculus knows of a piece of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// M. A piece of order 0 does not depend on θ.
    pub order: f64,
    /// q: ‖h(θ; x)‖ ≤ q(ρ).
    pub size: Posynomial,
    /// p′: ‖Dh − M h‖ ≤ p′(ρ); 0 where h is homogeneous.
    pub defect: Posynomial,
    /// Where the defect comes from.
    pub why: Vec<String>,
    /// Why there is no degree, if there is none.
    pub none: Option<String>,
}

impl Piece {
    /// An input whose norm is at most `radius`.
    pub fn input(radius: f64) -> Piece {
        Piece {
            order: 0.0,
            size: Posynomial::term(radius, 0.0),
            defect: Posynomial::ZERO,
            why: Vec::new(),
            none: None,
        }
    }

    /// A linear map of norm at most ‖part‖·`lipschitz` put on top: (M + 1, q·ρ, p′·ρ) where the part is trained.
    #[must_use]
    pub fn through(&self, part: Part, lipschitz: f64) -> Piece {
        let (degree, norm) = part.term();
        let norm = norm.scaled(lipschitz);
        Piece {
            order: self.order + degree,
            size: self.size.times(&norm),
            defect: self.defect.times(&norm),
            ..self.clone()
        }
    }

    /// A map without parameters that is homogeneous of degree 1, and `lipschitz` with respect to ‖·‖₂.
    #[must_use]
    pub fn mapped(&self, lipschitz: f64) -> Piece {
        self.through(Part::Frozen(1.0), lipschitz)
    }

    /// A summand that is a block itself, each of its numbers used `times` times: a bias.
    pub fn block(part: Part, times: f64) -> Piece {
        let (order, norm) = part.term();
        let size = norm.scaled(times.sqrt());
        Piece { order, size, ..Piece::input(0.0) }
    }

    /// The sum (or the concatenation) of pieces, by their names, and which of them the homogenization keeps:
    /// D Σh_k = M Σh_k + Σ(d_k − (M − M_k) h_k) with M the largest order.
    pub fn sum(terms: &[(&str, &Piece)]) -> (Piece, Vec<bool>) {
        let order = terms.iter().map(|(_, piece)| piece.order).fold(0.0, f64::max);
        let mut total = Piece::input(0.0);
        let mut kept = Vec::new();
        for (name, piece) in terms {
            let behind = order - piece.order;
            total.size = total.size.plus(&piece.size);
            total.defect = total.defect.plus(&piece.defect).plus(&piece.size.scaled(behind));
            total.why.extend(piece.why.iter().cloned());
            total.none = total.none.or_else(|| piece.none.clone());
            if behind > 0.0 && !piece.size.is_zero() {
                total.why.push(format!("{name} has degree {} beside a sum of degree {order}", piece.order));
            }
            kept.push(behind == 0.0);
        }
        (Piece { order, ..total }, kept)
    }

    /// The entry-wise product of pieces: D(ab) = (M_a + M_b)ab + a·d_b + d_a·b.
    pub fn product(factors: &[&Piece]) -> Piece {
        let one = Piece { size: Posynomial::term(1.0, 0.0), ..Piece::input(0.0) };
        factors.iter().fold(one, |done, next| Piece {
            order: done.order + next.order,
            size: done.size.times(&next.size),
            defect: done.defect.times(&next.size).plus(&done.size.times(&next.defect)),
            why: done.why.iter().chain(&next.why).cloned().collect(),
            none: done.none.clone().or_else(|| next.none.clone()),
        })
    }

    /// The piece without a degree, for this reason.
    #[must_use]
    pub fn without_degree(&self, why: String) -> Piece {
        Piece { none: self.none.clone().or(Some(why)), ..self.clone() }
    }

    /// As a degree.
    pub fn degree(&self) -> Degree {
        if let Some(why) = &self.none {
            return Degree::None { why: why.clone() };
        }
        match self.defect.power() {
            None => Degree::Exact { degree: self.order },
            Some(power) if power >= self.order => {
                let why = format!(
                    "what is left over grows like rho^{power}, no slower than the order {}: {}",
                    self.order,
                    self.why.join("; ")
                );
                Degree::None { why }
            }
            Some(power) => {
                let defect = Defect { power, bound: self.defect.clone(), why: self.why.join("; ") };
                Degree::Near { order: self.order, defect }
            }
        }
    }
}

/// One layer in the degree calculus, for people to read.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The layer's name in the layout (`2`, `3.body.0`).
    pub name: String,
    /// What it is.
    pub about: String,
    /// Shape of one output row.
    pub shape: Vec<usize>,
    /// Degree in the layer's own parameters.
    pub own_degree: f64,
    /// Degree in its input.
    pub input_degree: f64,
    /// Degree of the network up to and including it.
    pub degree: Degree,
    /// Degree of the whole network's homogenization in each block of the layer; 0 where it drops the block, NaN where the
    /// block enters a sum and has none of its own.
    pub blocks: Vec<(String, f64)>,
    /// What the homogenization drops or replaces here.
    pub dropped: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(below: &Piece) -> Piece {
        below.through(Part::Trained, 1.0)
    }

    #[test]
    fn a_bias_keeps_the_degree_only_in_the_first_layer() {
        let bias = Piece::block(Part::Trained, 1.0);
        let (first, kept) = Piece::sum(&[("0.weight", &dense(&Piece::input(1.0))), ("0.bias", &bias)]);
        assert!(first.degree().is_exact() && kept == [true, true]);
        let (second, kept) = Piece::sum(&[("2.weight", &dense(&first)), ("2.bias", &bias)]);
        assert_eq!((second.order, kept), (2.0, vec![true, false]));
        assert!(!second.degree().is_exact());
    }

    #[test]
    fn an_output_bias_has_the_bounds_of_its_formula() {
        // A net of order M plus a bias b: the defect is −(M − 1) b, p_a = ρ (Cai et al. 2025, Definition 1, worked out).
        for order in [2.0, 3.0, 5.0] {
            let net = Piece { order, size: Posynomial::term(1.0, order), ..Piece::input(1.0) };
            let (sum, _) = Piece::sum(&[("net", &net), ("bias", &Piece::block(Part::Trained, 1.0))]);
            let degree = sum.degree();
            assert_eq!(degree.defect(), Some(Posynomial::term(order - 1.0, 1.0)));
            assert_eq!(degree.gap(), Some(Posynomial::term(1.0, 1.0)));
        }
    }

    #[test]
    fn a_skip_branch_has_the_bounds_of_its_formula() {
        // uᵀ(x + V W x): order 3, defect −2uᵀx, p′ = 2‖x‖ρ, p_a = ‖x‖ρ.
        let x = Piece::input(1.5);
        let body = dense(&dense(&x));
        let (sum, kept) = Piece::sum(&[("body", &body), ("skip", &x)]);
        let degree = dense(&sum).degree();
        assert_eq!((degree.order(), kept), (Some(3.0), vec![true, false]));
        assert_eq!(degree.defect(), Some(Posynomial::term(3.0, 1.0)));
        assert_eq!(degree.gap(), Some(Posynomial::term(1.5, 1.0)));
    }

    #[test]
    fn a_frozen_bias_is_a_constant_beside_what_is_trained() {
        let frozen = Piece::block(Part::Frozen(0.5), 1.0);
        let (first, _) = Piece::sum(&[("weight", &dense(&Piece::input(1.0))), ("bias", &frozen)]);
        assert_eq!(first.degree().defect(), Some(Posynomial::term(0.5, 0.0)));
        assert_eq!(dense(&first).degree().defect(), Some(Posynomial::term(0.5, 1.0)));
        // A trained bias on a frozen map wins over it.
        let below = Piece::input(1.0).through(Part::Frozen(3.0), 1.0);
        let (sum, kept) = Piece::sum(&[("weight", &below), ("bias", &Piece::block(Part::Trained, 1.0))]);
        assert_eq!((sum.order, kept), (1.0, vec![false, true]));
        // On a frozen map of a network of degree 1 it is a summand of that degree.
        let one = dense(&Piece::input(1.0)).through(Part::Frozen(3.0), 1.0);
        let (sum, _) = Piece::sum(&[("weight", &one), ("bias", &Piece::block(Part::Trained, 1.0))]);
        assert!(sum.degree().is_exact());
    }

    #[test]
    fn orders_of_factors_add() {
        let x = Piece::input(2.0);
        let gated = Piece::product(&[&dense(&x), &dense(&dense(&x))]);
        assert_eq!(gated.degree(), Degree::Exact { degree: 3.0 });
        assert_eq!(gated.size, Posynomial::term(4.0, 3.0));
    }
}
