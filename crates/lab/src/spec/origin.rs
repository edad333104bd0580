//! Where each setting was written: a line and a column of the file, or an override.

use std::ops::Range;

use latephase_core::Invalid;
use toml_edit::{Document, Item, TableLike, Value};

use super::Complaint;
use super::complaint::Point;
use crate::Error;

/// The text and the overrides that a spec was read from; empty for one that was made in code.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    file: String,
    text: String,
    overrides: Vec<Applied>,
}

/// An override, and the path of what it set.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub text: String,
    pub target: Vec<String>,
}

/// The segments of a dotted path; `a[0].b` is `a.0.b`.
pub(crate) fn segments(path: &str) -> Vec<String> {
    path.split(['.', '[', ']']).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// `line:column` of a byte offset, both from 1, the column in characters.
pub(crate) fn line_column(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |k| k + 1);
    format!("{line}:{}", before[start..].chars().count() + 1)
}

impl Origin {
    pub(crate) fn new(file: &str, text: &str, overrides: Vec<Applied>) -> Self {
        Origin { file: file.to_owned(), text: text.to_owned(), overrides }
    }

    /// The error that a setting makes no sense, at the place where it was written.
    ///
    /// `invalid.field` is its dotted path from the root of the spec.
    pub fn error(&self, invalid: &Invalid) -> Error {
        self.complain(Complaint::of(&invalid.field, &invalid.message))
    }

    pub(crate) fn complain(&self, complaint: Complaint) -> Error {
        let path = segments(&complaint.path);
        Error::spec_key(self.locate(&path, complaint.point), complaint.key(), complaint)
    }

    /// The place of a path: `spec.toml:7:10`, or the override that set it.
    fn locate(&self, path: &[String], point: Point) -> String {
        let over = |applied: &Applied| format!("override `{}`", applied.text);
        // The last override of the setting, or of a table around it, is what stands there.
        if let Some(applied) = self.overrides.iter().rev().find(|o| path.starts_with(&o.target)) {
            return over(applied);
        }
        let found = find(&self.text, path, point);
        if let Some((place, true)) = &found {
            return self.at(place);
        }
        // A key that only an override inside it brought in.
        let inside = |o: &&Applied| !path.is_empty() && o.target.starts_with(path);
        match (self.overrides.iter().rev().find(inside), found) {
            (Some(applied), _) => over(applied),
            (None, Some((place, _))) => self.at(&place),
            (None, None) if self.file.is_empty() => "spec".to_owned(),
            (None, None) => format!("{}:1:1", self.file),
        }
    }

    fn at(&self, place: &Range<usize>) -> String {
        format!("{}:{}", self.file, line_column(&self.text, place.start))
    }
}

/// A place in a document.
#[derive(Clone, Copy)]
enum Node<'a> {
    Item(&'a Item),
    Value(&'a Value),
    Table(&'a toml_edit::Table),
}

impl<'a> Node<'a> {
    fn span(self) -> Option<Range<usize>> {
        match self {
            Node::Item(item) => item.span(),
            Node::Value(value) => value.span(),
            Node::Table(table) => table.span(),
        }
    }

    fn table(self) -> Option<&'a dyn TableLike> {
        match self {
            Node::Item(item) => item.as_table_like(),
            Node::Value(value) => value.as_inline_table().map(|t| t as &dyn TableLike),
            Node::Table(table) => Some(table),
        }
    }

    fn element(self, k: usize) -> Option<Node<'a>> {
        match self {
            Node::Item(item) => match item {
                Item::ArrayOfTables(list) => list.get(k).map(Node::Table),
                Item::Value(value) => Node::Value(value).element(k),
                _ => None,
            },
            Node::Value(value) => value.as_array()?.get(k).map(Node::Value),
            Node::Table(_) => None,
        }
    }
}

/// The place of a path, and whether all of the path is there; else the place of the innermost part that is.
fn find(text: &str, path: &[String], point: Point) -> Option<(Range<usize>, bool)> {
    let document = Document::parse(text).ok()?;
    let mut node = Node::Table(document.as_table());
    let mut place: Option<Range<usize>> = None;
    let mut rest = path;
    while let [first, others @ ..] = rest {
        if let Some(table) = node.table() {
            // A quoted key may hold dots, which the path does not tell from its own.
            let hit = (1..=rest.len()).rev().find_map(|n| {
                let (key, item) = table.get_key_value(&rest[..n].join("."))?;
                Some((key, item, &rest[n..]))
            });
            let Some((key, item, after)) = hit else { break };
            node = Node::Item(item);
            let value = node.span().filter(|_| !(after.is_empty() && point == Point::Key));
            place = value.or(key.span()).or(place);
            rest = after;
        } else if let Some(element) = first.parse().ok().and_then(|k| node.element(k)) {
            node = element;
            place = node.span().or(place);
            rest = others;
        } else {
            break;
        }
    }
    place.map(|place| (place, rest.is_empty()))
}
