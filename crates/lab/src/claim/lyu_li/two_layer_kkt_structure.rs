//! What a KKT point of a two-layer ReLU network looks like.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::{About, Kind, Mark, Stated, judge};

/// `lyu-li/two-layer-kkt-structure`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/two-layer-kkt-structure",
        kind: Kind::Limit,
        mark: Mark::Derived,
        says: "at a KKT point every alive neuron sees a weighted sum of examples of norm one, and the multipliers add up to |theta|^2/L",
        formula: "max over alive neurons of ||z_r| - 1| to 0; said to hold at 1e-2",
        assumes: "gradient flow; two-layer ReLU without biases; exponential tail",
        cite: Some(LYU_LI_2020),
        item: "KKT conditions of the two-layer case",
        needs: &[("neuron_structure", "theory")],
    },
    applies: |facts| {
        super::flow_setting(facts)?;
        match facts.two_layer()? {
            "relu" => Ok(()),
            other => Err(format!("is about ReLU; the activation is {other}")),
        }
    },
    judge: |view| {
        let off = view.at_end("neuron_structure");
        judge::limit(view, "max ||z_r| - 1| over alive neurons", off, 1e-2)
    },
};
