//! Directions tend to critical points of the margin on the sphere.

use latephase_core::cite::SCHECHTMAN_2025;

use crate::claim::{About, Kind, Mark, Stated, Verdict, judge};

/// `schechtman/criticality`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "schechtman/criticality",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "the least margin on the sphere converges to a positive limit, and the direction tends to its critical points",
        formula: "tangent minimum-norm residual of the active margins to 0; said to hold at 1e-2",
        assumes: "SGD with a constant step, batches drawn afresh; exactly homogeneous",
        cite: Some(SCHECHTMAN_2025),
        item: "Theorem 5",
        needs: &[("criticality", "sgd"), ("margin", "margin")],
    },
    applies: super::setting,
    judge: |view| {
        let Some(&k) = view.late().last() else { return Verdict::undecided(judge::NOT_SEPARATED) };
        if !(view.rows.get("margin")[k] > 0.0) {
            return Verdict::undecided("the least margin is not positive yet");
        }
        judge::limit(view, "the criticality residual", view.rows.get("criticality")[k], 1e-2)
    },
};
