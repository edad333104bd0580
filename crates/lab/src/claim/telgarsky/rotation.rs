//! How far neurons rotate.

use latephase_core::cite::TELGARSKY_2022;

use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `telgarsky/rotation`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "telgarsky/rotation",
        kind: Kind::Diagnostic,
        mark: Mark::Derived,
        says: "how far the neurons have turned from where they started",
        formula: "largest angle between v_j(t) and v_j(0)",
        assumes: "two-layer networks",
        cite: Some(TELGARSKY_2022),
        item: "the meaning of low rotation",
        needs: &[("rotation_max", "rotation")],
    },
    applies: |facts| if facts.rotation_free { Ok(()) } else { facts.two_layer().map(|_| ()) },
    judge: |view| {
        let angle = view.rows.last("rotation_max");
        Verdict::undecided(format!("a number to report: the largest angle is {angle:.3} rad"))
    },
};
