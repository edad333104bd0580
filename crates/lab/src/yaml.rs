//! Settings as YAML, for tools that read nothing else.
//!
//! Tables are blocks; everything else is flow, with strings in double quotes as JSON has them. Numbers have the form that YAML
//! 1.1 and 1.2 both take for a float: PyYAML reads `1e-5` as text, and `1.0e-5` as a number.
//!
//! ```
//! let table: toml::Table = "eta = 1e-5\nwidths = [8, 4]\n[stop]\nlog10_loss = -inf".parse().unwrap();
//! let text = latephase_lab::yaml::text(&toml::Value::Table(table));
//! assert_eq!(text, "eta: 1.0e-5\nwidths: [8, 4]\nstop:\n  log10_loss: -.inf\n");
//! ```

use toml::Value;

/// A value as a YAML document, ending with a line break.
pub fn text(value: &Value) -> String {
    match value {
        Value::Table(table) if !table.is_empty() => {
            let mut out = String::new();
            block(table, 0, &mut out);
            out
        }
        other => format!("{}\n", flow(other)),
    }
}

fn block(table: &toml::Table, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for (key, value) in table {
        let key = self::key(key);
        match value {
            Value::Table(inner) if !inner.is_empty() => {
                out.push_str(&format!("{indent}{key}:\n"));
                block(inner, depth + 1, out);
            }
            other => out.push_str(&format!("{indent}{key}: {}\n", flow(other))),
        }
    }
}

/// Bare where nobody can take it for anything but text.
fn key(key: &str) -> String {
    let is_plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
            .contains(&key.to_ascii_lowercase().as_str());
    if is_plain { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(s) => quoted(s),
        Value::Integer(i) => i.to_string(),
        Value::Float(x) => float(*x),
        Value::Boolean(b) => b.to_string(),
        Value::Datetime(d) => quoted(&d.to_string()),
        Value::Array(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let pairs: Vec<String> = table.iter().map(|(k, v)| format!("{}: {}", key(k), flow(v))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

/// The shortest digits that read back as the same f64, with a point and a signed exponent.
fn float(x: f64) -> String {
    if x.is_nan() {
        return ".nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { ".inf".into() } else { "-.inf".into() };
    }
    let text = format!("{x:?}");
    match text.split_once('e') {
        None => text,
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{mantissa}{point}e{sign}{exponent}")
        }
    }
}
