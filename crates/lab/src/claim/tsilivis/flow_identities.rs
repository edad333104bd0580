//! What the loss loses is the dual norm times the path.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `tsilivis/flow-identities`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/flow-identities",
        kind: Kind::FlowIdentity,
        mark: Mark::Paper,
        says: "along steepest flow the loss falls by the square of the dual norm of the gradient, which is that of the velocity",
        formula: "d ln(1/L) = |g|_* |d theta|: the change of ln(1/L) between looks against the sum over steps, to within its quadrature error",
        assumes: "steepest flow; one gradient is the velocity",
        cite: Some(TSILIVIS_2024),
        item: "Proposition 7",
        needs: &[("work", "theory")],
    },
    applies: |facts| {
        facts.flow_norm()?;
        facts.needs_smooth()
    },
    judge: |view| {
        let own = super::Own::of(view.facts);
        let (work, error) = match own.is_euclidean {
            true => ("work".to_owned(), "work_error".to_owned()),
            false => (format!("work_{}", own.norm), format!("work_error_{}", own.norm)),
        };
        if let Some(unknown) = view.lacks(&work, "theory") {
            return unknown;
        }
        judge::flow_always(view, |rows, window| {
            let gained = -window.gain(rows, "ln_loss_sum");
            let off = (gained - window.gain(rows, &work)).abs();
            let size = rows.get("ln_loss_sum")[window.to].abs().max(rows.get(&work)[window.to].abs()).max(1.0);
            Some(Slack::sized(window.gain(rows, &error).abs(), off, size))
        })
    },
};
