//! The confusion matrix as a page.

use latephase_lab::claim::{NOT_YET, all};

use super::runs::Run;

/// The page: every claim with its statement, and what is said of every run.
pub fn markdown(runs: &[Run]) -> String {
    let mut text = String::from(
        "# Claims\n\nWritten by the test `confusion_matrix`, which runs everything below. H holds, V violated, ? undecided, \
         · not applicable. The first runs break no assumption, and nothing is violated there; each of the others breaks one \
         on purpose.\n\n",
    );
    text += "## Runs\n\n| | run | |\n|---|---|---|\n";
    for (k, run) in runs.iter().enumerate() {
        text += &format!("| {} | {} | {} |\n", k + 1, run.name, if run.is_sound { "" } else { run.breaks });
    }
    text += "\n## Verdicts\n\n| claim |";
    (1..=runs.len()).for_each(|k| text += &format!(" {k} |"));
    text += "\n|---|";
    runs.iter().for_each(|_| text += "---|");
    text += "\n";
    for claim in all() {
        text += &format!("| `{}` |", claim.about.id);
        for run in runs {
            let verdict = run.judged.iter().find(|(id, _)| id == claim.about.id).map(|(_, v)| v.word());
            let letter = match verdict {
                Some("holds") => "H",
                Some("violated") => "V",
                Some("undecided") => "?",
                _ => "·",
            };
            text += &format!(" {letter} |");
        }
        text += "\n";
    }
    text += "\n## Statements\n\n| claim | kind | says | compares | assumes | source |\n|---|---|---|---|---|---|\n";
    for claim in all() {
        let a = &claim.about;
        let source = format!("{} {}, {}", a.mark.text(), a.cite.map_or("", |c| c.key), a.item);
        let cell = |text: &str| text.replace('|', "\\|");
        text += &format!(
            "| `{}` | {} | {} | {} | {} | {} |\n",
            a.id,
            a.kind.text(),
            cell(a.says),
            cell(a.formula),
            cell(a.assumes),
            cell(&source)
        );
    }
    text += "\n## Not yet\n\n| statement | why |\n|---|---|\n";
    NOT_YET.iter().for_each(|(id, why)| text += &format!("| `{id}` | {why} |\n"));
    text
}
