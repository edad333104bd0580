//! An activation as a layer: σ on every entry.

use std::sync::Arc;

use super::super::{Dual, Grads, Kept, Kinks, Layer, Pass, Rise, Stage, rms, sizes};
use super::{Curve, Facts, Nonlinearity};
use crate::Posynomial;
use crate::model::calculus::{Part, Piece};

/// An activation layer.
#[derive(Clone, Debug)]
pub struct Activation {
    function: Nonlinearity,
    curve: Arc<dyn Curve>,
    facts: Facts,
    shape: Vec<usize>,
    at_kink: f64,
}

impl Activation {
    /// `function` on inputs of this shape, with `at_kink` ∈ [0, 1] the weight of the right-hand slope at a kink.
    pub fn new(function: &Nonlinearity, shape: &[usize], at_kink: f64) -> Self {
        Activation {
            function: function.clone(),
            curve: function.build().into(),
            facts: function.facts(),
            shape: shape.to_vec(),
            at_kink,
        }
    }

    /// The function.
    pub fn function(&self) -> &Nonlinearity {
        &self.function
    }

    /// Whether it is max(z, 0) with the slope 0 at 0, which can be read off the outputs.
    pub(in super::super) fn is_plain_relu(&self) -> bool {
        matches!(self.function, Nonlinearity::Relu(_)) && self.at_kink == 0.0
    }

    /// Weight of the right-hand slope at a kink.
    pub fn at_kink(&self) -> f64 {
        self.at_kink
    }
}

impl Stage for Activation {
    fn outputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn forward(&self, _params: &[f64], x: &[f64], _n: usize, y: &mut [f64], _kept: &mut Kept) {
        self.curve.values(x, y);
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, _kept: &mut Kept) {
        if let Some(dx) = grads.inputs {
            self.curve.slopes(pass.x, dy, dx, self.at_kink);
        }
    }
}

impl Layer for Activation {
    fn about(&self) -> String {
        format!("{} {}", self.function.name(), sizes(&self.shape))
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// With z = h(θ; x) of order M and defect d, Dσ(z) = σ'(z)(M z + d) = pM σ(z) + M(zσ' − pσ) + σ'(z)d, where
    /// ‖σ'(z)d‖ ≤ K‖z‖^{p−1}‖d‖; and |σ(z)| ≤ max|σ_H(±1)|·|z|^p + sup|σ − σ_H|.
    fn rise(&self, below: &Piece, _parts: &[Part], name: &str) -> Rise {
        let facts = &self.facts;
        let (power, root) = (facts.power, (self.outputs() as f64).sqrt());
        let limit = facts.homogenized.as_ref().map(Nonlinearity::build);
        let height = |z: f64| limit.as_ref().map_or(0.0, |h| h.value(z).abs());
        let constant = |c: f64| Posynomial::term(c * root, 0.0);
        let grown = below.size.to_power(power).scaled(height(1.0).max(height(-1.0)));
        let mut piece = Piece {
            order: power * below.order,
            size: grown.plus(&constant(facts.gap)),
            defect: below.defect.times(&below.size.to_power(power - 1.0)).scaled(facts.lipschitz()),
            ..below.clone()
        };
        let plain = |piece| Rise { input_degree: power, ..Rise::plain(piece, Box::new(self.clone())) };
        // Of a piece that does not depend on θ it is one too, whatever σ is.
        if below.order == 0.0 {
            return plain(piece);
        }
        match &facts.homogenized {
            Err(why) => plain(piece.without_degree(format!("{name}: {why}"))),
            Ok(_) if facts.defect == 0.0 => plain(piece),
            Ok(sigma) => {
                piece.defect = piece.defect.plus(&constant(below.order * facts.defect));
                piece.why.push(format!("{} is curved", self.about()));
                let dropped = vec![format!("the curvature of {}", self.about())];
                let limit = Box::new(Activation::new(sigma, &self.shape, self.at_kink));
                Rise { input_degree: power, dropped, ..Rise::plain(piece, limit) }
            }
        }
    }

    fn tangent(&self, _params: Dual<'_>, x: Dual<'_>, _y: &[f64], _n: usize, dy: &mut [f64]) {
        match x.along {
            Some(along) => self.curve.slopes(x.at, along, dy, self.at_kink),
            None => dy.fill(0.0),
        }
    }

    fn kinks(&self, found: &mut Kinks<'_>, _params: &[f64], x: &[f64], _n: usize) {
        for (row, z) in x.chunks_exact(self.outputs()).enumerate() {
            for kink in &self.facts.kinks {
                found.row(row, z.iter().map(|z| z - kink), rms(z));
            }
        }
    }

    fn lipschitz(&self, _params: &[f64]) -> f64 {
        if self.facts.power == 1.0 { self.facts.lipschitz() } else { f64::INFINITY }
    }
}
