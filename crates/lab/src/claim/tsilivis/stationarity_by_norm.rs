//! What stationarity means in each norm.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::{About, Kind, Mark, Stated, judge, kkt_residual};

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
    judge: |view| {
        let own = super::Own::of(view.facts);
        if own.is_euclidean {
            return judge::limit(view, "epsilon/|theta~| of the best multipliers", kkt_residual(view), 1e-2);
        }
        let at = |name: &str| {
            let column = format!("{name}_{}", own.norm);
            view.late().last().map_or(f64::NAN, |&k| view.rows.get(&column).get(k).copied().unwrap_or(f64::NAN))
        };
        judge::both(["stationarity_dual", "stationarity_pairing"].map(|n| judge::limit(view, n, at(n), 1e-2)))
    },
};
