//! What stationarity means in each norm.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::{About, Kind, Mark, Stated};

/// `tsilivis/stationarity-by-norm`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/stationarity-by-norm",
        kind: Kind::Limit,
        mark: Mark::Derived,
        says: "v is a subgradient of |theta|^2/2 exactly where its dual norm is |theta| and its pairing with theta |theta|^2: both defects vanish",
        formula: "||v|_*/|theta| - 1| and |<v, theta>/|theta|^2 - 1| of the fitted multipliers; said to hold at 1e-2",
        assumes: "steepest flow; exactly homogeneous; exponential loss",
        cite: Some(TSILIVIS_2024),
        item: "duality of norms",
        needs: &[("margin", "margin")],
    },
    applies: |facts| {
        facts.exponential()?;
        super::flow_setting(facts)
    },
    judge: |view| super::stationarity(view, &["stationarity_dual", "stationarity_pairing"]),
};
