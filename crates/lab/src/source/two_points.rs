//! One example of each class: the smallest problem with a margin.
//!
//! With p positive and q negative the maximal linear margin is the distance from the origin to the segment between
//! p and −q, along the nearest point. If ⟨p, q⟩ ≤ 0 the two-layer ReLU margin is γ_gl = 1/(1/‖p‖ + 1/‖q‖): the
//! neurons along p and q do not see each other's example, and no unit β gives more than ‖p‖ or ‖q‖ on either.

use latephase_core::Invalid;
use serde::{Deserialize, Serialize};

use super::random::{dot, norm};
use super::{Kind, Loaded, Lookup, SourceError, Truth, signs, vectors};

/// The settings of `kind = "two-points"`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TwoPoints {
    /// The example of class +1: (1, ½). Any dimension.
    pub positive: Vec<f64>,
    /// The example of class −1: (−1, ½). As many coordinates.
    pub negative: Vec<f64>,
}

impl Default for TwoPoints {
    fn default() -> Self {
        TwoPoints { positive: vec![1.0, 0.5], negative: vec![-1.0, 0.5] }
    }
}

impl Kind for TwoPoints {
    const ABOUT: &'static str = "one example of each class, margins in closed form";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [&'static str] = &[];

    fn check(&self) -> Result<(), Invalid> {
        for (field, point) in [("positive", &self.positive), ("negative", &self.negative)] {
            if point.is_empty() {
                return Err(Invalid::new(field, "a point needs at least one coordinate"));
            }
            if let Some(x) = point.iter().find(|x| !(**x == 0.0 || (1e-100..=1e100).contains(&x.abs()))) {
                return Err(Invalid::new(
                    field,
                    format!("coordinate {x} is not 0 or of size 1e-100 to 1e100"),
                ));
            }
        }
        if self.positive.len() != self.negative.len() {
            let message =
                format!("{} coordinates, but `positive` has {}", self.negative.len(), self.positive.len());
            return Err(Invalid::new("negative", message));
        }
        Ok(())
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        None
    }

    fn load(&self, _: u64, _: &Lookup) -> Result<Loaded, SourceError> {
        let inputs = self.positive.iter().chain(&self.negative).copied().collect();
        let train = vectors(inputs, vec![0, 1], signs(), self.positive.len())?;
        Ok(Loaded::synthetic(train, None, self.truth()))
    }
}

impl TwoPoints {
    fn truth(&self) -> Truth {
        let (p, q) = (&self.positive, &self.negative);
        let global = (dot(p, q) <= 0.0 && norm(p) > 0.0 && norm(q) > 0.0)
            .then(|| 1.0 / (1.0 / norm(p) + 1.0 / norm(q)));
        let side: Vec<f64> = p.iter().zip(q).map(|(p, q)| p + q).collect();
        // The nearest point of the segment is a·p − b·q. Both weights come from inner products: 1 − b would lose a
        // small a to rounding.
        let square = dot(&side, &side);
        let (a, b) = if square > 0.0 {
            ((dot(q, &side) / square).clamp(0.0, 1.0), (dot(p, &side) / square).clamp(0.0, 1.0))
        } else {
            (1.0, 0.0)
        };
        let nearest: Vec<f64> = p.iter().zip(q).map(|(p, q)| a * p - b * q).collect();
        let margin = norm(&nearest);
        // A segment through the origin leaves only the rounding of the subtraction.
        let is_separable = margin > 1e-14 * (a * norm(p) + b * norm(q));
        let note = match (is_separable, global) {
            (false, _) => "no hyperplane through the origin separates the points",
            (true, Some(_)) => "closed form",
            (true, None) => {
                "linear margin in closed form; the points lie less than 90 degrees apart, \
                so that the ReLU margin is not given"
            }
        };
        Truth {
            margin_l2: is_separable.then_some(margin),
            direction: is_separable.then(|| nearest.iter().map(|x| x / margin).collect()),
            margin_global: global,
            margin_global_lower: global,
            note: note.into(),
            ..Truth::default()
        }
    }
}
