//! Layers of a deep linear network align.

use latephase_core::cite::JI_TELGARSKY_2019;

use crate::claim::{About, Kind, Mark, Shape, Stated, judge};

/// `ji-telgarsky/deep-linear`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "ji-telgarsky/deep-linear",
        kind: Kind::Limit,
        mark: Mark::Derived,
        says: "every layer tends to rank one, neighbours align, norms agree, and the product tends to the maximum-margin direction",
        formula: "sigma_1/|W_k|_F, |<v_{k+1}, u_k>|, |W_k|_F/|W_j|_F and cos(product, SVM) to 1; said to hold at 1 - 1e-2",
        assumes: "gradient flow; a deep linear network with one output; exponential tail",
        cite: Some(JI_TELGARSKY_2019),
        item: "exact form in Ji & Telgarsky 2019",
        needs: &[("rank_one", "layers")],
    },
    applies: |facts| {
        if facts.shape != Shape::DeepLinear {
            return Err("is about deep linear networks".into());
        }
        super::flow_setting(facts)
    },
    judge: |view| {
        let columns = ["rank_one", "layer_alignment", "norm_ratio", "product_cosine"];
        judge::both(columns.map(|c| judge::limit(view, &format!("1 - {c}"), 1.0 - view.at_end(c), 1e-2)))
    },
};
