//! Smooth norms: the gap controls the distance to stationarity.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `tsilivis/smooth-norm-kkt`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/smooth-norm-kkt",
        kind: Kind::Static,
        mark: Mark::Paper,
        says: "in a smooth norm the Bregman gap bounds the squared distance to stationarity",
        formula: "D >= |v - k|^2/(2(p - 1)) in l_p, 2 <= p < inf",
        assumes: "l2 or l_p steepest flow, p >= 2; exactly homogeneous; exponential loss",
        cite: Some(TSILIVIS_2024),
        item: "Corollary 30, with the direction of the inequality corrected",
        needs: &[("margin", "margin")],
    },
    applies: |facts| {
        facts.exponential()?;
        super::flow_setting(facts)?;
        super::exponent(facts).map(|_| ())
    },
    judge: |view| {
        let own = super::Own::of(view.facts);
        let Ok(p) = super::exponent(view.facts) else { return Verdict::undecided("not an l_p norm") };
        let gap = format!("kkt_bregman_{}", own.norm);
        let epsilon = if own.is_euclidean { "kkt_epsilon".to_owned() } else { format!("kkt_epsilon_{}", own.norm) };
        if let Some(unknown) = view.lacks(&gap, "geometry") {
            return unknown;
        }
        judge::at_looks(view, &judge::usable(view.rows), |rows, k| {
            let distance = rows.get(&epsilon).get(k).copied()?;
            let size = rows.get(&own.margin)[k].powf(-2.0 / own.degree);
            Some(Slack::sized(rows.get(&gap)[k] * (1.0 + 1e-10), distance * distance / (2.0 * (p - 1.0)), size))
        })
    },
};
