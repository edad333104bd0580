//! The degree calculus bounds the defect.

use latephase_core::cite::CAI_2025;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `cai/defect-bound`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "cai/defect-bound",
        kind: Kind::Static,
        mark: Mark::Derived,
        says: "the defect of homogeneity and the distance to the homogenization are within the bounds of the degree calculus",
        formula: "|<grad f, theta> - M f| <= p'(rho); |f - f_H| <= p_a(rho)",
        assumes: "near-homogeneous; any dynamics",
        cite: Some(CAI_2025),
        item: "Definition 1 with the calculus",
        needs: &[("defect_ratio", "near")],
    },
    applies: |facts| facts.near_homogeneous().map(|_| ()),
    judge: |view| {
        let looks = judge::usable(view.rows);
        // The columns have rounding in their denominators.
        let ratio = |column: &'static str| {
            judge::at_looks(view, &looks, move |rows, k| Some(Slack::of(1.0, rows.get(column)[k])))
        };
        judge::both([ratio("defect_ratio"), ratio("homogenized_gap_ratio")])
    },
};
