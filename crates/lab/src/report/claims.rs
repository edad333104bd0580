//! The table of claims: the first thing that a report says.

use serde_json::Value;

use super::ReportRun;
use super::html::escape;

/// A claim with what a run says of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportClaim {
    /// Its id.
    pub id: String,
    /// The statement.
    pub says: String,
    /// What is compared.
    pub formula: String,
    /// Who says it, and where.
    pub source: String,
    /// `holds`, `violated`, `undecided` or `not-applicable`.
    pub verdict: String,
    /// Slack or reason.
    pub text: String,
}

impl ReportClaim {
    /// From an entry of `findings.json`; what is missing stays empty.
    pub fn of(value: &Value) -> ReportClaim {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        ReportClaim {
            id: text("id"),
            says: text("says"),
            formula: text("formula"),
            source: text("source"),
            verdict: text("verdict"),
            text: text("text"),
        }
    }
}

/// Sorts of verdicts in the order in which a reader wants them, and whether they stand open.
const ORDER: [(&str, bool); 5] = [
    ("violated", true),
    ("holds", true),
    ("undecided", true),
    ("not-measured", false),
    ("not-applicable", false),
];

/// The verdict, with what is undecided only for want of a column told apart.
fn sort(claim: &ReportClaim) -> &str {
    match claim.verdict.as_str() {
        "undecided" if claim.text.starts_with("needs the column") => "not-measured",
        verdict => verdict,
    }
}

/// The table of one run, or the verdicts of several side by side; nothing where no run has claims.
pub(super) fn table(runs: &[ReportRun]) -> String {
    match runs {
        [run] if !run.claims.is_empty() => of_one(&run.claims),
        [] | [_] => String::new(),
        runs => of_several(runs),
    }
}

fn word(verdict: &str) -> String {
    format!("<span class=\"verdict {}\">{}</span>", escape(verdict), escape(&verdict.replace('-', " ")))
}

fn count(claims: &[ReportClaim], verdict: &str) -> usize {
    claims.iter().filter(|c| sort(c) == verdict).count()
}

fn heading(claims: &[ReportClaim]) -> String {
    let counts =
        ORDER.map(|(verdict, _)| format!("{} {}", count(claims, verdict), verdict.replace('-', " ")));
    format!("<h2>Claims</h2>\n<p class=\"note\">{}</p>\n", counts.join(", "))
}

fn of_one(claims: &[ReportClaim]) -> String {
    let mut out = format!("<section class=\"claims\">{}", heading(claims));
    for (verdict, open) in ORDER {
        let rows: String = claims
            .iter()
            .filter(|c| sort(c) == verdict)
            .map(|c| {
                format!(
                    "<tr><th scope=\"row\" title=\"{}\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                    escape(&c.formula),
                    escape(&c.id),
                    word(verdict),
                    escape(&c.text),
                    escape(&c.says),
                    escape(&c.source)
                )
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let table = format!("<div class=\"scroll\"><table>{rows}</table></div>");
        if open {
            out += &table;
        } else {
            let title = format!("{} {}", count(claims, verdict), verdict.replace('-', " "));
            out += &format!("<details><summary>{title}</summary>{table}</details>");
        }
    }
    out + "</section>\n"
}

/// One line for every claim that applies to some run.
fn of_several(runs: &[ReportRun]) -> String {
    let mut ids: Vec<(&str, &str)> = Vec::new();
    for claim in runs.iter().flat_map(|r| &r.claims).filter(|c| c.verdict != "not-applicable") {
        if ids.iter().all(|(id, _)| *id != claim.id) {
            ids.push((&claim.id, &claim.says));
        }
    }
    if ids.is_empty() {
        return String::new();
    }
    let heads: String = runs.iter().map(|r| format!("<th scope=\"col\">{}</th>", escape(&r.name))).collect();
    let cell = |run: &ReportRun, id: &str| match run.claims.iter().find(|c| c.id == id) {
        Some(c) => format!("<td title=\"{}\">{}</td>", escape(&c.text), word(&c.verdict)),
        None => "<td class=\"none\">–</td>".to_owned(),
    };
    let rows: String = ids
        .iter()
        .map(|(id, says)| {
            let cells: String = runs.iter().map(|run| cell(run, id)).collect();
            format!("<tr><th scope=\"row\" title=\"{}\">{}</th>{cells}</tr>\n", escape(says), escape(id))
        })
        .collect();
    format!(
        "<section class=\"claims\"><details><summary>Claims of theory, {} that apply to some run</summary>\
         <div class=\"scroll\"><table><thead><tr><th></th>{heads}</tr></thead>{rows}</table></div></details></section>\n",
        ids.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violated_claim_stands_first_and_markup_stays_text() {
        let claim = |id: &str, verdict: &str| ReportClaim {
            id: id.into(),
            verdict: verdict.into(),
            says: "a < b".into(),
            ..ReportClaim::default()
        };
        let run = ReportRun {
            claims: vec![
                claim("x/holds", "holds"),
                claim("x/broken", "violated"),
                claim("x/na", "not-applicable"),
            ],
            ..ReportRun::default()
        };
        let text = table(std::slice::from_ref(&run));
        assert!(text.find("x/broken") < text.find("x/holds"), "{text}");
        assert!(text.contains("a &lt; b") && text.contains("1 violated, 1 holds"), "{text}");
        assert!(table(&[]).is_empty() && table(&[ReportRun::default()]).is_empty());
        assert!(table(&[run, ReportRun::default()]).contains("–"));
    }
}
