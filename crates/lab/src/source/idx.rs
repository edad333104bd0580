//! A directory of images in the format of MNIST: four IDX files, plain or gzipped.
//!
//! `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, when a test set is wanted, `t10k-images-idx3-ubyte` and
//! `t10k-labels-idx1-ubyte`, each also with a dot for the second dash and with `.gz`. The directory is looked up in
//! the working directory, then under `LATEPHASE_DATA`. Pixels are divided by 255 unless `normalize` says otherwise.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use latephase_core::{Data, Invalid};
use serde::{Deserialize, Serialize};

use super::choose::{Order, Pick, first, gather};
use super::classes::ClassMap;
use super::files::read;
use super::idx_format::{self, Images};
use super::{Classes, FileHash, Kind, Loaded, Lookup, Normalize, SourceError, check_at_least};

/// The settings of `kind = "idx"`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Idx {
    /// The directory.
    pub path: String,
    /// `"even-odd"` or a list of labels; absent: all there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// Size of the training set; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<usize>,
    /// Size of the test set; absent: all, if its files are there. 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<usize>,
    /// `"first"` (default), `"random"`, or `"balanced"`: random with equal shares of the classes.
    #[serde(default)]
    pub order: Order,
    /// `"scale"` (default): pixels in [0, 1].
    #[serde(default = "scale")]
    pub normalize: Normalize,
    /// Of the random order; absent: the spec's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

fn scale() -> Normalize {
    Normalize::Scale
}

impl Kind for Idx {
    const ABOUT: &'static str = "a directory of images in the format of MNIST";
    const EXAMPLE: &'static str = "path = \"mnist\"";
    const CITE: &'static [&'static str] = &[
        "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, \
           Proceedings of the IEEE 86(11), 1998 (MNIST and its format)",
    ];

    fn check(&self) -> Result<(), Invalid> {
        check_at_least("train", self.train.unwrap_or(1), 1)?;
        self.classes.as_ref().map_or(Ok(()), Classes::check)
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        Some(&mut self.seed)
    }

    fn load(&self, seed: u64, lookup: &Lookup) -> Result<Loaded, SourceError> {
        let seed = self.seed.unwrap_or(seed);
        let directory = self.directory(lookup)?;
        let mut files = Vec::new();
        let (images, labels) = self.pair(&directory, "train", &mut files)?;
        let map = ClassMap::new(self.classes.as_ref(), &labels, &self.path)?;
        let picks = self.picks(&labels, &map, "train", seed)?;
        let train = first(&picks, self.train.unwrap_or(picks.len()), "train", &map.names)?;

        let dim = images.height * images.width;
        let (mut inputs, classes) = gather(&images.pixels, dim, train);
        let mut test = (Vec::new(), Vec::new());
        let there = variants(&directory, "t10k", "images").iter().any(|p| p.is_file());
        if self.test.map_or(there, |m| m > 0) {
            let (other, labels) = self.pair(&directory, "t10k", &mut files)?;
            if (other.height, other.width) != (images.height, images.width) {
                let message = format!(
                    "images of {} x {}, but the training images have {} x {}",
                    other.height, other.width, images.height, images.width
                );
                return Err(SourceError::format(&format!("{}/t10k-images", self.path), "", message));
            }
            let picks = self.picks(&labels, &map, "t10k", seed)?;
            test = gather(
                &other.pixels,
                dim,
                first(&picks, self.test.unwrap_or(picks.len()), "test", &map.names)?,
            );
        }
        self.normalize.apply(Some(255.0), dim, &mut inputs, &mut test.0);
        let shape = vec![1, images.height, images.width];
        let data =
            |inputs, classes| Data::new(inputs, classes, map.names.clone(), shape.clone()).map(Arc::new);
        Ok(Loaded {
            train: data(inputs, classes)?,
            test: if test.1.is_empty() { None } else { Some(data(test.0, test.1)?) },
            files,
            truth: None,
            credit: None,
        })
    }
}

impl Idx {
    /// The first place whose directory holds training images.
    fn directory(&self, lookup: &Lookup) -> Result<PathBuf, SourceError> {
        let places = lookup.places(&self.path);
        let holds = |place: &&PathBuf| variants(place, "train", "images").iter().any(|p| p.is_file());
        match places.iter().find(holds) {
            Some(found) => Ok(found.clone()),
            None => {
                let tried = places.iter().map(|p| p.join("train-images-idx3-ubyte[.gz]")).collect();
                Err(lookup.not_found(&self.path, tried))
            }
        }
    }

    fn file(
        &self,
        directory: &Path,
        set: &str,
        what: &str,
        files: &mut Vec<FileHash>,
    ) -> Result<(Vec<u8>, String), SourceError> {
        let tried = variants(directory, set, what);
        let Some(found) = tried.iter().find(|p| p.is_file()) else {
            return Err(SourceError::NotFound { name: format!("{set}-{what}"), tried, hint: "" });
        };
        let file_name = found.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{}/{file_name}", self.path.trim_end_matches('/'));
        let (bytes, hash) = read(found, &name)?;
        files.push(hash);
        Ok((bytes, name))
    }

    /// The images and labels of one set, as many of the one as of the other.
    fn pair(
        &self,
        directory: &Path,
        set: &str,
        files: &mut Vec<FileHash>,
    ) -> Result<(Images, Vec<u8>), SourceError> {
        let (bytes, images_name) = self.file(directory, set, "images", files)?;
        let images = idx_format::images(&bytes, &images_name)?;
        let (bytes, labels_name) = self.file(directory, set, "labels", files)?;
        let labels = idx_format::labels(&bytes, &labels_name)?;
        if images.n != labels.len() {
            let message = format!("{} labels for the {} images of {images_name}", labels.len(), images.n);
            return Err(SourceError::format(&labels_name, "", message));
        }
        Ok((images, labels))
    }

    fn picks(&self, labels: &[u8], map: &ClassMap, set: &str, seed: u64) -> Result<Vec<Pick>, SourceError> {
        let mut picks = Vec::new();
        for (row, &label) in labels.iter().enumerate() {
            match map.of(label) {
                Some(class) => picks.push(Pick { row, class }),
                None if self.classes.is_some() => {}
                None => {
                    let message = format!(
                        "label {label} does not occur in the training set, which has {}",
                        map.names.join(", ")
                    );
                    let file = format!("{}/{set}-labels", self.path);
                    return Err(SourceError::format(&file, format!("example {row}"), message));
                }
            }
        }
        self.order.arrange(&mut picks, seed, &format!("idx/{set}"));
        Ok(picks)
    }
}

/// The spellings of a file's name in use; plain before packed.
fn variants(directory: &Path, set: &str, what: &str) -> Vec<PathBuf> {
    let rank = if what == "images" { 3 } else { 1 };
    let spell = |dash: &str, end: &str| directory.join(format!("{set}-{what}{dash}idx{rank}-ubyte{end}"));
    vec![spell("-", ""), spell("-", ".gz"), spell(".", ""), spell(".", ".gz")]
}
