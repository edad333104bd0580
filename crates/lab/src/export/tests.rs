//! Every format read back, by the rules of the format.

use std::io::Read;
use std::sync::atomic::AtomicBool;

use prost::Message;

use super::tensorboard::{Event, Hparams, Kind, masked};
use super::*;
use crate::Spec;
use crate::findings::Columns;
use crate::source::Lookup;
use crate::stint::{Options as Stint, Unwatched, begin};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const SPEC: &str = "data = \"four-points\"\nmodel = { kind = \"mlp\", widths = [3] }\nloss = \"logistic\"\n\
                    keep = { log10_loss = [-1, -5] }\nprobes = [\"margin\"]\nstop = { log10_loss = -20 }\n\
                    [algorithm]\nkind = \"stepped\"\ndescent = { kind = \"steepest\", norm = \"l2\" }\n\
                    pace = { kind = \"unit-decrease\", eta = 0.05 }\n";

/// A directory with two runs, `one` and `more/two`.
fn runs() -> Result<tempfile::TempDir, Box<dyn std::error::Error>> {
    let place = tempfile::tempdir()?;
    for (name, seed) in [("one", 0), ("more/two", 1)] {
        let spec = Spec::parse(SPEC, "spec.toml", &[format!("seed={seed}")])?;
        let (stop, lookup) = (AtomicBool::new(false), Lookup::from_env());
        let stint = Stint {
            threads: Some(1),
            max_seconds: None,
            checkpoint_seconds: 30.0,
            stop: &stop,
            lookup,
            progress: &mut Unwatched,
        };
        begin(&spec, &place.path().join(name), stint)?;
    }
    Ok(place)
}

fn read(place: &Path) -> Result<Vec<Record>, Error> {
    record::read_all(&[place.join("one"), place.join("more")])
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}

#[test]
fn runs_are_named_by_their_directories_and_apart() -> Outcome {
    let place = runs()?;
    let names = |runs: &[Record]| runs.iter().map(|r| r.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&read(place.path())?), ["one", "two"]);
    assert_eq!(names(&record::read_all(&[place.path().to_owned()])?), ["more/two", "one"]);
    let twice = record::read_all(&[place.path().join("more/two"), place.path().join("more")])?;
    assert_eq!(twice.len(), 2);
    fs::create_dir(place.path().join("empty"))?;
    let error = record::read_all(&[place.path().join("empty")]).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("no rows.csv"), "{error}");
    Ok(())
}

#[test]
fn what_is_there_is_replaced_only_by_force() -> Outcome {
    let place = runs()?;
    let out = place.path().join("rows.csv");
    fs::write(&out, "mine")?;
    let mut options = Options { out: Some(out.clone()), ..Options::default() };
    let run = [place.path().join("one")];
    let error = export(&run, find("csv")?, &options).unwrap_err();
    assert!(error.to_string().contains("--force"), "{error}");
    assert_eq!(fs::read_to_string(&out)?, "mine");
    options.force = true;
    export(&run, find("csv")?, &options)?;
    assert!(fs::read_to_string(&out)?.starts_with("run,step,"));
    Ok(())
}

#[test]
fn an_unknown_format_names_the_nearest() {
    let error = find("tensorbord").err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("did you mean `tensorboard`?") && error.contains("mlflow"), "{error}");
}

#[test]
fn the_tables_have_every_number_of_the_rows_in_all_digits() -> Outcome {
    let place = runs()?;
    let runs = read(place.path())?;
    let wide = find("csv")?.files(&runs)?.remove(0).1;
    let mut reader = ::csv::Reader::from_reader(wide.as_slice());
    let header = reader.headers()?.clone();
    let lines: Vec<::csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
    assert_eq!(lines.len(), runs[0].rows() + runs[1].rows());
    let all = runs.iter().flat_map(|run| (0..run.rows()).map(move |row| (run, row)));
    for (line, (run, row)) in lines.iter().zip(all) {
        assert_eq!(&line[0], run.name);
        for (name, cell) in header.iter().zip(line).skip(1) {
            let value = run.columns.get(name)[row];
            let read: f64 = if cell.is_empty() { f64::NAN } else { cell.parse()? };
            assert!(value.is_nan() && read.is_nan() || same(read, value), "{name}: {cell} for {value}");
        }
    }
    let long = find("csv-long")?.files(&runs)?.remove(0).1;
    let mut reader = ::csv::Reader::from_reader(long.as_slice());
    let lines: Vec<::csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
    let known = |run: &Record| {
        let of = |(name, v): &(String, Vec<f64>)| v.iter().filter(|x| !x.is_nan() && name != "step").count();
        run.columns.0.iter().map(of).sum::<usize>()
    };
    assert_eq!(lines.len(), runs.iter().map(known).sum::<usize>());
    let last = lines.iter().rfind(|l| &l[2] == "log10_loss").ok_or("a loss")?;
    assert!(same(last[3].parse()?, runs[1].columns.last("log10_loss")));
    Ok(())
}

/// The header and the numbers of a `.npy`.
fn npy(bytes: &[u8]) -> (String, Vec<f64>) {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + length) % 64, 0, "numpy wants the numbers aligned");
    let header = String::from_utf8_lossy(&bytes[10..10 + length]).into_owned();
    assert!(header.ends_with('\n'));
    let words = bytes[10 + length..].chunks_exact(8);
    (header, words.map(|w| f64::from_le_bytes(w.try_into().unwrap_or_default())).collect())
}

#[test]
fn the_arrays_have_columns_theta_and_snapshots() -> Outcome {
    let place = runs()?;
    let runs = read(place.path())?;
    let bytes = find("npz")?.files(&runs[..1])?.remove(0).1;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&bytes))?;
    let mut array = |name: &str| -> Result<(String, Vec<f64>), Box<dyn std::error::Error>> {
        let mut bytes = Vec::new();
        zip.by_name(&format!("{name}.npy"))?.read_to_end(&mut bytes)?;
        Ok(npy(&bytes))
    };
    let (header, loss) = array("log10_loss")?;
    assert!(header.contains(&format!("'shape': ({},)", runs[0].rows())), "{header}");
    assert_eq!(loss, runs[0].columns.get("log10_loss"));
    let theta = runs[0].theta()?;
    let weight = theta.iter().find(|b| b.name == "0.weight").ok_or("a block")?;
    let (header, values) = array("theta/0.weight")?;
    assert!(header.contains("'descr': '<f8', 'fortran_order': False, 'shape': (3,2,)"), "{header}");
    assert_eq!(values, weight.values);
    let (_, kept) = array("snapshot/-5/0.weight")?;
    assert!(kept.len() == 6 && kept != values);
    let both = find("npz")?.files(&runs)?.remove(0).1;
    let zip = zip::ZipArchive::new(std::io::Cursor::new(&both))?;
    assert!(zip.file_names().any(|n| n.is_ok_and(|n| n == "two/theta/0.weight.npy")));
    assert_eq!(both, find("npz")?.files(&runs)?.remove(0).1, "the same bytes again");
    Ok(())
}

/// The events of a file, with both checks of every record verified.
fn events(mut bytes: &[u8]) -> Result<Vec<Event>, Box<dyn std::error::Error>> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_at(8);
        let n = usize::try_from(u64::from_le_bytes(length.try_into()?))?;
        assert_eq!(rest[..4], masked(length).to_le_bytes());
        let event = &rest[4..4 + n];
        assert_eq!(rest[4 + n..8 + n], masked(event).to_le_bytes());
        events.push(Event::decode(event)?);
        bytes = &rest[8 + n..];
    }
    Ok(events)
}

#[test]
fn events_are_framed_and_hold_every_column_as_doubles() -> Outcome {
    let place = runs()?;
    let runs = read(place.path())?;
    let files = find("tensorboard")?.files(&runs)?;
    let names: Vec<String> = files.iter().map(|(name, _)| name.display().to_string()).collect();
    assert_eq!(names, ["one/events.out.tfevents.0.latephase", "two/events.out.tfevents.0.latephase"]);
    let events = events(&files[0].1)?;
    assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
    let about = &events[1].summary.as_ref().ok_or("a summary")?.value[0];
    let content = &about.metadata.as_ref().and_then(|m| m.plugin.as_ref()).ok_or("a plugin")?.content;
    let start = Hparams::decode(content.as_slice())?.session_start.ok_or("a start")?;
    let eta = start.hparams.iter().find(|h| h.key == "algorithm.pace.eta").ok_or("a setting")?;
    assert_eq!(eta.value.as_ref().and_then(|v| v.kind.clone()), Some(Kind::Number(0.05)));
    let looks = &events[2..events.len() - 1];
    assert_eq!(looks.len(), runs[0].rows());
    for (row, event) in looks.iter().enumerate() {
        assert_eq!(event.step as f64, runs[0].step(row));
        let values = &event.summary.as_ref().ok_or("a summary")?.value;
        let known = runs[0].columns.0.iter().filter(|(name, v)| name != "step" && !v[row].is_nan());
        assert_eq!(values.len(), 2 * known.clone().count());
        for (pair, (name, column)) in values.chunks(2).zip(known) {
            let [drawn, exact] = [0, 1].map(|k| pair[k].tensor.clone().unwrap_or_default());
            assert_eq!((&pair[0].tag, drawn.dtype, drawn.float_val), (name, 1, vec![column[row] as f32]));
            assert_eq!((&pair[1].tag, exact.dtype), (&format!("double/{name}"), 2));
            assert!(exact.double_val.len() == 1 && same(exact.double_val[0], column[row]));
        }
    }
    Ok(())
}

#[test]
fn the_check_of_a_record_is_the_castagnoli_one() {
    // RFC 3720, B.4: 32 bytes of zeros have CRC-32C 8a9136aa; the mask is that of the TFRecord format.
    let crc = 0x8a91_36aa_u32;
    assert_eq!(masked(&[0; 32]), crc.rotate_right(15).wrapping_add(0xa282_ead8));
}

#[test]
fn lightning_gets_epoch_and_step_first_and_nested_settings() -> Outcome {
    let place = runs()?;
    let runs = read(place.path())?;
    let files = find("lightning")?.files(&runs)?;
    let text = |k: usize| String::from_utf8_lossy(&files[k].1).into_owned();
    assert_eq!(files[0].0, Path::new("one/version_0/metrics.csv"));
    assert!(text(0).starts_with("epoch,step,"));
    assert_eq!(text(0).lines().count(), runs[0].rows() + 1);
    assert!(!text(0).contains("NaN"));
    assert!(text(1).contains("algorithm:\n  kind: \"stepped\"\n") && text(1).contains("    eta: 0.05\n"));
    Ok(())
}

#[test]
fn mlflow_without_a_python_says_what_to_do() -> Outcome {
    let place = runs()?;
    let options =
        Options { out: Some(place.path().join("m.db")), python: Some("no-such-python".into()), force: false };
    let error = export(&[place.path().join("one")], find("mlflow")?, &options).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("pip install mlflow"), "{error}");
    Ok(())
}

#[test]
fn a_look_of_this_stint_has_its_seconds() {
    let columns = Columns(vec![("step".into(), vec![0.0, 5.0, 9.0])]);
    let spec = Spec::parse(SPEC, "spec.toml", &[]).expect("the spec of these tests");
    let manifest = serde_json::json!({ "looks": [[5, 0.5], [9, 0.75]] });
    let run = Record { name: "a".into(), dir: "a".into(), columns, spec, settings: Vec::new(), manifest };
    assert_eq!(run.seconds(), [0.0, 0.5, 0.75]);
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_parquet_says_how_to_get_one() {
    let error = find("parquet").and_then(|f| f.files(&[])).unwrap_err();
    assert!(error.to_string().contains("--features parquet"), "{error}");
}

#[cfg(feature = "parquet")]
#[test]
fn the_parquet_table_reads_back() -> Outcome {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::Field;
    let place = runs()?;
    let runs = read(place.path())?;
    let path = place.path().join("t.parquet");
    fs::write(&path, find("parquet")?.files(&runs)?.remove(0).1)?;
    let reader = SerializedFileReader::new(fs::File::open(&path)?)?;
    let rows = reader.get_row_iter(None)?.collect::<Result<Vec<_>, _>>()?;
    assert_eq!(rows.len(), runs[0].rows() + runs[1].rows());
    let all = runs.iter().flat_map(|run| (0..run.rows()).map(move |row| (run, row)));
    for (line, (run, row)) in rows.iter().zip(all) {
        for (name, field) in line.get_column_iter() {
            match field {
                Field::Str(text) => assert_eq!((name.as_str(), text), ("run", &run.name)),
                Field::Double(x) => {
                    let value = run.columns.get(name)[row];
                    assert!(value.is_nan() && x.is_nan() || same(*x, value), "{name}");
                }
                other => return Err(format!("{name} is {other:?}").into()),
            }
        }
    }
    Ok(())
}
