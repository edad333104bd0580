//! Margins over the Lipschitz constant bound the robustness from below.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::findings::Columns;
use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `lyu-li/robustness-bound`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/robustness-bound",
        kind: Kind::Static,
        mark: Mark::Paper,
        says: "no adversarial perturbation is shorter than the normalised margin over the Lipschitz constant",
        formula: "certified radius <= radius found by an attack, in the median and on both sets",
        assumes: "any network with a known Lipschitz bound",
        cite: Some(LYU_LI_2020),
        item: "Section 6 and Appendix on robustness",
        needs: &[("robust_lower_train", "robustness")],
    },
    applies: |_| Ok(()),
    judge: |view| {
        let looks = judge::usable(view.rows);
        let set = |name: &'static str| {
            judge::at_looks(view, &looks, move |rows: &Columns, k| {
                let found = rows.get(&format!("robust_radius_{name}")).get(k).copied()?;
                let lower = rows.get(&format!("robust_lower_{name}")).get(k).copied()?;
                (lower > 0.0).then(|| Slack::of(found, lower))
            })
        };
        match (set("train"), set("test")) {
            (train, Verdict::Undecided { .. }) => train,
            (train, test) => judge::both([train, test]),
        }
    },
};
