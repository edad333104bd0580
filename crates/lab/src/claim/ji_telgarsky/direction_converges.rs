//! The direction of θ converges.

use latephase_core::cite::JI_TELGARSKY_2020;

use crate::claim::{About, Kind, Mark, Stated, direction};

/// `ji-telgarsky/direction-converges`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "ji-telgarsky/direction-converges",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "the direction of theta has a limit: its curve has finite length",
        formula: "speed per ln rho decays faster than 1/ln rho, and what the fitted decay leaves ahead is 1e-2 or less",
        assumes: "gradient flow; definable and exactly homogeneous; exponential tail; loss below its threshold",
        cite: Some(JI_TELGARSKY_2020),
        item: "Theorem 3.1; the check derived",
        needs: &[("direction_speed", "direction")],
    },
    applies: |facts| {
        if !facts.definable {
            return Err("needs a network definable in an o-minimal structure".into());
        }
        super::flow_setting(facts)
    },
    judge: |view| direction::converges(view),
};
