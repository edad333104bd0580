//! An audit in words, and as a page.

use super::{Audit, Stock};
use crate::report::{Added, ReportCell, ReportRun, ReportTable, render};
use crate::spec::Spec;
use crate::summary::{citations, loss, plain};

/// Support vectors that are told one by one.
const TOLD: usize = 10;

/// Label and value, by section.
pub fn sections(audit: &Audit) -> Vec<(&'static str, Vec<(String, String)>)> {
    let get = |column: &str| plain(audit.get(column));
    let percent = |v: f64| if v.is_nan() { "-".into() } else { format!("{:.2} %", 100.0 * v) };
    let line = |label: &str, value: String| (label.to_owned(), value);
    let sizes = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    let mut model = vec![
        line("weights", audit.weights.clone()),
        line("SHA-256", audit.sha256.clone()),
        line("degree", audit.degree.clone()),
        line("parameters", audit.parameters.to_string()),
    ];
    model.extend(
        audit
            .blocks
            .iter()
            .map(|b| line(&format!("norm of {} ({})", b.name, sizes(&b.shape)), plain(b.norm))),
    );
    let fit = vec![
        line("training accuracy", percent(audit.get("train_accuracy"))),
        line("test accuracy", percent(audit.get("test_accuracy"))),
        line("loss, in the reduction of the spec", loss(audit.get("log10_loss"))),
        line("ln of the loss", get("ln_loss")),
        line("log10 of the loss", get("log10_loss")),
    ];
    let place = vec![
        line("separated (late phase)", if audit.is_separated { "yes" } else { "no" }.into()),
        line("ln(1/L) of the sum", plain(-audit.get("ln_loss_sum"))),
        line("ln of the norm of theta", get("ln_rho")),
        line("beta, cosine of theta and the force", get("beta")),
        line("defect of Euler's identity, by the degree", get("euler_defect")),
    ];
    let margins = vec![
        line("least margin q_min", get("q_min")),
        line("normalised margin q_min/rho^L", get("margin")),
        line("over the product of layer norms", get("margin_product")),
        line("smoothed margin", get("smooth_margin")),
        line("margin by the largest entry (linf)", get("margin_linf")),
        line("margin by the sum of entries (l1)", get("margin_l1")),
    ];
    let kkt = vec![
        line("epsilon, gradient multipliers", get("kkt_epsilon")),
        line("delta, gradient multipliers", get("kkt_delta")),
        line("epsilon, best multipliers", get("kkt_epsilon_fit")),
        line("the same relative to theta", get("kkt_relative")),
        line("delta, best multipliers", get("kkt_delta_fit")),
        line("constraints up to 2 q_min, at most 256", audit.support.len().to_string()),
        line("theta that they leave unexplained", percent(audit.support_residual)),
    ];
    let mut robust = vec![
        line("Lipschitz constant of a margin, from layer norms", plain(audit.lipschitz)),
        line("least radius by the product margin (Lyu & Li)", plain(audit.radius_of_margin)),
    ];
    for set in ["train", "test"] {
        if audit.get(&format!("robust_radius_{set}")).is_nan() {
            continue;
        }
        robust
            .push(line(&format!("{set}: least certified radius"), get(&format!("robust_lower_least_{set}"))));
        robust.push(line(&format!("{set}: median certified radius"), get(&format!("robust_lower_{set}"))));
        robust.push(line(&format!("{set}: median radius found"), get(&format!("robust_radius_{set}"))));
        let start = format!("robust_{set}_");
        for (name, value) in audit.row.iter().filter(|(name, _)| name.starts_with(&start)) {
            robust.push(line(&format!("{set}: accuracy beyond {}", &name[start.len()..]), percent(*value)));
        }
    }
    vec![
        ("The network", model),
        ("Fit", fit),
        ("Where it stands", place),
        ("Margins", margins),
        ("KKT residuals of the margin problem", kkt),
        ("Robustness (l2)", robust),
    ]
}

/// What the emulated stock losses mean, in a sentence each.
pub fn verdict(stock: &Stock) -> String {
    let Stock { precision, function, value, zero, wrong, cosine } = stock;
    let share = |v: f64| format!("{:.1} %", 100.0 * v);
    if *zero >= 1.0 {
        return format!("{function} in {precision} has ended: its gradient is 0 for every training example.");
    }
    let value = if *value == 0.0 { "exactly 0".to_owned() } else { format!("{value:.1e}") };
    let how = match cosine {
        c if *c >= 0.9999 && *wrong == 0.0 => "still right everywhere",
        c if *c >= 0.99 => "right as a whole",
        _ => "pointing elsewhere",
    };
    format!(
        "{function} in {precision}: mean {value}, gradient {how} (cosine {cosine:.4} with the true one); wrong for {} of the \
         training examples, 0 for {}.",
        share(*wrong),
        share(*zero)
    )
}

/// The audit as text.
pub fn text(audit: &Audit) -> String {
    let mut text = String::new();
    for (title, lines) in sections(audit) {
        text += &format!("{title}\n");
        let width = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        for (label, value) in lines.iter().filter(|(_, value)| value != "-") {
            text += &format!("  {label:<width$}  {value}\n");
        }
    }
    if !audit.support.is_empty() {
        text += "Support: the examples that explain theta best\n";
        for s in audit.support.iter().filter(|s| s.share > 0.0).take(TOLD) {
            let rival = s.rival.as_ref().map_or(String::new(), |r| format!(" against {r}"));
            text += &format!(
                "  example {:<6} {}{rival}  margin {}  ({:.4} of the least)  share {:.1} %\n",
                s.example,
                s.label,
                plain(s.margin),
                s.relative,
                100.0 * s.share
            );
        }
        let more = audit.support.iter().filter(|s| s.share > 0.0).count().saturating_sub(TOLD);
        if more > 0 {
            text += &format!("  and {more} more\n");
        }
    }
    if !audit.stock.is_empty() {
        text += "The loss that it was trained with\n";
        audit.stock.iter().for_each(|stock| text += &format!("  {}\n", verdict(stock)));
    }
    audit.notes.iter().for_each(|note| text += &format!("not measured: {note}\n"));
    text
}

/// The audit as a page that opens without a network.
///
/// # Errors
/// A part of the spec that no text can hold.
pub fn report(audit: &Audit, spec: &Spec) -> Result<String, crate::Error> {
    let cell = |text: String| ReportCell { text, is_best: false };
    let mut tables: Vec<ReportTable> = Vec::new();
    for (title, lines) in sections(audit) {
        let rows =
            lines.into_iter().filter(|(_, v)| v != "-").map(|(label, v)| (label, vec![cell(v)])).collect();
        tables.push(ReportTable {
            title: title.into(),
            columns: vec!["value".into()],
            rows,
            ..Default::default()
        });
    }
    let supporting = audit.support.iter().map(|s| {
        let against = s.rival.clone().unwrap_or_else(|| "-".into());
        let values = [
            s.label.clone(),
            against,
            plain(s.margin),
            format!("{:.5}", s.relative),
            format!("{:.4}", s.share),
        ];
        (format!("example {}", s.example), values.map(cell).to_vec())
    });
    tables.push(ReportTable {
        title: "Support".into(),
        note: "The constraints of margins up to twice the least, at most 256, and their shares of the multipliers that explain θ best.".into(),
        columns: ["class", "against", "margin", "over the least", "share"].map(String::from).to_vec(),
        rows: supporting.collect(),
    });
    let stock = audit.stock.iter().map(|s| {
        let values = [
            format!("{:e}", s.value),
            format!("{:.6}", s.cosine),
            format!("{:.2} %", 100.0 * s.wrong),
            format!("{:.2} %", 100.0 * s.zero),
        ];
        (format!("{} in {}", s.function, s.precision), values.map(cell).to_vec())
    });
    tables.push(ReportTable {
        title: "The loss that it was trained with".into(),
        note: "What the stock function gives for the same outputs: its mean, the cosine of its gradient with the true one, and \
               the shares of the training examples whose gradient is wrong or 0."
            .into(),
        columns: ["mean", "cosine", "wrong", "zero"].map(String::from).to_vec(),
        rows: stock.collect(),
    });
    let sentence = format!(
        "{} on {} examples: loss {}, normalised margin {}. {}",
        audit.degree,
        audit.examples,
        loss(audit.get("log10_loss")),
        plain(audit.get("margin")),
        audit.stock.iter().map(verdict).collect::<Vec<_>>().join(" ")
    );
    let run = ReportRun {
        name: audit.weights.clone(),
        columns: audit.row.iter().map(|(name, value)| (name.clone(), vec![*value])).collect(),
        spec_toml: spec.resolved_toml()?,
        outcome: sentence,
        outcome_kind: "audit".into(),
        citations: citations(spec).into_iter().map(|c| c.text.to_owned()).collect(),
        ..ReportRun::default()
    };
    let note = audit.notes.iter().map(|note| format!("Not measured: {note}.")).collect::<Vec<_>>().join(" ");
    let added = Added { note, tables, ..Added::default() };
    Ok(render(&format!("Audit of {}", audit.weights), &[run], &added))
}
