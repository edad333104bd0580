//! Progress along one direction certifies a margin.

use latephase_core::cite::TELGARSKY_2022;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Tail};

/// `telgarsky/certified-escape`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "telgarsky/certified-escape",
        kind: Kind::FlowInequality,
        mark: Mark::Derived,
        says: "as long as all gradients have a part along one fixed direction, the margin is at least what the path earned",
        formula: "smooth_margin >= (gamma' path + l^-1(L(0)))/rho^2",
        assumes: "gradient flow; exponential or logistic loss; any network with a chain rule",
        cite: Some(TELGARSKY_2022),
        item: "potential argument, constant-free",
        needs: &[("escape_bound", "escape"), ("smooth_margin", "margin")],
    },
    applies: |facts| {
        facts.follows_flow("l2")?;
        match facts.tail {
            Tail::Exponential | Tail::Logistic => Ok(()),
            _ => Err("is about the exponential and logistic losses".into()),
        }
    },
    judge: |view| {
        judge::flow_always(view, |rows, window| {
            let bound = rows.get("escape_bound")[window.to];
            Some(Slack::of(rows.get("smooth_margin")[window.to], bound))
        })
    },
};
