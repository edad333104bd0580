//! The norm grows by an identity at every step.

use latephase_core::cite::SCHECHTMAN_2025;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `schechtman/norm-identity`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "schechtman/norm-identity",
        kind: Kind::Identity,
        mark: Mark::Paper,
        says: "a step of (stochastic) gradient descent changes the squared norm by an exact formula",
        formula: "|w'|^2 = |w|^2 - (2 L gamma/n_b) sum l'(p) p + (gamma^2/n_b^2) |sum l'(p) a|^2",
        assumes: "plain (stochastic) gradient descent; exactly homogeneous",
        cite: Some(SCHECHTMAN_2025),
        item: "equation 30",
        needs: &[("norm_identity", "sgd")],
    },
    applies: |facts| {
        facts.homogeneous()?;
        facts.plain_gradient_steps()
    },
    judge: |view| {
        judge::at_looks(view, &judge::usable(view.rows), |rows, k| {
            Some(Slack::sized(1e-12, rows.get("norm_identity")[k], 1.0))
        })
    },
};
