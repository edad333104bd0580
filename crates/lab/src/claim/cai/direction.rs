//! The direction converges, for near-homogeneous networks too.

use latephase_core::cite::CAI_2025;

use crate::claim::{About, Kind, Mark, Stated, direction};

/// `cai/direction`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "cai/direction",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "the iterates converge in direction",
        formula: "as ji-telgarsky/direction-converges",
        assumes: "gradient flow, or descent; near-homogeneous and definable; exponential tail",
        cite: Some(CAI_2025),
        item: "abstract",
        needs: &[("direction_speed", "direction")],
    },
    applies: |facts| {
        facts.near_homogeneous()?;
        facts.exponential_tail()?;
        if !facts.definable {
            return Err("needs a network definable in an o-minimal structure".into());
        }
        facts.follows_flow("l2")
    },
    judge: |view| direction::converges(view),
};
