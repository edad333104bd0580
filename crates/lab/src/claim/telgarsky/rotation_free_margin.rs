//! Neurons that only change in norm reach half the best margin.

use latephase_core::cite::TELGARSKY_2022;

use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `telgarsky/rotation-free-margin`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "telgarsky/rotation-free-margin",
        kind: Kind::Limit,
        mark: Mark::Recalled,
        says: "the flow of the norms alone reaches at least half of what any two-layer network can",
        formula: "smooth_margin >= margin_global/4 at the end",
        assumes: "gradient flow; the rotation-free network, wide; a known global margin",
        cite: Some(TELGARSKY_2022),
        item: "rotation-free theorem",
        needs: &[("smooth_margin", "margin")],
    },
    applies: |facts| {
        facts.follows_flow("l2")?;
        if !facts.rotation_free {
            return Err("is about the rotation-free network".into());
        }
        super::known_global(facts).map(|_| ())
    },
    judge: |view| match super::known_global(view.facts) {
        Ok(global) => super::reaches(view, global / 4.0),
        Err(why) => Verdict::undecided(why),
    },
};
