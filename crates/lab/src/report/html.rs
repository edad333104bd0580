//! Text into markup: escaping, the template, tables of facts.

use serde_json::Value;

use super::ReportTable;

/// Number of colours in `report.css`; further runs go round again.
const COLOURS: usize = 7;

/// Index of colour `i` among those of the style.
pub(super) fn run_colour(i: usize) -> usize {
    i % COLOURS
}

/// The text as it may stand in an element or in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // HTML has no NUL; parsers replace it, each in its own way.
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The template with every `{{key}}` replaced, in one pass: a value that contains `{{key}}` stays as it is.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let size = values.iter().map(|(_, v)| v.len()).sum::<usize>() + template.len();
    let mut out = String::with_capacity(size);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((key, tail)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        if let Some((_, value)) = values.iter().find(|(k, _)| *k == key) {
            out.push_str(value);
        }
        rest = tail;
    }
    out + rest
}

/// The facts of one run as two columns, of a few runs side by side, of many runs one in a line.
pub(super) fn matrix(names: &[&str], facts: &[Vec<(String, String)>]) -> String {
    let mut labels: Vec<&str> = Vec::new();
    for (label, _) in facts.iter().flatten() {
        if !labels.contains(&label.as_str()) {
            labels.push(label);
        }
    }
    if labels.is_empty() {
        return String::new();
    }
    let cell = |run: usize, label: &str| {
        let value = facts.get(run).and_then(|f| f.iter().find(|(l, _)| l == label));
        value.map_or("<td class=\"none\">–</td>".to_string(), |(_, v)| format!("<td>{}</td>", escape(v)))
    };
    let head = |text: &str| format!("<th scope=\"col\">{}</th>", escape(text));
    let side = |text: &str| format!("<th scope=\"row\">{}</th>", escape(text));
    let runs = 0..names.len();
    let mut out = String::from("<div class=\"scroll\"><table>");
    if names.len() <= 4 {
        if names.len() > 1 {
            let heads: String = names.iter().map(|n| head(n)).collect();
            out += &format!("<thead><tr><th></th>{heads}</tr></thead>");
        }
        for label in &labels {
            let cells: String = runs.clone().map(|i| cell(i, label)).collect();
            out += &format!("<tr>{}{cells}</tr>\n", side(label));
        }
    } else {
        let heads: String = labels.iter().map(|l| head(l)).collect();
        out += &format!("<thead><tr><th></th>{heads}</tr></thead>");
        for i in runs {
            let cells: String = labels.iter().map(|l| cell(i, l)).collect();
            out += &format!("<tr>{}{cells}</tr>\n", side(names[i]));
        }
    }
    out + "</table></div>"
}

/// A sentence as a paragraph; nothing where it is empty.
pub(super) fn note(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<p class=\"note\">{}</p>\n", escape(text)) }
}

/// A table with its heading; the best of a column is strong.
pub(super) fn table(table: &ReportTable) -> String {
    let head: String =
        table.columns.iter().map(|c| format!("<th scope=\"col\">{}</th>", escape(c))).collect();
    let mut out = format!(
        "<section class=\"added\"><h2>{}</h2>{}<div class=\"scroll\"><table><thead><tr><th></th>{head}</tr></thead>",
        escape(&table.title),
        note(&table.note)
    );
    for (label, cells) in &table.rows {
        out += &format!("<tr><th scope=\"row\">{}</th>", escape(label));
        for cell in cells {
            out += &match cell.is_best {
                true => format!("<td class=\"best\"><strong>{}</strong></td>", escape(&cell.text)),
                false => format!("<td>{}</td>", escape(&cell.text)),
            };
        }
        out += "</tr>\n";
    }
    out + "</table></div></section>\n"
}

/// The leaves of a JSON value as dotted path and text, in the order of the document.
pub(super) fn flatten(value: &Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    leaves("", value, &mut out);
    out
}

fn leaves(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    let below = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, v)| leaves(&below(key), v, out)),
        Value::Array(list) if list.iter().any(|v| v.is_object() || v.is_array()) => {
            list.iter().enumerate().for_each(|(i, v)| leaves(&below(&i.to_string()), v, out));
        }
        Value::Array(list) => {
            out.push((path.to_string(), list.iter().map(text).collect::<Vec<_>>().join(", ")))
        }
        Value::Null => {}
        leaf => out.push((path.to_string(), text(leaf))),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_looks_like_a_placeholder_is_left_alone() {
        assert_eq!(fill("{{a}}|{{b}}|{{", &[("a", "{{b}}"), ("b", "x")]), "{{b}}|x|{{");
    }

    #[test]
    fn a_fact_missing_from_one_run_is_a_dash_there() {
        let facts = [vec![("steps".into(), "3".into())], vec![("loss".into(), "<1".into())]];
        let table = matrix(&["a", "b"], &facts);
        assert!(table.contains("<th scope=\"row\">steps</th><td>3</td><td class=\"none\">–</td>"));
        assert!(table.contains("<td>&lt;1</td>"));
    }
}
