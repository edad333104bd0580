//! A table of your own: delimited text, plain or gzipped.
//!
//! One column is the label, every other one an input. Labels may be any text; numbers are compared as numbers, so
//! that `1` and `1.0` are one class. Classes are sorted, by value when all are numbers, unless `classes` lists
//! them. The pair −1, 1 is taken as signs: 1 is class 0, the +1 of a binary problem.

use std::collections::HashMap;

use latephase_core::Invalid;
use serde::{Deserialize, Serialize};

use super::choose::{Pick, first, gather, split};
use super::csv_settings::{ClassName, TestSet};
use super::files::{read, unpack};
use super::table::{self, Format, Table};
use super::table_settings::{Column, Header};
use super::{FileHash, Kind, Loaded, Lookup, Normalize, Order, SourceError, check_at_least, vectors};

/// The settings of `kind = "csv"`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// The file, looked up in the working directory, then under `LATEPHASE_DATA`.
    pub path: String,
    /// `"last"` (default), `"first"`, a column's number from 0, or its name in the header.
    #[serde(default)]
    pub label: Column,
    /// `"auto"` (default), `true` or `false`.
    #[serde(default)]
    pub header: Header,
    /// One character (`,`), or `"tab"`.
    #[serde(default = "comma")]
    pub delimiter: String,
    /// The classes used, in this order; other rows are left out. Absent: all there are, sorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<ClassName>>,
    /// Size of the training set; absent: all that the test set leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<usize>,
    /// A second file, a number of rows, or a fraction of the rows; absent: what `train` leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestSet>,
    /// `"first"` (default), `"random"`, or `"balanced"`: random with equal shares of the classes.
    #[serde(default)]
    pub order: Order,
    /// `"none"` by default.
    #[serde(default = "unchanged")]
    pub normalize: Normalize,
    /// Of the random order; absent: the spec's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

fn comma() -> String {
    ",".into()
}

fn unchanged() -> Normalize {
    Normalize::None
}

impl Kind for Csv {
    const ABOUT: &'static str = "a table of your own: delimited text, plain or gzipped";
    const EXAMPLE: &'static str = "path = \"table.csv\"";
    const CITE: &'static [&'static str] = &[];

    fn check(&self) -> Result<(), Invalid> {
        self.delimiter_byte()?;
        check_at_least("train", self.train.unwrap_or(1), 1)?;
        match self.test {
            Some(TestSet::Fraction(f)) if !(f > 0.0 && f < 1.0) => {
                return Err(Invalid::new("test", format!("the fraction {f} is not between 0 and 1")));
            }
            _ => {}
        }
        if let Some(classes) = &self.classes {
            check_at_least("classes", classes.len(), 2)?;
            let keys: Vec<String> = classes.iter().map(|c| key(&c.0)).collect();
            if let Some((_, twice)) = keys.iter().enumerate().find(|(i, k)| keys[..*i].contains(k)) {
                return Err(Invalid::new("classes", format!("class `{twice}` is listed twice")));
            }
        }
        Ok(())
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        Some(&mut self.seed)
    }

    fn load(&self, seed: u64, lookup: &Lookup) -> Result<Loaded, SourceError> {
        let (table, hash) = self.table(&self.path, lookup)?;
        let mut files = vec![hash];
        let names = self.class_names(&table)?;
        let mut picks = self.picks(&table, &names, &self.path)?;
        self.order.arrange(&mut picks, self.seed.unwrap_or(seed), "csv/order");

        let outside = match &self.test {
            Some(TestSet::Path(path)) => {
                let (outside, hash) = self.table(path, lookup)?;
                if outside.dim != table.dim {
                    let message = format!("{} inputs, but {} has {}", outside.dim, self.path, table.dim);
                    return Err(SourceError::format(path, "", message));
                }
                files.push(hash);
                let picks = self.picks(&outside, &names, path)?;
                Some((outside, picks))
            }
            _ => None,
        };
        let (train, test) = match &outside {
            Some((_, test)) => {
                (first(&picks, self.train.unwrap_or(picks.len()), "train", &names)?, test.as_slice())
            }
            None => self.divide(&picks, &names)?,
        };
        // A file sorted by class, cut in order, would lose a class without a word.
        for (class, name) in names.iter().enumerate() {
            if !train.iter().any(|p| p.class as usize == class) {
                let message = format!(
                    "class `{name}` has no example among the {} for training; use order = \"random\" or list `classes`",
                    train.len()
                );
                return Err(SourceError::setting("train", message));
            }
        }

        let dim = table.dim;
        let (mut inputs, classes) = gather(&table.values, dim, train);
        let test_values = outside.as_ref().map_or(&table.values, |(t, _)| &t.values);
        let (mut test_inputs, test_classes) = gather(test_values, dim, test);
        self.normalize.apply(None, dim, &mut inputs, &mut test_inputs);
        let test = if test.is_empty() {
            None
        } else {
            Some(vectors(test_inputs, test_classes, names.clone(), dim)?)
        };
        Ok(Loaded { train: vectors(inputs, classes, names, dim)?, test, files, truth: None, credit: None })
    }
}

impl Csv {
    fn delimiter_byte(&self) -> Result<u8, Invalid> {
        match self.delimiter.as_bytes() {
            b"tab" => Ok(b'\t'),
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
            _ => {
                let message = format!("`{}` is not one ASCII character or \"tab\"", self.delimiter);
                Err(Invalid::new("delimiter", message))
            }
        }
    }

    fn table(&self, path: &str, lookup: &Lookup) -> Result<(Table, FileHash), SourceError> {
        let (bytes, hash) = read(&lookup.file(path)?, path)?;
        let format =
            Format { label: self.label.clone(), header: self.header, delimiter: self.delimiter_byte()? };
        let mut table = table::parse(&unpack(&bytes, path)?, &format, path)?;
        table.labels.iter_mut().for_each(|label| *label = key(label));
        Ok((table, hash))
    }

    /// The listed classes, all of which must occur, or every label there is.
    fn class_names(&self, table: &Table) -> Result<Vec<String>, SourceError> {
        let mut there = table.labels.clone();
        there.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(x), Ok(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
            // Numbers before words, so that a mixture still has one order.
            (Ok(_), Err(_)) => std::cmp::Ordering::Less,
            (Err(_), Ok(_)) => std::cmp::Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
        });
        there.dedup();
        let Some(listed) = &self.classes else {
            if there.len() < 2 {
                let message = format!("every example has the label `{}`; two classes are needed", there[0]);
                return Err(SourceError::format(&self.path, "", message));
            }
            if there == ["-1", "1"] {
                there.reverse();
            }
            return Ok(there);
        };
        let listed: Vec<String> = listed.iter().map(|c| key(&c.0)).collect();
        match listed.iter().find(|name| !there.contains(name)) {
            None => Ok(listed),
            Some(absent) => {
                there.truncate(20);
                let message =
                    format!("class `{absent}` is not in {}, which has `{}`", self.path, there.join("`, `"));
                Err(SourceError::setting("classes", message))
            }
        }
    }

    fn picks(&self, table: &Table, names: &[String], file: &str) -> Result<Vec<Pick>, SourceError> {
        let index: HashMap<&str, u32> = names.iter().zip(0..).map(|(n, i)| (n.as_str(), i)).collect();
        let mut picks = Vec::with_capacity(table.labels.len());
        for (row, label) in table.labels.iter().enumerate() {
            match index.get(label.as_str()) {
                Some(&class) => picks.push(Pick { row, class }),
                None if self.classes.is_some() => {}
                None => {
                    let message = format!("label `{label}` is not among those of {}", self.path);
                    return Err(SourceError::format(file, format!("example {row}"), message));
                }
            }
        }
        Ok(picks)
    }

    /// Training and test set out of one file.
    fn divide<'a>(
        &self,
        picks: &'a [Pick],
        names: &[String],
    ) -> Result<(&'a [Pick], &'a [Pick]), SourceError> {
        let test = match self.test {
            Some(TestSet::Count(m)) => Some(m),
            Some(TestSet::Fraction(f)) => Some((f * picks.len() as f64).round() as usize),
            _ => None,
        };
        let train = self.train.unwrap_or(picks.len().saturating_sub(test.unwrap_or(0)));
        if train == 0 {
            let message = format!("the test set takes all {} examples", picks.len());
            return Err(SourceError::setting("test", message));
        }
        split(picks, train, test, names)
    }
}

/// One spelling for equal numbers; text stays as it is.
fn key(label: &str) -> String {
    // Above 2⁵³ neighbouring integers would become one.
    match label.trim().parse::<f64>() {
        Ok(value) if value.abs() < 9e15 => format!("{}", value + 0.0),
        _ => label.trim().to_string(),
    }
}
