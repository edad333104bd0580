//! The rotation-free two-layer network: F(x) = Σ_j a_j σ(b_j ⟨v_j, x⟩) with the unit vectors v_j frozen.
//!
//! Only the scalars (a_j, b_j) move, so that a neuron changes its size and never its direction. Its gradient flow conserves
//! every a_j² − b_j², and for a width exponential in the dimension it reaches a constant times the globally maximal margin
//! (Telgarsky 2022, section 3).
//!
//! θ₀ is drawn like that of a two-layer network and computes the same function: with (u_j, w_j) the inner row and outer
//! weight of the draw, v_j = u_j/‖u_j‖ and b_j = |a_j| = √(‖u_j‖·|w_j|), which is balanced.

use serde::{Deserialize, Serialize};

use super::layer::{AnyLayer, Building, Dense, Nonlinearity, Scale};
use super::network::assembled;
use super::{Architecture, Init, Model, Network, frozen};
use crate::catalogue::Entry;
use crate::cite::{Cite, TELGARSKY_2022};
use crate::numeric::norm;
use crate::{Invalid, Layout};

/// F(x) = Σ_j a_j σ(b_j ⟨v_j, x⟩), θ = (b, a), degree 2 for ReLU.
///
/// Its blocks are `0.weight` (the v_j, frozen), `1.scale` (b) and `3.weight` (a). Weights that are read or given are taken
/// as they are: their v_j need not be unit vectors.
///
/// # Examples
/// The v_j belong to the model, and θ is twice as long as the layer is wide:
/// ```
/// use latephase_core::model::{Architecture, Init, RotationFree};
/// use latephase_core::rng::stream;
/// let model = RotationFree { width: 3, activation: Default::default(), init: Init::default() };
/// let mut model = model.assemble(&[2], 1)?;
/// let stored = model.init(&mut stream(1, "model.init", 0));
/// model.fix(&stored);
/// assert_eq!((stored.len(), model.layout().dim()), (12, 6));
/// let theta = model.select(&stored);
/// assert!(model.conserved(&theta).iter().all(|c| c.abs() < 1e-15), "the draw is balanced");
/// # Ok::<(), latephase_core::Invalid>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationFree {
    /// Number of neurons.
    pub width: usize,
    /// σ, `relu` by default.
    #[serde(default)]
    pub activation: Nonlinearity,
    /// The law that the two-layer network is drawn from, `he` by default.
    #[serde(default)]
    pub init: Init,
}

impl Architecture for RotationFree {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        if self.width == 0 {
            return Err(Invalid::new("width", "a layer needs at least one neuron"));
        }
        self.activation.check()?;
        let layers: [AnyLayer; 4] = [
            Dense { width: Some(self.width), bias: false }.into(),
            Scale::default().into(),
            AnyLayer::Activation(self.activation.clone()),
            Dense { width: Some(outputs), bias: false }.into(),
        ];
        let inputs = [input_shape.iter().product()];
        let built = assembled(&layers, &inputs, &Building { outputs, kink: 0.0 }, "layers")?;
        let network = Network::new(&inputs, built, self.init.clone())?.settled(without_rotation);
        frozen::freeze(network, &["0".to_owned()])
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

/// Moves the lengths of the inner rows into the scalars, balanced, without changing the function.
fn without_rotation(layout: &Layout, stored: &mut [f64]) {
    let [directions, gains, outer] = layout.blocks() else { return };
    for j in 0..directions.rows {
        let row = &mut directions.of_mut(stored)[j * directions.cols..(j + 1) * directions.cols];
        let inner = norm(row);
        if inner > 0.0 {
            row.iter_mut().for_each(|v| *v /= inner);
        }
        let column: Vec<f64> = (0..outer.rows).map(|c| outer.of(stored)[c * outer.cols + j]).collect();
        let out = norm(&column);
        let root = (inner * out).sqrt();
        gains.of_mut(stored)[j] = root;
        for (c, w) in column.iter().enumerate() {
            outer.of_mut(stored)[c * outer.cols + j] = if out > 0.0 { root * (w / out) } else { 0.0 };
        }
    }
}

impl Entry for RotationFree {
    const ABOUT: &'static str =
        "two-layer network whose neurons change their sizes and keep their directions";
    const EXAMPLE: &'static str = "width = 8";
    const CITE: &'static [Cite] = &[TELGARSKY_2022];
}
