//! What the loss loses goes into growth and rotation.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `lyu-li/loss-decomposition`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/loss-decomposition",
        kind: Kind::FlowIdentity,
        mark: Mark::Paper,
        says: "the loss falls by the square of the velocity, of which one part grows the norm and the other turns the direction",
        formula: "d ln(1/L)/ds = |g|^2: the change of ln(1/L) between looks against the sum over steps of <g, d theta>, to within its quadrature error",
        assumes: "gradient flow; one gradient is the velocity",
        cite: Some(LYU_LI_2020),
        item: "Section 5",
        needs: &[("work", "theory"), ("work_error", "theory")],
    },
    applies: |facts| {
        facts.follows_flow("l2")?;
        facts.needs_smooth()
    },
    judge: |view| {
        judge::flow_always(view, |rows, window| {
            let gained = -window.gain(rows, "ln_loss_sum");
            let off = (gained - window.gain(rows, "work")).abs();
            let size = rows.get("ln_loss_sum")[window.to].abs().max(rows.get("work")[window.to].abs()).max(1.0);
            Some(Slack::sized(window.gain(rows, "work_error").abs(), off, size))
        })
    },
};
