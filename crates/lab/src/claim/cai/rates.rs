//! The certificate behind the rate of the loss.

use latephase_core::cite::CAI_2025;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `cai/rates`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "cai/rates",
        kind: Kind::Static,
        mark: Mark::Derived,
        says: "the gradient is at least what order and loss say, wherever that is positive",
        formula: "rho |grad ln L| >= M phi - p'(rho)",
        assumes: "near-homogeneous; exponential tail; any dynamics",
        cite: Some(CAI_2025),
        item: "certificate of the rates, from Definition 1",
        needs: &[("rate_certificate", "near")],
    },
    applies: |facts| {
        facts.near_homogeneous()?;
        facts.exponential_tail()
    },
    judge: |view| {
        judge::at_looks(view, &judge::usable(view.rows), |rows, k| {
            Some(Slack::of(rows.get("rate_certificate")[k], 1.0))
        })
    },
};
