//! Neurons that only change in norm reach half the best margin.

use latephase_core::cite::TELGARSKY_2022;

use crate::claim::{About, Kind, Mark, Stated, Verdict, judge};

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
    judge: |view| {
        let Some(&k) = view.late().last() else { return Verdict::undecided(judge::NOT_SEPARATED) };
        let Ok(global) = super::known_global(view.facts) else { return Verdict::undecided("no global margin") };
        let (ours, bound) = (view.rows.get("smooth_margin")[k], global / 4.0);
        if ours >= bound {
            return Verdict::Holds { slack: ours / bound - 1.0 };
        }
        Verdict::undecided(format!("the smoothed margin is {ours:.3e}, the bound {bound:.3e}"))
    },
};
