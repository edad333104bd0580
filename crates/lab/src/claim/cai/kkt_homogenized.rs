//! The limit is a KKT point of the homogenised problem.

use latephase_core::cite::CAI_2025;

use crate::claim::{About, Kind, Mark, Stated, judge};

/// `cai/kkt-homogenized`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "cai/kkt-homogenized",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "the limit direction is that of a KKT point of the margin problem of the homogenised network",
        formula: "residual with gradients of f_H over |theta~| to 0; said to be consistent at 1e-2",
        assumes: "gradient flow, or descent; near-homogeneous; exponential tail",
        cite: Some(CAI_2025),
        item: "abstract; the homogenised form quoted",
        needs: &[("kkt_homogenized_relative", "near")],
    },
    applies: super::flow_setting,
    judge: |view| {
        let residual = view.at_end("kkt_homogenized_relative");
        judge::limit(view, "the homogenised residual over |theta~|", residual, 1e-2)
    },
};
