//! The 1,797 handwritten digits of 8 × 8 pixels that are part of the program.
//!
//! Pixels are 0 … 16, divided by 16 unless `normalize` says otherwise. Examples stand in the order of the
//! original file; the first `train` of the chosen classes are the training set, the following ones the test set.

use std::sync::Arc;

use latephase_core::{Data, Invalid};
use serde::{Deserialize, Serialize};

use super::choose::{Order, Pick, gather, split};
use super::classes::ClassMap;
use super::files::unpack;
use super::table::{self, Format};
use super::table_settings::{Column, Header};
use super::{Classes, FileHash, Kind, Loaded, Lookup, Normalize, SourceError, check_at_least};

static EMBEDDED: &[u8] = include_bytes!("../../data/digits.csv.gz");

/// The settings of `kind = "digits"`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Digits {
    /// `"even-odd"` or a list of digits; absent: all ten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// Size of the training set (300).
    pub train: usize,
    /// Size of the test set; absent: all that the training set leaves. 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<usize>,
    /// `"first"` (default), `"random"`, or `"balanced"`: random with equal shares of the classes.
    pub order: Order,
    /// `"scale"` (default): pixels in [0, 1].
    pub normalize: Normalize,
    /// Of the random order; absent: the spec's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Default for Digits {
    fn default() -> Self {
        Digits {
            classes: None,
            train: 300,
            test: None,
            order: Order::First,
            normalize: Normalize::Scale,
            seed: None,
        }
    }
}

impl Kind for Digits {
    const ABOUT: &'static str = "1,797 handwritten digits, 8 x 8 pixels, built in";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [&'static str] =
        &["E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, \
        UCI Machine Learning Repository, 1998, doi:10.24432/C50P49, CC BY 4.0"];

    fn check(&self) -> Result<(), Invalid> {
        check_at_least("train", self.train, 1)?;
        self.classes.as_ref().map_or(Ok(()), Classes::check)
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        Some(&mut self.seed)
    }

    fn load(&self, seed: u64, _: &Lookup) -> Result<Loaded, SourceError> {
        let file = "embedded:digits.csv.gz";
        let format = Format { label: Column::Last, header: Header::No, delimiter: b',' };
        let table = table::parse(&unpack(EMBEDDED, file)?, &format, file)?;
        let labels = table.labels.iter().map(|l| l.parse::<u8>()).collect::<Result<Vec<_>, _>>();
        let labels = labels.map_err(|e| SourceError::format(file, "", e.to_string()))?;

        let map = ClassMap::new(self.classes.as_ref(), &labels, "the digits")?;
        let mut picks: Vec<Pick> = (0..labels.len())
            .filter_map(|row| map.of(labels[row]).map(|class| Pick { row, class }))
            .collect();
        self.order.arrange(&mut picks, self.seed.unwrap_or(seed), "digits/order");
        let (train, test) = split(&picks, self.train, self.test, &map.names)?;

        let (mut inputs, classes) = gather(&table.values, table.dim, train);
        let (mut test_inputs, test_classes) = gather(&table.values, table.dim, test);
        self.normalize.apply(Some(16.0), table.dim, &mut inputs, &mut test_inputs);
        let data =
            |inputs, classes| Data::new(inputs, classes, map.names.clone(), vec![1, 8, 8]).map(Arc::new);
        Ok(Loaded {
            train: data(inputs, classes)?,
            test: if test.is_empty() { None } else { Some(data(test_inputs, test_classes)?) },
            files: vec![FileHash::of(file, EMBEDDED)],
            truth: None,
            credit: Some(
                "Optical Recognition of Handwritten Digits by E. Alpaydin and C. Kaynak (UCI), CC BY 4.0",
            ),
        })
    }
}
