//! From what a deserialiser says to what a person can act on.

use std::fmt;

use latephase_core::catalogue::at_path;

/// Which end of `key = value` a complaint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    Key,
    Value,
}

/// A setting that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Complaint {
    /// Its dotted path, for finding it.
    pub path: String,
    pub point: Point,
    text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The second line of a message: the nearest choice, and all of them. Empty where there are none.
pub(crate) fn choices<S: AsRef<str>>(given: &str, allowed: &[S]) -> String {
    let all = allowed.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match nearest(given, allowed) {
        _ if allowed.is_empty() => String::new(),
        Some(near) => format!("\n  did you mean `{near}`?  ({all})"),
        None => format!("\n  allowed: {all}"),
    }
}

/// The choice that `given` is a slip of, where one is near.
fn nearest<'a, S: AsRef<str>>(given: &str, allowed: &'a [S]) -> Option<&'a str> {
    let plain =
        |s: &str| s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let wanted = plain(given);
    let count = wanted.chars().count();
    let slips = |name: &&'a str| {
        let name = plain(name);
        let distance = strsim::osa_distance(&wanted, &name);
        // A slip in every third letter, or a word of several that was given alone.
        let near = distance <= count.max(name.chars().count()) / 3;
        let part = count >= 3 && name.contains(&wanted);
        (near || part).then_some(if near { distance } else { 100 + distance })
    };
    let named = allowed.iter().map(AsRef::as_ref);
    named.filter_map(|name| Some((slips(&name)?, name))).min_by_key(|(slips, _)| *slips).map(|(_, name)| name)
}

impl Complaint {
    /// Its dotted path for people.
    pub fn key(&self) -> String {
        shown(&self.path)
    }

    /// Reads the message about the setting at `path`; the message may carry an inner path as `@path@message`.
    pub fn of(path: &str, message: &str) -> Self {
        let joined = at_path(path, message);
        let (path, message) = match joined.strip_prefix('@').and_then(|rest| rest.split_once('@')) {
            Some((path, message)) => (path.to_owned(), message),
            None => (path.trim_matches('.').to_owned(), joined.as_str()),
        };
        // toml repeats its own keys beneath a message.
        let message = message.lines().filter(|line| !line.starts_with("in `")).collect::<Vec<_>>().join(" ");
        unknown_field(&path, &message)
            .or_else(|| unknown_choice(&path, &message))
            .or_else(|| missing_field(&path, &message))
            .or_else(|| wrong_type(&path, &message))
            .unwrap_or_else(|| {
                let shown = shown(&path);
                let text = if shown.is_empty() { message } else { format!("{shown}: {message}") };
                Complaint { path, point: Point::Value, text }
            })
    }
}

/// A path for people: `a.[0].b` is `a[0].b`, and a kind goes without saying.
fn shown(path: &str) -> String {
    let path = path.replace(".[", "[");
    path.strip_suffix(".kind").unwrap_or(&path).to_owned()
}

fn in_path(path: &str) -> String {
    let shown = shown(path);
    if shown.is_empty() { shown } else { format!(" in {shown}") }
}

/// `` `x`, expected one of `a`, `b` `` as x and the names.
fn split_expected(rest: &str) -> Option<(&str, Vec<&str>)> {
    let end = rest.find("`, expected ").or_else(|| rest.find("`, there are no "))?;
    let (given, expected) = rest.split_at(end);
    Some((given, expected[1..].split('`').skip(1).step_by(2).collect()))
}

fn unknown_field(path: &str, message: &str) -> Option<Complaint> {
    let (given, mut allowed) = split_expected(message.strip_prefix("unknown field `")?)?;
    // Some deserialisers name the table in the path, and some the key itself.
    let table = match path.strip_suffix(given) {
        Some(table) if table.is_empty() || table.ends_with('.') => table.trim_end_matches('.'),
        _ => path,
    };
    if table.starts_with("algorithm")
        && !table.trim_start_matches("algorithm").contains(|c: char| c.is_alphabetic())
    {
        allowed.push("until");
    }
    let none = if allowed.is_empty() { ", which has no settings" } else { "" };
    let text = format!("unknown key `{given}`{}{none}{}", in_path(table), choices(given, &allowed));
    let path = if table.is_empty() { given.to_owned() } else { format!("{table}.{given}") };
    Some(Complaint { path, point: Point::Key, text })
}

/// An unknown kind of a catalogue, or an unknown variant of an enum.
fn unknown_choice(path: &str, message: &str) -> Option<Complaint> {
    let (what, rest) = message.strip_prefix("unknown ")?.split_once(" `")?;
    let (given, allowed) = split_expected(rest)?;
    let shown = shown(path);
    let noun = match what {
        "variant" => shown.rsplit('.').next().map_or("value", |last| last.split('[').next().unwrap_or(last)),
        what => what,
    };
    let text = format!("unknown {noun} `{given}`{}{}", in_path(path), choices(given, &allowed));
    // A table's kind is what is wrong with it; where a bare name stands, the name is found all the same.
    let path = if path.ends_with(".kind") { path.to_owned() } else { format!("{path}.kind") };
    Some(Complaint { path, point: Point::Value, text })
}

fn missing_field(path: &str, message: &str) -> Option<Complaint> {
    let (name, rest) = message.strip_prefix("missing field `")?.split_once('`')?;
    let allowed: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let text = format!("missing key `{name}`{}{}", in_path(path), choices("", &allowed));
    Some(Complaint { path: path.to_owned(), point: Point::Value, text })
}

fn wrong_type(path: &str, message: &str) -> Option<Complaint> {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    // The found value may hold the separator; what is expected does not.
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let what = shown(path);
    let what = if what.is_empty() { "this".to_owned() } else { what };
    let wanted = expected_in_words(expected);
    let mut text = format!("{what} is {}; expected {wanted}", found_in_words(found));
    let number =
        found.strip_prefix("floating point `").and_then(|rest| rest.strip_suffix('`')?.parse::<f64>().ok());
    if let Some(x) = number
        && is_integer(expected)
        && x == x.trunc()
        && (0.0..1e15).contains(&x)
    {
        text.push_str(&format!("\n  write `{x:.0}`"));
    }
    Some(Complaint { path: path.to_owned(), point: Point::Value, text })
}

fn is_integer(expected: &str) -> bool {
    matches!(expected, "u8" | "u32" | "u64" | "usize" | "i32" | "i64" | "isize")
}

fn found_in_words(found: &str) -> String {
    let inner = |prefix: &str| found.strip_prefix(prefix).map(|rest| rest.trim_matches('`'));
    if let Some(number) = inner("integer ") {
        format!("the whole number {number}")
    } else if let Some(number) = inner("floating point ") {
        format!("the number {number}")
    } else if let Some(truth) = inner("boolean ") {
        truth.to_owned()
    } else {
        match found {
            "sequence" => "a list".to_owned(),
            "map" => "a table".to_owned(),
            other => format!("the {other}"),
        }
    }
}

fn expected_in_words(expected: &str) -> String {
    match expected {
        "u64" | "usize" => "a whole number of at least 0".to_owned(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other if other.starts_with("internally tagged enum ") => "a table with `kind`".to_owned(),
        other => other.to_owned(),
    }
}
