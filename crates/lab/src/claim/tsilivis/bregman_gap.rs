//! 1 − a is the KKT gap in every geometry.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `tsilivis/bregman-gap`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/bregman-gap",
        kind: Kind::Identity,
        mark: Mark::Paper,
        says: "the Bregman divergence to stationarity is the misalignment over the squared margin, and the flow keeps it below its value at separation",
        formula: "D = margin^(-2/L)(1 - a) <= smooth_margin(t0)^(-2/L)(1 - a); in l2 D = epsilon^2/2",
        assumes: "exactly homogeneous; exponential tail; the bound: steepest flow",
        cite: Some(TSILIVIS_2024),
        item: "Proposition 28; equality derived",
        needs: &[("margin", "margin")],
    },
    applies: |facts| {
        facts.homogeneous()?;
        facts.exponential_tail()?;
        facts.any_norm().map(|_| ())
    },
    judge: |view| {
        let own = super::Own::of(view.facts);
        let column = format!("kkt_bregman_{}", own.norm);
        if let Some(unknown) = view.lacks(&column, "geometry") {
            return unknown;
        }
        let equality = own.is_euclidean.then(|| {
            judge::at_looks(view, &judge::usable(view.rows), |rows, k| {
                let epsilon = rows.get("kkt_epsilon").get(k).copied()?;
                let off = (rows.get(&column)[k] - epsilon * epsilon / 2.0).abs();
                let size = rows.get("margin")[k].powf(-2.0 / own.degree);
                // Both come from distances of unit vectors.
                Some(Slack::sized(1e-10 * rows.get(&column)[k].abs(), off, size))
            })
        });
        let along = view.facts.flow_norm().is_ok().then(|| {
            judge::flow(view, |rows, window| {
                let bound = rows.get(&format!("kkt_bregman_bound_{}", own.norm)).get(window.to).copied()?;
                let size = rows.get(&own.margin)[window.to].powf(-2.0 / own.degree);
                Some(Slack::sized(bound, rows.get(&column)[window.to], size))
            })
        });
        judge::both(equality.into_iter().chain(along))
    },
};
