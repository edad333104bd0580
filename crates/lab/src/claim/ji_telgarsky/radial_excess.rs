//! The radial part of the gradient exceeds L times the loss inverse.

use latephase_core::cite::JI_TELGARSKY_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::lyu_li::nu_is_large;
use crate::claim::{About, Kind, Mark, Stated, Tail};

/// `ji-telgarsky/radial-excess`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "ji-telgarsky/radial-excess",
        kind: Kind::Static,
        mark: Mark::Derived,
        says: "the gradient of the loss inverse has at least the radial part of an L-homogeneous function; the excess is L times an entropy",
        formula: "sum w q >= G f'(G); exponential loss: sum w q - u <= ln N",
        assumes: "exactly homogeneous; exponential tail; loss below its threshold; any dynamics",
        cite: Some(JI_TELGARSKY_2020),
        item: "with the proof of Theorem 3.1",
        needs: &[("nu_rel", "alignment"), ("smooth_margin", "margin")],
    },
    applies: |facts| {
        facts.homogeneous()?;
        facts.exponential_tail()
    },
    judge: |view| {
        let least = nu_is_large(view);
        let is_exponential = view.facts.tail == Tail::Exponential;
        let most = is_exponential.then(|| {
            let entropy = (view.facts.n as f64).ln();
            judge::at_looks(view, &view.late(), |rows, k| {
                let nu = rows.get("nu_rel")[k];
                Some(Slack::sized(entropy, nu + rows.get("ln_loss_sum")[k], nu.max(1.0)))
            })
        });
        judge::both(std::iter::once(least).chain(most))
    },
};
