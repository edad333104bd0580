//! The table of rates: fitted exponents beside predicted ones.

use serde_json::Value;

use super::ReportRun;
use super::html::escape;
use crate::summary::plain;

/// A rate with what a run says of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportRate {
    /// Its id.
    pub id: String,
    /// The law.
    pub says: String,
    /// Who says it.
    pub source: String,
    /// The predicted exponent, as text.
    pub predicted: String,
    /// The fitted exponent with its interval, as text.
    pub fitted: String,
    /// What it is the exponent of, and over how many decades, as text.
    pub of: String,
    /// `consistent`, `inconsistent` or `too short`.
    pub verdict: String,
}

impl ReportRate {
    /// From an entry of `findings.json`; what is missing stays empty.
    pub fn of(value: &Value) -> ReportRate {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| plain(value[key].as_f64().unwrap_or(f64::NAN));
        let at_most = value["predicted_at_most"].as_f64();
        ReportRate {
            id: text("id"),
            says: text("says"),
            source: text("source"),
            predicted: at_most.map_or_else(|| number("predicted"), |p| format!("at most {}", plain(p))),
            fitted: format!("{} ({} to {})", number("slope"), number("low"), number("high")),
            of: format!("{} in {}, {} decades", text("y"), text("x"), number("decades")),
            verdict: text("verdict"),
        }
    }
}

/// The table of one run; nothing for several, and where a run has none.
pub(super) fn table(runs: &[ReportRun]) -> String {
    let [run] = runs else { return String::new() };
    if run.rates.is_empty() {
        return String::new();
    }
    let row = |rate: &ReportRate| {
        let cells = [&rate.verdict, &rate.fitted, &rate.predicted, &rate.of, &rate.says, &rate.source];
        let cells: String = cells.iter().map(|text| format!("<td>{}</td>", escape(text))).collect();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape(&rate.id))
    };
    let rows: String = run.rates.iter().map(row).collect();
    let heads = ["", "verdict", "fitted exponent (interval)", "predicted", "of", "law", "source"];
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    format!(
        "<section class=\"claims\"><details><summary>Rates at the end of the run</summary>\
         <div class=\"scroll\"><table><thead><tr>{heads}</tr></thead>{rows}</table></div></details></section>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rate_is_told_from_its_finding_and_markup_stays_text() {
        let found = json!({ "id": "norm", "says": "a < b", "y": "rho", "x": "ln t", "predicted": 0.5, "slope": 0.51,
            "low": 0.49, "high": 0.53, "decades": 2.0, "verdict": "consistent" });
        let rate = ReportRate::of(&found);
        assert_eq!(rate.fitted, "0.51000 (0.49000 to 0.53000)");
        assert_eq!(rate.of, "rho in ln t, 2 decades");
        assert_eq!(ReportRate::of(&json!({ "predicted_at_most": -1.0 })).predicted, "at most -1");
        let run = ReportRun { rates: vec![rate], ..ReportRun::default() };
        let text = table(std::slice::from_ref(&run));
        assert!(text.contains("a &lt; b") && text.contains("consistent"), "{text}");
        assert!(table(&[run.clone(), run]).is_empty() && table(&[ReportRun::default()]).is_empty());
    }
}
