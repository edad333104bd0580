//! The dual certificate of a wide 2-homogeneous network.

use latephase_core::cite::JI_TELGARSKY_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `ji-telgarsky/two-homogeneous-dual`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "ji-telgarsky/two-homogeneous-dual",
        kind: Kind::Limit,
        mark: Mark::Recalled,
        says: "in the limit all alive neurons have one value under the dual weights; if no direction has more, the margin is globally maximal",
        formula: "max over the sphere of sum w_i phi_i - margin >= 0; spread over alive directions to 0, said to hold at 1e-2",
        assumes: "gradient flow; a sum of neurons of degree 2; exponential tail",
        cite: Some(JI_TELGARSKY_2020),
        item: "the two-homogeneous case",
        needs: &[("dual_gap", "two-homogeneous")],
    },
    applies: |facts| {
        super::flow_setting(facts)?;
        match facts.order() {
            Some(2.0) => Ok(()),
            _ => Err("is about sums of neurons of degree 2".into()),
        }
    },
    judge: |view| {
        let gap = judge::at_looks(view, &view.late(), |rows, k| {
            Some(Slack::sized(rows.get("dual_gap")[k], 0.0, rows.get("margin")[k]))
        });
        let spread = view.at_end("dual_spread");
        judge::both([gap, judge::limit(view, "the spread over alive directions", spread, 1e-2)])
    },
};
