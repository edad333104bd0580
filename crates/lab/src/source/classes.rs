//! Which of the numbered classes of an image set are used, and how they are grouped.

use std::fmt;

use latephase_core::Invalid;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::SourceError;

/// The setting `classes` of a set whose labels are small numbers. The first class is the +1 of a binary problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classes {
    /// `"even-odd"`: even labels are class 0, odd labels class 1.
    EvenOdd,
    /// `[3, 6]`: these labels, in this order; other examples are left out.
    Listed(Vec<u8>),
}

impl Classes {
    /// Two different classes at least.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let Classes::Listed(list) = self else { return Ok(()) };
        if list.len() < 2 {
            return Err(Invalid::new("classes", "at least two classes are needed, as in `[3, 6]`"));
        }
        match list.iter().enumerate().find(|(i, c)| list[..*i].contains(c)) {
            Some((_, twice)) => Err(Invalid::new("classes", format!("class {twice} is listed twice"))),
            None => Ok(()),
        }
    }
}

/// Labels to class indices.
pub(super) struct ClassMap {
    /// Class names, by index.
    pub names: Vec<String>,
    index: [Option<u32>; 256],
}

impl ClassMap {
    /// The map for a file that holds these labels; without a setting every label there is a class.
    pub(super) fn new(classes: Option<&Classes>, labels: &[u8], file: &str) -> Result<Self, SourceError> {
        let mut present = [false; 256];
        labels.iter().for_each(|&l| present[l as usize] = true);
        let there: Vec<u8> = (0..=255).filter(|&l| present[l as usize]).collect();
        let mut index = [None; 256];
        if let Some(Classes::EvenOdd) = classes {
            (0..256).for_each(|l| index[l] = Some((l % 2) as u32));
            return Ok(ClassMap { names: vec!["even".into(), "odd".into()], index });
        }
        let list = match classes {
            Some(Classes::Listed(list)) => list,
            _ => &there,
        };
        for (i, &label) in list.iter().enumerate() {
            if !present[label as usize] {
                let there = there.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
                let message = format!("class {label} is not in {file}, which has {there}");
                return Err(SourceError::setting("classes", message));
            }
            index[label as usize] = Some(i as u32);
        }
        Ok(ClassMap { names: list.iter().map(u8::to_string).collect(), index })
    }

    /// The class of a label, if it is in one.
    pub(super) fn of(&self, label: u8) -> Option<u32> {
        self.index[label as usize]
    }
}

impl Serialize for Classes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Classes::EvenOdd => serializer.serialize_str("even-odd"),
            Classes::Listed(list) => serializer.collect_seq(list),
        }
    }
}

impl<'de> Deserialize<'de> for Classes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Setting;
        impl<'de> Visitor<'de> for Setting {
            type Value = Classes;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("\"even-odd\" or a list of class numbers such as [3, 6]")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Classes, E> {
                match text {
                    "even-odd" => Ok(Classes::EvenOdd),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Classes, A::Error> {
                let mut list = Vec::new();
                while let Some(class) = seq.next_element()? {
                    list.push(class);
                }
                Ok(Classes::Listed(list))
            }
        }
        deserializer.deserialize_any(Setting)
    }
}
