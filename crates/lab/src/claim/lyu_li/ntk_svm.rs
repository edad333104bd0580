//! The limit solves the SVM of its own tangent features.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::{About, Kind, Mark, Stated, judge};

/// `lyu-li/ntk-svm`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/ntk-svm",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "the limit direction is the maximum-margin solution over the gradients at itself",
        formula: "angle between theta and the SVM solution over the tangent features at theta_hat to 0; said to hold at 1e-2",
        assumes: "gradient flow; exactly homogeneous; exponential tail",
        cite: Some(LYU_LI_2020),
        item: "Corollary 4.5, Lemma C.13",
        needs: &[("ntk_svm_angle", "ntk")],
    },
    applies: super::flow_setting,
    judge: |view| {
        let angle = view.at_end("ntk_svm_angle");
        judge::limit(view, "the angle to the SVM solution", angle, 1e-2)
    },
};
