//! No bytes make a source panic.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use latephase_lab::source::{Lookup, Source};
use proptest::prelude::*;

const DIGITS: &[u8] = include_bytes!("../data/digits.csv.gz");

/// Loads a file under every reading that a spec can ask for; what comes out must be whole, or an error with a text.
fn try_table(directory: &Path, bytes: &[u8]) {
    std::fs::write(directory.join("t"), bytes).unwrap();
    for settings in [
        "",
        "label = 'first'\nheader = true\ntest = 0.5\norder = 'random'",
        "label = 1\nheader = false\ndelimiter = ';'\nnormalize = 'standardize'",
        "label = 'l'\nclasses = [0, 1]\ntest = 1\nnormalize = 'unit-rows'",
    ] {
        attempt(&format!("kind = 'csv'\npath = 't'\n{settings}"), directory);
    }
}

fn try_idx(directory: &Path, images: &[u8], labels: &[u8]) {
    for set in ["train", "t10k"] {
        std::fs::write(directory.join(format!("{set}-images-idx3-ubyte")), images).unwrap();
        std::fs::write(directory.join(format!("{set}-labels-idx1-ubyte")), labels).unwrap();
    }
    for settings in ["", "classes = [0, 1]\ntrain = 1\norder = 'random'", "normalize = 'max-norm'\ntest = 0"]
    {
        attempt(&format!("kind = 'idx'\npath = '.'\n{settings}"), directory);
    }
}

fn attempt(text: &str, directory: &Path) {
    let source: Source = toml::from_str(text).unwrap();
    match source.load(1, &Lookup { working_dir: directory.into(), data_dir: None }) {
        Ok(loaded) => assert!(loaded.train.rows().data.iter().all(|x| x.is_finite())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A cut and some overwritten bytes, at relative positions.
fn damage(bytes: &[u8], cut: f64, flips: &[(f64, u8)]) -> Vec<u8> {
    let mut bytes = bytes[..(cut * bytes.len() as f64) as usize].to_vec();
    for (at, value) in flips {
        let at = (at * bytes.len() as f64) as usize;
        if let Some(byte) = bytes.get_mut(at) {
            *byte = *value;
        }
    }
    bytes
}

fn flips() -> impl Strategy<Value = Vec<(f64, u8)>> {
    prop::collection::vec((0.0..1.0, any::<u8>()), 0..4)
}

/// Most files whole, some cut.
fn cut() -> impl Strategy<Value = f64> {
    prop_oneof![2 => Just(1.0), 1 => 0.0..1.0]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic_as_a_table(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let directory = tempfile::tempdir().unwrap();
        try_table(directory.path(), &bytes);
        try_table(directory.path(), &gz(&bytes));
    }

    #[test]
    fn no_text_panics_as_a_table(text in "([0-9a-b.,;l\"\n-]|nan|1e9|\r\n|l,){0,60}") {
        let directory = tempfile::tempdir().unwrap();
        try_table(directory.path(), text.as_bytes());
    }

    #[test]
    fn no_bytes_panic_as_images_or_labels(
        images in prop::collection::vec(any::<u8>(), 0..80),
        labels in prop::collection::vec(any::<u8>(), 0..80),
        sizes in prop::array::uniform4(0u8..4),
    ) {
        let directory = tempfile::tempdir().unwrap();
        try_idx(directory.path(), &images, &labels);
        // Behind a plausible header more of the reader is reached.
        let [n, m, h, w] = sizes;
        let images = [&[0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, h, 0, 0, 0, w][..], &images].concat();
        let labels = [&[0, 0, 8, 1, 0, 0, 0, m][..], &labels].concat();
        try_idx(directory.path(), &images, &labels);
        try_idx(directory.path(), &gz(&images), &gz(&labels));
    }

    #[test]
    fn a_small_image_set_with_damage_never_panics(cut in cut(), in_images in flips(), in_labels in flips()) {
        let images: Vec<u8> = [0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2].into_iter().chain(0..24).collect();
        let labels = [0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 2, 1];
        let directory = tempfile::tempdir().unwrap();
        try_idx(directory.path(), &damage(&images, cut, &in_images), &damage(&labels, 1.0, &in_labels));
        try_idx(directory.path(), &damage(&gz(&images), cut, &in_images), &damage(&gz(&labels), 1.0, &in_labels));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_digits_with_damage_never_panic(cut in cut(), flips in flips()) {
        let directory = tempfile::tempdir().unwrap();
        try_table(directory.path(), &damage(DIGITS, cut, &flips));
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(DIGITS), &mut text).unwrap();
        try_table(directory.path(), &damage(&text, cut, &flips));
    }

    #[test]
    fn mnist_with_damage_never_panics(cut in cut(), in_images in flips(), in_labels in flips()) {
        let Some(data) = std::env::var_os("LATEPHASE_DATA").map(PathBuf::from) else {
            eprintln!("skipped: LATEPHASE_DATA is not set");
            return Ok(());
        };
        let read = |name: &str| std::fs::read(data.join("mnist").join(name));
        let (Ok(images), Ok(labels)) = (read("t10k-images-idx3-ubyte.gz"), read("t10k-labels-idx1-ubyte.gz")) else {
            eprintln!("skipped: there is no mnist directory under LATEPHASE_DATA");
            return Ok(());
        };
        let directory = tempfile::tempdir().unwrap();
        try_idx(directory.path(), &damage(&images, cut, &in_images), &damage(&labels, 1.0, &in_labels));
    }
}
