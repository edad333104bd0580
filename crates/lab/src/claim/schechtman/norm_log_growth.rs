//! The norm grows like a power of the logarithm of steps.

use latephase_core::cite::SCHECHTMAN_2025;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `schechtman/norm-log-growth`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "schechtman/norm-log-growth",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "once all margins are positive the norm never falls, and its L-th power goes like ln k",
        formula: "|w_{k+1}| >= |w_k| once every p_i > 0; rho^L/ln k in a band of factor 3 over the last decade of steps",
        assumes: "SGD with a constant step, batches drawn afresh; exactly homogeneous",
        cite: Some(SCHECHTMAN_2025),
        item: "Proposition 3",
        needs: &[("norm_decreases", "sgd"), ("norm_power_over_ln_step", "sgd")],
    },
    applies: super::setting,
    judge: |view| {
        let never = judge::at_looks(view, &judge::usable(view.rows), |rows, k| {
            Some(Slack::sized(0.0, rows.get("norm_decreases")[k], 1.0))
        });
        let Verdict::Holds { .. } = never else { return never };
        super::band(view, "norm_power_over_ln_step")
    },
};
