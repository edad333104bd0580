//! The margin of the product of block norms.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `lyu-li/multi-homogeneous-margin`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/multi-homogeneous-margin",
        kind: Kind::FlowInequality,
        mark: Mark::Paper,
        says: "gradient flow never lowers the smoothed margin of the product of block norms either",
        formula: "d smooth_margin_product/dt >= 0; blocks of degree 1: margin <= L^(-L/2) margin_product (derived)",
        assumes: "gradient flow; homogeneous in every block; exponential tail; loss below its threshold",
        cite: Some(LYU_LI_2020),
        item: "Appendix G",
        needs: &[("smooth_margin_product", "margin")],
    },
    applies: |facts| {
        super::flow_setting(facts)?;
        if facts.block_degrees.iter().any(|d| d.is_nan() || *d < 0.0) {
            return Err("needs a degree in every block".into());
        }
        Ok(())
    },
    judge: |view| {
        let degree = view.facts.order().unwrap_or(f64::NAN);
        let monotone = judge::never_falls(view, "smooth_margin_product");
        let layers_of_degree_one = view.facts.layer_degrees.iter().all(|d| *d == 1.0)
            && view.facts.layer_degrees.len() as f64 == degree;
        let relation = layers_of_degree_one.then(|| {
            let looks = view.late();
            judge::at_looks(view, &looks, |rows, k| {
                let (margin, product) = (rows.get("margin")[k], rows.get("margin_product")[k]);
                (margin > 0.0).then(|| Slack::of(degree.powf(-degree / 2.0) * product, margin))
            })
        });
        judge::both(std::iter::once(monotone).chain(relation))
    },
};
