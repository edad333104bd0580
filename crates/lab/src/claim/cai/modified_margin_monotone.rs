//! The modified margin never falls after strong separability.

use latephase_core::cite::CAI_2025;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `cai/modified-margin-monotone`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "cai/modified-margin-monotone",
        kind: Kind::FlowInequality,
        mark: Mark::Derived,
        says: "gradient flow never lowers the modified margin once the data are strongly separated",
        formula: "d/dt (phi - p_a(rho))/rho^M >= 0 where phi > p_a(rho)",
        assumes: "gradient flow; near-homogeneous; exponential tail; strongly separated",
        cite: Some(CAI_2025),
        item: "the flow theorem, proved from Definition 1",
        needs: &[("modified_margin", "near")],
    },
    applies: super::flow_setting,
    judge: |view| {
        if !view.rows.get("strongly_separated").contains(&1.0) {
            return Verdict::undecided("never strongly separated");
        }
        judge::flow(view, |rows, window| {
            if rows.get("strongly_separated")[window.from] != 1.0 {
                return None;
            }
            let margin = rows.get("modified_margin");
            let size = rows.get("margin")[window.to];
            Some(Slack::sized(margin[window.to], margin[window.from], size))
        })
    },
};
