//! TensorBoard event files.
//!
//! A file is a sequence of TFRecords, each an `Event` in protocol buffers. Every column is there twice: by its own name as the f32
//! that TensorBoard draws, and as `double/NAME` in all digits, a tensor of type DT_DOUBLE, for whoever reads the file. One tag
//! for both would do if TensorBoard's default loader did not leave out a scalar of doubles without a word.
//! Its logarithmic axis is linear below about 0.1, so the decades of a loss are read off the tag `log10_loss`. The spec is there
//! as the hyper-parameters of the HParams page, and as text.
//!
//! `wall_time` is seconds from the begin of the run: an export reads no clock.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use prost::Message;

use super::record::text;
use super::{File, Format, Record};
use crate::error::Error;

/// One event file for each run, in a directory of its name.
pub(super) struct TensorBoard;

/// The name of the file; TensorBoard takes what holds `tfevents`.
const FILE: &str = "events.out.tfevents.0.latephase";
/// `DataType.DT_FLOAT`, `DT_DOUBLE`, `DT_STRING`.
const FLOAT: i32 = 1;
const DOUBLE: i32 = 2;
const STRING: i32 = 7;
/// `DataClass.DATA_CLASS_SCALAR`, `DATA_CLASS_TENSOR`.
const SCALAR: i32 = 1;
const TENSOR: i32 = 2;
/// CRC-32C, as the records are checked by.
const CASTAGNOLI: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

impl Format for TensorBoard {
    fn name(&self) -> &'static str {
        "tensorboard"
    }

    fn about(&self) -> &'static str {
        "event files; log10_loss is the loss axis in decades, double/NAME a column in all digits"
    }

    fn opened(&self, out: &str) -> String {
        format!("tensorboard --logdir {out}")
    }

    fn place(&self, _: &[Record]) -> PathBuf {
        "tensorboard".into()
    }

    fn files(&self, runs: &[Record]) -> Result<Vec<File>, Error> {
        let file = |run: &Record| (Path::new(&run.name).join(FILE), events(run));
        Ok(runs.iter().map(file).collect())
    }
}

fn events(run: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    let version = Event { file_version: Some("brain.Event:2".into()), ..Event::default() };
    frame(&version.encode_to_vec(), &mut bytes);
    let seconds = run.seconds();
    let first = Event { summary: Some(Summary { value: about(run) }), ..Event::default() };
    frame(&first.encode_to_vec(), &mut bytes);
    // A tag is described where it comes first.
    let mut described = HashSet::new();
    for row in 0..run.rows() {
        let columns = run.columns.0.iter().filter(|(name, values)| name != "step" && !values[row].is_nan());
        let values = columns.flat_map(|(name, values)| {
            let x = values[row];
            let exact = format!("double/{name}");
            let mut describe = |tag: &str, plugin, class| {
                described.insert(tag.to_owned()).then(|| Metadata::of(plugin, class, Vec::new()))
            };
            [
                Value {
                    metadata: describe(name, "scalars", SCALAR),
                    tensor: Some(Tensor { dtype: FLOAT, float_val: vec![x as f32], ..Tensor::default() }),
                    tag: name.clone(),
                },
                Value {
                    metadata: describe(&exact, "latephase", TENSOR),
                    tensor: Some(Tensor { dtype: DOUBLE, double_val: vec![x], ..Tensor::default() }),
                    tag: exact,
                },
            ]
        });
        let event = Event {
            wall_time: seconds[row],
            step: run.step(row) as i64,
            summary: Some(Summary { value: values.collect() }),
            ..Event::default()
        };
        frame(&event.encode_to_vec(), &mut bytes);
    }
    if let (Some(status), Some(last)) = (status(run), seconds.last()) {
        let end =
            Hparams { session_end: Some(SessionEnd { status, end_time_secs: *last }), ..Hparams::default() };
        let value = hparams_value("_hparams_/session_end_info", end);
        let event =
            Event { wall_time: *last, summary: Some(Summary { value: vec![value] }), ..Event::default() };
        frame(&event.encode_to_vec(), &mut bytes);
    }
    bytes
}

/// The settings as hyper-parameters, and the spec as text.
fn about(run: &Record) -> Vec<Value> {
    let hparams = run.settings.iter().map(|(key, value)| Hparam {
        key: key.clone(),
        value: Some(match value {
            toml::Value::Integer(i) => ProtoValue { kind: Some(Kind::Number(*i as f64)) },
            toml::Value::Float(x) => ProtoValue { kind: Some(Kind::Number(*x)) },
            toml::Value::Boolean(b) => ProtoValue { kind: Some(Kind::Bool(*b)) },
            other => ProtoValue { kind: Some(Kind::Text(text(other))) },
        }),
    });
    let start =
        SessionStart { hparams: hparams.collect(), group_name: run.name.clone(), ..SessionStart::default() };
    let hparams = Hparams { session_start: Some(start), ..Hparams::default() };
    // Markdown: four spaces make a block of code.
    let spec = run.spec.resolved_toml().unwrap_or_default();
    let spec: String = spec.lines().map(|line| format!("    {line}\n")).collect();
    let spec = Value {
        tag: "spec".into(),
        metadata: Some(Metadata::of("text", TENSOR, Vec::new())),
        tensor: Some(Tensor { dtype: STRING, string_val: vec![spec.into_bytes()], ..Tensor::default() }),
    };
    vec![hparams_value("_hparams_/session_start_info", hparams), spec]
}

fn hparams_value(tag: &str, content: Hparams) -> Value {
    // The plugin reads the metadata alone; the tensor has to be there.
    let metadata = Metadata::of("hparams", 0, content.encode_to_vec());
    let tensor = Tensor { dtype: FLOAT, float_val: vec![0.0], ..Tensor::default() };
    Value { tag: tag.into(), metadata: Some(metadata), tensor: Some(tensor) }
}

/// `STATUS_SUCCESS` or `STATUS_FAILURE`; nothing for a run that can go on.
fn status(run: &Record) -> Option<i32> {
    match run.manifest["outcome"]["kind"].as_str()? {
        "interrupted" => None,
        "failed" | "diverged" => Some(2),
        _ => Some(1),
    }
}

/// A TFRecord: length, its check, the bytes, their check.
fn frame(event: &[u8], out: &mut Vec<u8>) {
    let length = (event.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked(&length).to_le_bytes());
    out.extend(event);
    out.extend(masked(event).to_le_bytes());
}

/// The check is rotated and shifted, because the check of bytes that hold their own check is no check.
pub(super) fn masked(bytes: &[u8]) -> u32 {
    CASTAGNOLI.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    #[prost(int64, tag = "2")]
    pub step: i64,
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Value {
    #[prost(string, tag = "1")]
    pub tag: String,
    #[prost(message, optional, tag = "8")]
    pub tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<Metadata>,
}

/// A tensor without dimensions: a single number or text.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Tensor {
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
    #[prost(float, repeated, tag = "5")]
    pub float_val: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    pub double_val: Vec<f64>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub string_val: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Shape {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub plugin: Option<Plugin>,
    #[prost(int32, tag = "4")]
    pub data_class: i32,
}

impl Metadata {
    fn of(plugin: &str, data_class: i32, content: Vec<u8>) -> Metadata {
        Metadata { plugin: Some(Plugin { name: plugin.into(), content }), data_class }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Plugin {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub content: Vec<u8>,
}

/// `HParamsPluginData`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Hparams {
    #[prost(int32, tag = "1")]
    pub version: i32,
    #[prost(message, optional, tag = "3")]
    pub session_start: Option<SessionStart>,
    #[prost(message, optional, tag = "4")]
    pub session_end: Option<SessionEnd>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionStart {
    /// A map, which on the wire is a list of pairs.
    #[prost(message, repeated, tag = "1")]
    pub hparams: Vec<Hparam>,
    #[prost(string, tag = "4")]
    pub group_name: String,
    #[prost(double, tag = "5")]
    pub start_time_secs: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Hparam {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<ProtoValue>,
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ProtoValue {
    #[prost(oneof = "Kind", tags = "2, 3, 4")]
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionEnd {
    #[prost(int32, tag = "1")]
    pub status: i32,
    #[prost(double, tag = "2")]
    pub end_time_secs: f64,
}
