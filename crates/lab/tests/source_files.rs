//! The sources that read files: the digits inside, MNIST where it is there, tables and what is wrong with them.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use latephase_lab::source::{Loaded, Lookup, Source, SourceError};
use tempfile::TempDir;

fn load(text: &str, directory: &Path) -> Result<Loaded, SourceError> {
    let source: Source = toml::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    source.load(1, &Lookup { working_dir: directory.into(), data_dir: None })
}

#[track_caller]
fn refused(text: &str, directory: &Path, with: &str) {
    match load(text, directory) {
        Ok(_) => panic!("`{text}` was loaded"),
        Err(e) => assert!(e.to_string().contains(with), "`{text}` gave: {e}"),
    }
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn directory(files: &[(&str, &[u8])]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, bytes) in files {
        std::fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

// ---- digits ----

#[test]
fn the_digits_are_1797_of_8_by_8_with_their_credit() {
    let here = Path::new(".");
    let loaded = load("kind = 'digits'", here).unwrap();
    let test = loaded.test.unwrap();
    assert_eq!((loaded.train.n(), test.n()), (300, 1497));
    assert_eq!(loaded.train.shape, [1, 8, 8]);
    assert_eq!(loaded.train.classes.len(), 10);
    // The first three rows of the file are a 0, a 1 and a 2; the first begins 0 0 5 13 9 1.
    assert_eq!(loaded.train.labels()[..3], [0, 1, 2]);
    assert_eq!(loaded.train.rows().row(0)[..6], [0.0, 0.0, 5.0 / 16.0, 13.0 / 16.0, 9.0 / 16.0, 1.0 / 16.0]);
    assert!(loaded.credit.unwrap().contains("CC BY 4.0"));
    assert_eq!(loaded.files.len(), 1);
    assert_eq!(loaded.files[0].sha256.len(), 64);
    let counts = load("kind = 'digits'\ntrain = 1797", here).unwrap();
    assert!(counts.test.is_none());
    // The class counts that the data set's documentation gives.
    let of = |class| counts.train.labels().iter().filter(|l| **l == class).count();
    assert_eq!((0..10).map(of).collect::<Vec<_>>(), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
}

#[test]
fn even_digits_are_the_positive_class_and_lists_keep_their_order() {
    let here = Path::new(".");
    let parity = load("kind = 'digits'\nclasses = 'even-odd'\ntrain = 10", here).unwrap().train;
    assert_eq!(parity.classes, ["even", "odd"]);
    // The file begins 0, 1, …, 9.
    assert_eq!(parity.labels(), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let pair = load("kind = 'digits'\nclasses = [6, 3]\ntrain = 2\ntest = 5", here).unwrap();
    assert_eq!(pair.train.classes, ["6", "3"]);
    assert_eq!(pair.train.labels(), [1, 0]);
    assert_eq!(pair.test.unwrap().n(), 5);
}

#[test]
fn digits_that_are_not_there_are_counted_in_the_error() {
    let here = Path::new(".");
    refused("kind = 'digits'\nclasses = [3, 42]", here, "class 42 is not in the digits, which has 0, 1,");
    refused(
        "kind = 'digits'\nclasses = [3, 6]\ntrain = 400",
        here,
        "train: 400 examples asked for, but there are 364 of the classes `3`, `6`",
    );
    refused(
        "kind = 'digits'\nclasses = [3, 6]\ntrain = 300\ntest = 65",
        here,
        "test: 65 examples asked for, but 64 of the classes `3`, `6` are left after 300 for training",
    );
}

#[test]
fn a_random_order_is_a_rearrangement_of_the_same_examples() {
    let sorted = |order: &str| {
        let text = format!("kind = 'digits'\ntrain = 1797\norder = '{order}'");
        let train = load(&text, Path::new(".")).unwrap().train;
        let mut rows: Vec<String> =
            (0..train.n()).map(|i| format!("{} {:?}", train.labels()[i], train.rows().row(i))).collect();
        rows.sort();
        rows
    };
    assert_eq!(sorted("first"), sorted("random"));
}

// ---- idx ----

/// Three 2 × 2 images with the labels 3, 6, 3.
fn images() -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2];
    bytes.extend([0, 51, 102, 255, 1, 2, 3, 4, 9, 9, 9, 9]);
    bytes
}

const LABELS: &[u8] = &[0, 0, 8, 1, 0, 0, 0, 3, 3, 6, 3];

const IMAGES_NAME: &str = "train-images-idx3-ubyte";
const LABELS_NAME: &str = "train-labels-idx1-ubyte";

fn idx_refused(images: &[u8], labels: &[u8], with: &str) {
    let plain = directory(&[(IMAGES_NAME, images), (LABELS_NAME, labels)]);
    refused("kind = 'idx'\npath = '.'", plain.path(), with);
    let packed = directory(&[
        ("train-images-idx3-ubyte.gz", &gz(images)),
        ("train-labels-idx1-ubyte.gz", &gz(labels)),
    ]);
    refused("kind = 'idx'\npath = '.'", packed.path(), with);
}

#[test]
fn idx_files_are_read_plain_or_packed_with_or_without_a_test_set() {
    let plain = directory(&[(IMAGES_NAME, &images()), (LABELS_NAME, LABELS)]);
    let dotted = directory(&[
        ("train-images.idx3-ubyte.gz", &gz(&images())),
        ("train-labels.idx1-ubyte", LABELS),
        ("t10k-images-idx3-ubyte", &images()),
        ("t10k-labels-idx1-ubyte.gz", &gz(LABELS)),
    ]);
    let text = "kind = 'idx'\npath = '.'\nclasses = [6, 3]";
    let one = load(text, plain.path()).unwrap();
    let two = load(text, dotted.path()).unwrap();
    assert_eq!(one.train, two.train);
    assert_eq!(one.train.labels(), [1, 0, 1]);
    assert_eq!(one.train.rows().row(0), [0.0, 0.2, 0.4, 1.0]);
    assert_eq!(one.train.shape, [1, 2, 2]);
    assert!(one.test.is_none());
    assert_eq!(two.test.as_ref(), Some(&two.train));
    let names: Vec<&str> = two.files.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(names[0], "./train-images.idx3-ubyte.gz");
    assert_eq!(names.len(), 4);
    let none = load(&format!("{text}\ntest = 0"), dotted.path()).unwrap();
    assert_eq!((none.test, none.files.len()), (None, 2));
    refused(&format!("{text}\ntest = 1"), plain.path(), "cannot find `t10k-images`; looked for");
    refused(
        &format!("{text}\ntest = 4"),
        dotted.path(),
        "test: 4 examples asked for, but there are 3 of the classes `6`, `3`",
    );
    refused(
        "kind = 'idx'\npath = '.'\nclasses = [3, 7]",
        plain.path(),
        "class 7 is not in ., which has 3, 6",
    );
}

#[test]
fn a_broken_idx_file_is_named_with_what_is_wrong() {
    let images = images();
    idx_refused(&images[..27], LABELS, "train-images-idx3-ubyte");
    idx_refused(&images[..27], LABELS, "truncated: it declares 3 x 2 x 2 bytes, but 11 follow the header");
    idx_refused(&images[..6], LABELS, "truncated: it ends within the header, at size 0");
    idx_refused(&[], LABELS, "truncated: it ends within the header, at the magic number");
    idx_refused(LABELS, LABELS, "wrong magic number 0x00000801; images as unsigned bytes have 0x00000803");
    idx_refused(&images, &images, "wrong magic number 0x00000803; labels as unsigned bytes have 0x00000801");
    idx_refused(&[&images[..], &[0]].concat(), LABELS, "more bytes follow than the 3 x 2 x 2 it declares");
    idx_refused(&images, &[0, 0, 8, 1, 0, 0, 0, 2, 3, 6], "2 labels for the 3 images");
    idx_refused(&[&[0, 0, 8, 3][..], &[0; 12]].concat(), LABELS, "empty: it declares 0 x 0 x 0 bytes");
}

#[test]
fn sizes_beyond_the_file_are_errors_and_allocate_nothing() {
    let huge = [&[0, 0, 8, 3][..], &[255; 12], &[1, 2, 3]].concat();
    idx_refused(&huge, LABELS, "4294967295 x 4294967295 x 4294967295 bytes, which no file can hold");
    // 2⁶² bytes: the product fits, the file does not.
    let large = [&[0, 0, 8, 3, 64, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 4][..], &[1, 2, 3]].concat();
    idx_refused(&large, LABELS, "truncated: it declares 1073741824 x 1073741824 x 4 bytes, but 3 follow");
}

#[test]
fn a_corrupted_gzip_stream_is_said_to_be_one() {
    let mut packed = gz(&images());
    let last = packed.len() - 6;
    packed[last] ^= 1;
    let broken = directory(&[("train-images-idx3-ubyte.gz", &packed), (LABELS_NAME, LABELS)]);
    refused("kind = 'idx'\npath = '.'", broken.path(), "the gzip stream is corrupted or cut off");
    let table = directory(&[("t.csv.gz", &gz(b"1,2,a\n3,4,b\n")[..20])]);
    refused(
        "kind = 'csv'\npath = 't.csv.gz'",
        table.path(),
        "t.csv.gz: the gzip stream is corrupted or cut off",
    );
}

#[test]
fn a_missing_directory_lists_the_places_tried_and_the_data_directory_is_the_second() {
    let here = TempDir::new().unwrap();
    refused("kind = 'idx'\npath = 'no'", here.path(), "cannot find `no`; looked for");
    refused("kind = 'idx'\npath = 'no'", here.path(), "LATEPHASE_DATA is not set");
    let data = directory(&[]);
    std::fs::create_dir(data.path().join("set")).unwrap();
    // An empty directory of that name in the first place does not hide the full one in the second.
    std::fs::create_dir(here.path().join("set")).unwrap();
    std::fs::write(data.path().join("set").join(IMAGES_NAME), images()).unwrap();
    std::fs::write(data.path().join("set").join(LABELS_NAME), LABELS).unwrap();
    let lookup = Lookup { working_dir: here.path().into(), data_dir: Some(data.path().into()) };
    let source: Source = toml::from_str("kind = 'idx'\npath = 'set'").unwrap();
    let loaded = source.load(1, &lookup).unwrap();
    assert_eq!(loaded.files[0].path, "set/train-images-idx3-ubyte");
    let missing: Source = toml::from_str("kind = 'csv'\npath = 'no.csv'").unwrap();
    let message = missing.load(1, &lookup).unwrap_err().to_string();
    assert!(message.contains(&here.path().join("no.csv").display().to_string()), "{message}");
    assert!(message.contains(&data.path().join("no.csv").display().to_string()), "{message}");
}

fn mnist() -> Option<PathBuf> {
    let data = std::env::var_os("LATEPHASE_DATA").map(PathBuf::from);
    let data = data.filter(|d| d.join("mnist").is_dir());
    if data.is_none() {
        eprintln!("skipped: there is no mnist directory under LATEPHASE_DATA");
    }
    data
}

#[test]
fn mnist_has_its_known_counts_and_pixel_sums() {
    let Some(data) = mnist() else { return };
    let text = "kind = 'idx'\npath = 'mnist'\nclasses = [3, 6]\ntrain = 100\ntest = 1000";
    let pair = load(text, &data).unwrap();
    let test = pair.test.unwrap();
    assert_eq!((pair.train.n(), test.n(), pair.train.dim()), (100, 1000, 784));
    assert_eq!(pair.train.shape, [1, 28, 28]);
    // The published counts: 6131 threes and 5918 sixes for training, 1010 and 958 for testing.
    refused(
        "kind = 'idx'\npath = 'mnist'\nclasses = [3, 6]\ntrain = 12050\ntest = 0",
        &data,
        "there are 12049 of the classes",
    );
    let all = load("kind = 'idx'\npath = 'mnist'\ntrain = 10", &data).unwrap();
    assert_eq!(all.train.labels(), [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    let test = all.test.unwrap();
    assert_eq!(test.n(), 10_000);
    // The mean pixel of the test set, 0.1325 to four digits, is the number usually quoted for it.
    let mean = test.rows().data.iter().sum::<f64>() / test.rows().data.len() as f64;
    assert!((mean - 0.1325).abs() < 5e-5, "{mean}");
    let drawn = load(&format!("{text}\norder = 'random'"), &data).unwrap();
    assert_ne!(drawn.train, pair.train);
}

// ---- csv ----

#[test]
fn a_table_is_read_with_its_header_and_classes_are_sorted() {
    let text = b"width,height,species\n1,2.5,rose\n3,4e0,iris\n-5,6,rose\n";
    let there = directory(&[("t.csv", text), ("t.csv.gz", &gz(text))]);
    let loaded = load("kind = 'csv'\npath = 't.csv'", there.path()).unwrap();
    assert_eq!(loaded.train.classes, ["iris", "rose"]);
    assert_eq!(loaded.train.labels(), [1, 0, 1]);
    assert_eq!(loaded.train.rows().data, [1.0, 2.5, 3.0, 4.0, -5.0, 6.0]);
    assert!(loaded.test.is_none());
    for same in
        ["path = 't.csv.gz'", "path = 't.csv'\nlabel = 'species'", "path = 't.csv'\nlabel = 2\nheader = true"]
    {
        assert_eq!(
            load(&format!("kind = 'csv'\n{same}"), there.path()).unwrap().train,
            loaded.train,
            "{same}"
        );
    }
    refused(
        "kind = 'csv'\npath = 't.csv'\nlabel = 'kind'",
        there.path(),
        "no column of t.csv is called `kind`",
    );
    refused("kind = 'csv'\npath = 't.csv'\nlabel = 3", there.path(), "column 3 does not exist: t.csv has 3");
    refused(
        "kind = 'csv'\npath = 't.csv'\nheader = false",
        there.path(),
        "t.csv, record 1 (line 1), column 0: `width` is not a number",
    );
}

#[test]
fn numeric_labels_are_compared_as_numbers_and_signs_put_plus_one_first() {
    let there = directory(&[
        ("ten.csv", b"10,1\n9,2\n1e1,3\n"),
        ("signs.csv", b"-1,1\n+1,2\n1.0,3\n"),
        ("bits.csv", b"0,1\n1,2\n"),
    ]);
    let classes = |name: &str| {
        load(&format!("kind = 'csv'\nlabel = 'first'\npath = '{name}'"), there.path()).unwrap().train
    };
    assert_eq!(classes("ten.csv").classes, ["9", "10"]);
    assert_eq!(classes("ten.csv").labels(), [1, 0, 1]);
    assert_eq!(classes("signs.csv").classes, ["1", "-1"]);
    assert_eq!(classes("signs.csv").sign(1), 1.0);
    assert_eq!(classes("bits.csv").classes, ["0", "1"]);
}

#[test]
fn a_broken_table_is_named_with_record_line_and_column() {
    let cases: [(&[u8], &str); 10] = [
        (b"x,y,l\n1,2,a\n3,oops,b\n", "t.csv, record 3 (line 3), column 1 `y`: `oops` is not a number"),
        (b"x,y,l\n1,,a\n3,4,b\n", "record 2 (line 2), column 1 `y`: `` is not a number"),
        (b"1,2,a\n3,nan,b\n", "record 2 (line 2), column 1: `nan` is not finite"),
        (b"1,2,a\n3,1e999,b\n", "column 1: `1e999` is not finite"),
        (b"1,2,a\n3,b\n", "record 2 (line 2): 2 columns, but the first record has 3"),
        (b"1,2,a\n3,4,\n", "record 2 (line 2), column 2: the label is empty"),
        (b"1,2,a\n3,\xff,b\n", "column 1: the cell is not UTF-8"),
        (b"1,2,a\n3,4,a\n", "every example has the label `a`; two classes are needed"),
        (b"1;2;a\n", "one column only"),
        (b"", "there are no examples in it"),
    ];
    for (bytes, with) in cases {
        let there = directory(&[("t.csv", bytes)]);
        refused("kind = 'csv'\npath = 't.csv'", there.path(), with);
    }
    let only_header = directory(&[("t.csv", b"x,y,l\n")]);
    refused("kind = 'csv'\npath = 't.csv'", only_header.path(), "there are no examples in it");
}

#[test]
fn a_test_set_is_a_fraction_a_count_what_is_left_or_another_file() {
    let rows: String = (0..20).map(|i| format!("{i},{}\n", if i % 2 == 0 { "a" } else { "b" })).collect();
    let there = directory(&[
        ("t.csv", rows.as_bytes()),
        ("other.csv", b"7,b\n"),
        ("foreign.csv", b"7,c\n"),
        ("wide.csv", b"7,8,b\n"),
    ]);
    let sizes = |more: &str| {
        let loaded = load(&format!("kind = 'csv'\npath = 't.csv'\n{more}"), there.path()).unwrap();
        (loaded.train.n(), loaded.test.map_or(0, |t| t.n()))
    };
    assert_eq!(sizes(""), (20, 0));
    assert_eq!(sizes("test = 0.25"), (15, 5));
    assert_eq!(sizes("test = 4"), (16, 4));
    assert_eq!(sizes("train = 12"), (12, 8));
    assert_eq!(sizes("train = 12\ntest = 3\norder = 'random'"), (12, 3));
    assert_eq!(sizes("test = 'other.csv'"), (20, 1));
    let text = "kind = 'csv'\npath = 't.csv'\n";
    refused(
        &format!("{text}test = 'foreign.csv'"),
        there.path(),
        "foreign.csv, example 0: label `c` is not among those of t.csv",
    );
    refused(&format!("{text}test = 'wide.csv'"), there.path(), "wide.csv: 2 inputs, but t.csv has 1");
    refused(&format!("{text}test = 20"), there.path(), "test: the test set takes all 20 examples");
    refused(&format!("{text}train = 21"), there.path(), "train: 21 examples asked for, but there are 20");
    refused(
        &format!("{text}classes = ['a', 'z']"),
        there.path(),
        "class `z` is not in t.csv, which has `a`, `b`",
    );
}

#[test]
fn a_sorted_file_cut_in_order_is_refused_rather_than_trained_on_one_class() {
    let there = directory(&[("t.csv", b"1,a\n2,a\n3,a\n4,b\n5,b\n6,b\n")]);
    let text = "kind = 'csv'\npath = 't.csv'\ntest = 3\n";
    refused(text, there.path(), "class `b` has no example among the 3 for training; use order = \"random\"");
    // The other order finds both, for one of these seeds at least.
    assert!(
        (0..20).any(|seed| load(&format!("{text}order = 'random'\nseed = {seed}"), there.path()).is_ok())
    );
}

#[test]
fn statistics_of_the_training_set_normalise_the_test_set() {
    let there = directory(&[("t.csv", b"0,5,a\n4,5,b\n"), ("other.csv", b"6,7,a\n")]);
    let text = "kind = 'csv'\npath = 't.csv'\ntest = 'other.csv'\nnormalize = 'standardize'";
    let loaded = load(text, there.path()).unwrap();
    // Mean 2 and deviation 2; the second column is constant and only centred.
    assert_eq!(loaded.train.rows().data, [-1.0, 0.0, 1.0, 0.0]);
    assert_eq!(loaded.test.unwrap().rows().data, [2.0, 2.0]);
    let huge = directory(&[("t.csv", b"1e308,a\n-1.7e308,b\n")]);
    for normalize in ["none", "scale", "unit-rows", "center", "standardize", "max-norm"] {
        // Either finite numbers or an error; a set with infinities is never handed out.
        let text = format!("kind = 'csv'\npath = 't.csv'\nnormalize = '{normalize}'");
        if let Ok(loaded) = load(&text, huge.path()) {
            assert!(loaded.train.rows().data.iter().all(|x| x.is_finite()), "{normalize}");
        }
    }
}
