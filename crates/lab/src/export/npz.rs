//! Everything that is a number, for `numpy.load`.
//!
//! Arrays of little-endian f64: a column by its name, θ as `theta/BLOCK`, the kept θ as `snapshot/LOG10_LOSS/BLOCK`. With
//! several runs each name begins with `RUN/`.

use std::io::{Cursor, Write};
use std::path::PathBuf;

use zip::write::SimpleFileOptions;

use super::{Block, File, Format, Record};
use crate::error::Error;

/// `numpy.savez`'s format: arrays in a zip file, not compressed.
pub(super) struct Npz;

/// Bytes that the header of an array is a multiple of, by numpy's format 1.0.
const ALIGNED: usize = 64;

impl Format for Npz {
    fn name(&self) -> &'static str {
        "npz"
    }

    fn about(&self) -> &'static str {
        "numpy arrays: every column, theta and the kept snapshots by block"
    }

    fn opened(&self, out: &str) -> String {
        format!("numpy.load({out:?})")
    }

    fn place(&self, runs: &[Record]) -> PathBuf {
        match runs {
            [one] => format!("{}.npz", one.name.replace('/', "-")).into(),
            _ => "runs.npz".into(),
        }
    }

    fn files(&self, runs: &[Record]) -> Result<Vec<File>, Error> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for run in runs {
            let prefix = if runs.len() == 1 { String::new() } else { format!("{}/", run.name) };
            for (name, array) in arrays(run)? {
                // The format's own date stands for none, so that the same run gives the same bytes.
                let options = SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Stored)
                    .last_modified_time(zip::DateTime::default())
                    .large_file(array.values.len() > (1 << 28));
                writer.start_file(format!("{prefix}{name}.npy"), options).map_err(|e| broken(&e))?;
                writer.write_all(&npy(&array)).map_err(|e| broken(&e))?;
            }
        }
        let bytes = writer.finish().map_err(|e| broken(&e))?.into_inner();
        Ok(vec![(PathBuf::new(), bytes)])
    }
}

fn arrays(run: &Record) -> Result<Vec<(String, Block)>, Error> {
    let column = |(name, values): &(String, Vec<f64>)| {
        let block = Block { name: name.clone(), shape: vec![values.len()], values: values.clone() };
        (name.clone(), block)
    };
    let mut all: Vec<(String, Block)> = run.columns.0.iter().map(column).collect();
    all.extend(run.theta()?.into_iter().map(|b| (format!("theta/{}", b.name), b)));
    for (level, blocks) in run.snapshots()? {
        all.extend(blocks.into_iter().map(|b| (format!("snapshot/{level}/{}", b.name), b)));
    }
    Ok(all)
}

/// An array in numpy's format 1.0: magic, version, length of the header, the header as a Python literal, the numbers.
fn npy(block: &Block) -> Vec<u8> {
    let shape: String = block.shape.iter().map(|n| format!("{n},")).collect();
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}");
    let before = 10;
    let padded = (before + header.len() + 1).next_multiple_of(ALIGNED) - before - 1;
    header = format!("{header:padded$}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    // 64 dimensions of 20 digits are far below 2^16.
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(block.values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

fn broken(error: &dyn std::error::Error) -> Error {
    Error::usage(format!("the arrays cannot be packed: {error}"))
}
