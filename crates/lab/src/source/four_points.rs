//! Four points in the plane whose margins are known exactly: the standing example of the test suite.
//!
//! (2, 1) and (1, 3) are positive, (−1, −2) and (−3, −½) negative. The linear margin 3/√2 is attained along (1, 1)
//! on (2, 1) and (−1, −2), whose mean (3/2)(1, 1) bounds it: so it is in every ℓ^p, 3/2^{1/p}. The two-layer ReLU margin is γ_gl = 1/(1/√5 + 1/2.2): one neuron along (2, 1), one along
//! −(1.32, 1.76), outer weights in the ratio 1/√5 : 1/2.2.

use std::f64::consts::SQRT_2;

use latephase_core::Invalid;
use serde::{Deserialize, Serialize};

use super::{Kind, Loaded, Lookup, SourceError, Truth, signs, vectors};

/// `kind = "four-points"` has no settings.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FourPoints {}

impl Kind for FourPoints {
    const ABOUT: &'static str = "four points in the plane with exact linear and ReLU margins";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [&'static str] = &[];

    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        None
    }

    fn load(&self, _: u64, _: &Lookup) -> Result<Loaded, SourceError> {
        let inputs = vec![2.0, 1.0, 1.0, 3.0, -1.0, -2.0, -3.0, -0.5];
        let global = 1.0 / (1.0 / 5f64.sqrt() + 1.0 / 2.2);
        let truth = Truth {
            margin_l2: Some(3.0 / SQRT_2),
            margin_l1: Some(1.5),
            margin_linf: Some(3.0),
            direction: Some(vec![1.0 / SQRT_2, 1.0 / SQRT_2]),
            margin_global: Some(global),
            margin_global_lower: Some(global),
            note: "closed forms, certified by matching primal and dual solutions".into(),
            ..Truth::default()
        };
        Ok(Loaded::synthetic(vectors(inputs, vec![0, 0, 1, 1], signs(), 2)?, None, truth))
    }
}
