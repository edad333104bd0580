//! Well-separated groups give a margin that counts groups, not examples.

use latephase_core::cite::TELGARSKY_2022;

use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `telgarsky/neural-collapse-margin`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "telgarsky/neural-collapse-margin",
        kind: Kind::Limit,
        mark: Mark::Recalled,
        says: "on data in well-separated groups gradient flow reaches a margin of the order of the groups' own",
        formula: "smooth_margin >= margin_nc/(8 r) at the end, up to epsilon",
        assumes: "gradient flow; two-layer ReLU, wide; data in groups",
        cite: Some(TELGARSKY_2022),
        item: "Neural-Collapse theorem",
        needs: &[("smooth_margin", "margin")],
    },
    applies: |facts| {
        facts.follows_flow("l2")?;
        facts.two_layer()?;
        match facts.margin_nc {
            Some(_) => Ok(()),
            None => Err("is about data in groups of known margin".into()),
        }
    },
    judge: |view| match view.facts.margin_nc {
        Some((margin, groups)) => super::reaches(view, margin / (8.0 * groups)),
        None => Verdict::undecided("no groups"),
    },
};
