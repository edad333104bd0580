//! The loss falls at least as fast as its smooth margin says.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `tsilivis/rate-integral`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/rate-integral",
        kind: Kind::FlowInequality,
        mark: Mark::Paper,
        says: "the dual norm of the gradient is at least what the smooth margin at separation says",
        formula: "|g|_* >= L smooth_margin(t0)^(1/L) u^(1-1/L)",
        assumes: "steepest flow; exactly homogeneous; exponential loss; loss below 1",
        cite: Some(TSILIVIS_2024),
        item: "Lemma 10, in the frame",
        needs: &[("nu_rel", "alignment"), ("margin", "margin")],
    },
    applies: |facts| {
        facts.exponential()?;
        super::flow_setting(facts)
    },
    judge: |view| {
        let own = super::Own::of(view.facts);
        let Some(start) = view.separation() else { return Verdict::undecided(judge::NOT_SEPARATED) };
        if let Some(unknown) = view.lacks(&own.alignment, "geometry") {
            return unknown;
        }
        let degree = own.degree;
        let first = view.rows.get(&own.smooth)[start];
        judge::flow(view, |rows, window| {
            let k = window.to;
            // ⟨θ, g⟩ = LΣwq = a‖θ‖‖g‖⋆, and ‖θ‖ = (q_min/γ)^{1/L}.
            let size = (rows.get("q_min")[k] / rows.get(&own.margin)[k]).powf(1.0 / degree);
            let dual = degree * rows.get("nu_rel")[k] / (size * rows.get(&own.alignment)[k]);
            let u = -rows.get("ln_loss_sum")[k];
            Some(Slack::of(dual, degree * first.powf(1.0 / degree) * u.powf(1.0 - 1.0 / degree)))
        })
    },
};
