//! Smooth homogeneous functions need not converge in direction.

use latephase_core::cite::JI_TELGARSKY_2020;

use crate::claim::{About, Kind, Mark, Stated, direction};

/// `ji-telgarsky/definability-boundary`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "ji-telgarsky/definability-boundary",
        kind: Kind::Negative,
        mark: Mark::Paper,
        says: "without definability the direction need not converge, and no run may be said to show that it does",
        formula: "the check of ji-telgarsky/direction-converges does not come out as yes",
        assumes: "gradient flow; homogeneous, and not definable",
        cite: Some(JI_TELGARSKY_2020),
        item: "discussion; Appendix I of Lyu & Li 2020",
        needs: &[("direction_speed", "direction")],
    },
    applies: super::not_definable,
    judge: direction::not_shown,
};
