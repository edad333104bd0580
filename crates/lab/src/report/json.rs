//! Numbers and text into the JSON block of the page.
//!
//! JSON has no NaN and no infinities: NaN (not measured) is `null`, ±∞ are the strings `"inf"` and `"-inf"`.
//! A column that never changes is `{"n": rows, "all": value}`. Every `<` and `>` is written as an escape, so no text
//! can end the surrounding script element.

use super::{Added, Figure, ReferenceLine, Regions, ReportRun};
use std::fmt::Write;

/// All that the page's script reads.
pub(super) fn payload(runs: &[ReportRun], added: &Added) -> String {
    let mut out = String::from("{\"runs\":[");
    let coloured: Vec<(usize, &ReportRun)> =
        runs.iter().enumerate().map(|(i, r)| (added.colour(i), r)).collect();
    list(&mut out, &coloured, |out, (colour, run)| {
        *out += "{\"name\":";
        string(out, &run.name);
        let _ = write!(out, ",\"colour\":{colour}");
        *out += ",\"columns\":[";
        list(out, &run.columns, |out, (name, values)| {
            *out += "[";
            string(out, name);
            *out += ",";
            column(out, values);
            *out += "]\n";
        });
        *out += "],\"references\":[";
        list(out, &run.references, reference);
        *out += "],\"regions\":";
        match &run.regions {
            Some(r) => regions(out, r),
            None => *out += "null",
        }
        *out += "}";
    });
    out += "],\"figures\":[";
    list(&mut out, &added.figures, figure);
    out + "]}"
}

fn figure(out: &mut String, figure: &Figure) {
    let texts = [
        ("id", &figure.id),
        ("title", &figure.title),
        ("caption", &figure.caption),
        ("x_label", &figure.x_label),
        ("y_label", &figure.y_label),
    ];
    *out += "{";
    for (key, text) in texts {
        let _ = write!(out, "\"{key}\":");
        string(out, text);
        *out += ",";
    }
    let _ = write!(out, "\"x_log\":{},\"y_log\":{},\"traces\":[", figure.x_log, figure.y_log);
    list(out, &figure.traces, |out, trace| {
        *out += "{\"name\":";
        string(out, &trace.name);
        let _ = write!(out, ",\"dash\":{},\"x\":", trace.dash);
        numbers(out, &trace.x);
        *out += ",\"y\":";
        numbers(out, &trace.y);
        if !trace.low.is_empty() {
            *out += ",\"low\":";
            numbers(out, &trace.low);
            *out += ",\"high\":";
            numbers(out, &trace.high);
        }
        *out += "}";
    });
    *out += "]}";
}

fn reference(out: &mut String, line: &ReferenceLine) {
    *out += "{";
    for (key, text) in
        [("column", &line.column), ("name", &line.name), ("scope", &line.scope), ("unit", &line.unit)]
    {
        let _ = write!(out, "\"{key}\":");
        string(out, text);
        *out += ",";
    }
    *out += "\"value\":";
    number(out, line.value);
    *out += ",\"bound\":";
    number(out, line.bound);
    *out += "}";
}

fn regions(out: &mut String, regions: &Regions) {
    *out += "{\"points\":[";
    list(out, &regions.points, |out, p| numbers(out, p));
    let _ = write!(out, "],\"labels\":{:?},\"x\":", regions.labels);
    numbers(out, &regions.x);
    *out += ",\"y\":";
    numbers(out, &regions.y);
    *out += ",\"levels\":[";
    list(out, &regions.levels, |out, level| {
        *out += "{\"log10_loss\":";
        number(out, level.log10_loss);
        *out += ",\"score\":[";
        // The picture has 255 shades on each side and a sign: four decimals keep both, and tiny scores keep theirs.
        list(out, &level.score, |out, s| {
            number(out, if s.abs() > 1e-3 { (s * 1e4).round() / 1e4 } else { *s })
        });
        *out += "]}";
    });
    *out += "]}";
}

fn column(out: &mut String, values: &[f64]) {
    match values.split_first() {
        Some((first, rest)) if rest.len() > 1 && rest.iter().all(|v| v.to_bits() == first.to_bits()) => {
            let _ = write!(out, "{{\"n\":{},\"all\":", values.len());
            number(out, *first);
            *out += "}";
        }
        _ => numbers(out, values),
    }
}

fn numbers(out: &mut String, values: &[f64]) {
    *out += "[";
    list(out, values, |out, v| number(out, *v));
    *out += "]";
}

/// The shortest decimal that reads back as the same f64.
fn number(out: &mut String, v: f64) {
    if v.is_nan() {
        *out += "null";
    } else if v.is_infinite() {
        *out += if v > 0.0 { "\"inf\"" } else { "\"-inf\"" };
    } else {
        let start = out.len();
        let _ = write!(out, "{v:?}");
        if out[start..].ends_with(".0") {
            out.truncate(out.len() - 2);
        }
    }
}

fn string(out: &mut String, text: &str) {
    let quoted = serde_json::Value::from(text).to_string();
    for c in quoted.chars() {
        match c {
            '<' => *out += "\\u003c",
            '>' => *out += "\\u003e",
            '\u{2028}' => *out += "\\u2028",
            '\u{2029}' => *out += "\\u2029",
            c => out.push(c),
        }
    }
}

fn list<T>(out: &mut String, items: &[T], mut each: impl FnMut(&mut String, &T)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        each(out, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_back_as_the_same_bits() {
        for v in [
            0.0,
            -0.0,
            1.0,
            0.1,
            1e300,
            -1.5e-300,
            5e-324,
            f64::MAX,
            123456789.0,
            1e16,
            1e22,
            -2302.5850929940457,
        ] {
            let mut text = String::new();
            number(&mut text, v);
            let back: f64 = serde_json::from_str(&text).unwrap();
            assert_eq!(back.to_bits(), v.to_bits(), "{text}");
        }
    }

    #[test]
    fn a_constant_column_is_written_once() {
        let mut text = String::new();
        column(&mut text, &[f64::NAN; 5000]);
        assert_eq!(text, "{\"n\":5000,\"all\":null}");
    }
}
