//! Euler's identity, and how fast the norm grows.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `lyu-li/norm-growth`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/norm-growth",
        kind: Kind::Identity,
        mark: Mark::Paper,
        says: "half the growth of rho^2 is L times nu, and nu is at least what the loss says",
        formula: "<theta, g> = L sum w q exactly; after separation sum w q >= G f'(G), G = l^-1(L) (exp: u)",
        assumes: "exactly homogeneous; exponential tail; any dynamics",
        cite: Some(LYU_LI_2020),
        item: "Theorem B.4",
        needs: &[("euler_defect", "alignment"), ("smooth_margin", "margin")],
    },
    applies: |facts| {
        facts.homogeneous()?;
        facts.exponential_tail()
    },
    judge: |view| {
        let degree = view.facts.order().unwrap_or(f64::NAN);
        // A product of L layers rounds L times as often.
        let allowed = 1e-12 * degree.max(1.0);
        let identity = judge::at_looks(view, &judge::usable(view.rows), |rows, k| {
            Some(Slack::sized(allowed, rows.get("euler_defect")[k], 1.0))
        });
        let bound = view.separation().map(|_| super::nu_is_large(view));
        judge::both(std::iter::once(identity).chain(bound))
    },
};
