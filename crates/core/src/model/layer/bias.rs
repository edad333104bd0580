//! A bias of its own: y = x + b.
//!
//! In a sum the largest degree wins: b has degree 1 in θ, so that the homogenization of a network drops every bias whose
//! input has a higher degree (Cai et al. 2025, worked out for an output bias: defect −(M − 1)b, p′ = (M − 1)ρ, p_a = ρ).

use serde::{Deserialize, Serialize};

use super::tangent::add_weighted_gram;
use super::{Building, Dual, Grads, Kept, Layer, LayerSpec, Param, Pass, Rise, Stage, Start, sizes};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};
use crate::model::calculus::{Part, Piece};

/// y = x + b, with a number for each entry of a vector or each channel of an image.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bias {}

impl LayerSpec for Bias {
    fn build(&self, input: &[usize], _building: &Building) -> Result<Box<dyn Layer>, Invalid> {
        Ok(Box::new(BiasLayer { shape: input.to_vec(), without_input: false, without_bias: false }))
    }
}

impl Entry for Bias {
    const ABOUT: &'static str = "y = x + b, a number for each entry or channel";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}

/// The layer of [`Bias`].
#[derive(Clone, Debug)]
pub struct BiasLayer {
    shape: Vec<usize>,
    /// Which summand is left out: the homogenization of a sum keeps the highest degree only.
    without_input: bool,
    without_bias: bool,
}

impl BiasLayer {
    /// How many entries of a row share a number.
    fn span(&self) -> usize {
        self.shape[1..].iter().product()
    }

    fn add(&self, bias: &[f64], y: &mut [f64]) {
        let span = self.span();
        for row in y.chunks_exact_mut(self.outputs()) {
            for (entries, b) in row.chunks_exact_mut(span).zip(bias) {
                entries.iter_mut().for_each(|y| *y += b);
            }
        }
    }
}

impl Stage for BiasLayer {
    fn outputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn forward(&self, params: &[f64], x: &[f64], _n: usize, y: &mut [f64], _kept: &mut Kept) {
        match self.without_input {
            true => y.fill(0.0),
            false => y.copy_from_slice(x),
        }
        if !self.without_bias {
            self.add(params, y);
        }
    }

    fn pullback(&self, _pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, _kept: &mut Kept) {
        if let Some(dbias) = grads.params.filter(|_| !self.without_bias) {
            let span = self.span();
            for row in dy.chunks_exact(self.outputs()) {
                for (d, entries) in dbias.iter_mut().zip(row.chunks_exact(span)) {
                    *d += entries.iter().sum::<f64>();
                }
            }
        }
        if let Some(dx) = grads.inputs {
            match self.without_input {
                true => dx.fill(0.0),
                false => dx.copy_from_slice(dy),
            }
        }
    }
}

impl Layer for BiasLayer {
    fn about(&self) -> String {
        format!("bias {}", sizes(&self.shape))
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn params(&self) -> Vec<Param> {
        vec![Param::new("bias", &self.shape[..1], Start::At(0.0))]
    }

    fn rise(&self, below: &Piece, parts: &[Part], name: &str) -> Rise {
        let (input, bias) = (format!("the input of {name}"), format!("the bias {name}.bias"));
        let block = Piece::block(parts[0], self.span() as f64);
        let (piece, kept) = Piece::sum(&[(&input, below), (&bias, &block)]);
        let limit = BiasLayer { without_input: !kept[0], without_bias: !kept[1], ..self.clone() };
        let trained = parts[0].term().0;
        // Beside an input that depends on θ it has no degree alone.
        let alone = if kept[0] && below.order > 0.0 { f64::NAN } else { 1.0 };
        let mut dropped = Vec::new();
        if !kept[0] {
            dropped.push(input);
        }
        if !kept[1] {
            dropped.push(format!("{name}.bias"));
        }
        Rise {
            own_degree: if kept[1] { trained } else { 0.0 },
            input_degree: match (kept[0], kept[1]) {
                (true, false) => 1.0,
                (true, true) => alone,
                (false, _) => 0.0,
            },
            blocks: vec![if kept[1] && trained > 0.0 { alone } else { 0.0 }],
            dropped,
            ..Rise::plain(piece, Box::new(limit))
        }
    }

    fn tangent(&self, params: Dual<'_>, x: Dual<'_>, _y: &[f64], _n: usize, dy: &mut [f64]) {
        match x.along.filter(|_| !self.without_input) {
            Some(along) => dy.copy_from_slice(along),
            None => dy.fill(0.0),
        }
        if let Some(along) = params.along.filter(|_| !self.without_bias) {
            self.add(along, dy);
        }
    }

    /// The gradient of b is the cotangent, summed over the entries that share a number.
    fn tangent_gram(&self, pass: Pass<'_>, parts: &[Part], dy: &[f64], into: &mut [f64]) {
        if self.without_bias || parts[0] != Part::Trained {
            return;
        }
        let sums: Vec<f64> = dy.chunks_exact(self.span()).map(|entries| entries.iter().sum()).collect();
        add_weighted_gram(&sums, self.shape[0], pass.n, into, |_, _| 1.0);
    }

    fn is_affine(&self) -> bool {
        true
    }

    fn lipschitz(&self, _params: &[f64]) -> f64 {
        if self.without_input { 0.0 } else { 1.0 }
    }
}
