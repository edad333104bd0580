//! The loss falls at least as its order says.

use latephase_core::cite::CAI_2025;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `cai/key-inequality`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "cai/key-inequality",
        kind: Kind::FlowInequality,
        mark: Mark::Derived,
        says: "per unit of ln rho, phi grows at least by M phi - p'(rho)",
        formula: "d phi/d ln rho >= M phi - p'(rho) where rho grows; between looks by the lower sum",
        assumes: "gradient flow; near-homogeneous; exponential loss",
        cite: Some(CAI_2025),
        item: "proof of the flow theorem",
        needs: &[("rho", "margin"), ("key_violations", "near")],
    },
    applies: |facts| {
        facts.near_homogeneous()?;
        facts.exponential()?;
        facts.follows_flow("l2")
    },
    judge: |view| {
        let order = view.facts.order().unwrap_or(f64::NAN);
        let Some(defect) = view.facts.degree.defect() else { return Verdict::undecided("no bound of the defect") };
        let classes = if view.facts.classes > 2 { 2f64.sqrt() } else { 1.0 };
        judge::flow(view, |rows, window| {
            let phi = |k: usize| -rows.get("ln_loss_sum")[k];
            let run = window.gain(rows, "ln_rho");
            // φ grows along the window and p′ with ρ: the lower sum.
            let least = order * phi(window.from) - classes * defect.at(rows.get("rho")[window.to]);
            (run > 0.0 && least > 0.0).then(|| {
                let size = phi(window.to).abs() * (1.0 + rows.get("ln_rho")[window.to].abs());
                Slack::sized(phi(window.to) - phi(window.from), least * run, size)
            })
        })
    },
};
