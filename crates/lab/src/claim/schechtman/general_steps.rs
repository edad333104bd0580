//! The same for decaying steps and other exponential tails.

use latephase_core::cite::SCHECHTMAN_2025;

use crate::claim::{About, Kind, Mark, Stated, Verdict, judge};

/// `schechtman/general-steps`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "schechtman/general-steps",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "with deterministic or stochastic steps of general size, directions tend to critical points of the margin",
        formula: "as schechtman/criticality",
        assumes: "plain (stochastic) gradient descent, constant or decaying steps, batches drawn afresh; exactly homogeneous",
        cite: Some(SCHECHTMAN_2025),
        item: "Theorem 20",
        needs: &[("criticality", "sgd"), ("margin", "margin")],
    },
    applies: |facts| {
        facts.homogeneous()?;
        facts.exponential_tail()?;
        facts.bounded_steps_sgd()
    },
    judge: |view| {
        let Some(&k) = view.late().last() else { return Verdict::undecided(judge::NOT_SEPARATED) };
        if !(view.rows.get("margin")[k] >= 0.0) {
            return Verdict::undecided("the least margin is negative");
        }
        judge::limit(view, "the criticality residual", view.rows.get("criticality")[k], 1e-2)
    },
};
