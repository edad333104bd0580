//! Finding, reading, hashing and unpacking data files.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::SourceError;

/// A file unpacked or not larger than this is not a data set for this laboratory (4 GiB).
pub(super) const LIMIT: u64 = 1 << 32;

/// Where relative paths are looked up: the working directory, then `LATEPHASE_DATA`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Tried first.
    pub working_dir: PathBuf,
    /// Tried second: the directory that `LATEPHASE_DATA` names.
    pub data_dir: Option<PathBuf>,
}

impl Lookup {
    /// The current directory, and `LATEPHASE_DATA` where it is set and not empty.
    pub fn from_env() -> Self {
        Lookup {
            working_dir: PathBuf::from("."),
            data_dir: std::env::var_os("LATEPHASE_DATA").filter(|v| !v.is_empty()).map(PathBuf::from),
        }
    }

    /// Every place where `path` may be; an absolute path is only where it says.
    pub(super) fn places(&self, path: &str) -> Vec<PathBuf> {
        if Path::new(path).is_absolute() {
            return vec![PathBuf::from(path)];
        }
        std::iter::once(&self.working_dir).chain(&self.data_dir).map(|base| base.join(path)).collect()
    }

    /// The first place where there is a file `path`.
    pub(super) fn file(&self, path: &str) -> Result<PathBuf, SourceError> {
        let tried = self.places(path);
        match tried.iter().find(|place| place.is_file()) {
            Some(found) => Ok(found.clone()),
            None => Err(self.not_found(path, tried)),
        }
    }

    pub(super) fn not_found(&self, name: &str, tried: Vec<PathBuf>) -> SourceError {
        let hint = if self.data_dir.is_none() && !Path::new(name).is_absolute() {
            " (LATEPHASE_DATA is not set; it can name a second directory to look in)"
        } else {
            ""
        };
        SourceError::NotFound { name: name.into(), tried, hint }
    }
}

/// What a run read: the name the spec gave, and the SHA-256 of the bytes on disk.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct FileHash {
    /// As the spec names it, so that the record is the same wherever the file was found.
    pub path: String,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

impl FileHash {
    pub(super) fn of(path: &str, bytes: &[u8]) -> Self {
        let sha256 = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        FileHash { path: path.into(), sha256 }
    }
}

/// The bytes of a file and their hash, recorded under `name`.
pub(super) fn read(path: &Path, name: &str) -> Result<(Vec<u8>, FileHash), SourceError> {
    let io = |source| SourceError::Io { path: path.into(), source };
    let length = std::fs::metadata(path).map_err(io)?.len();
    if length > LIMIT {
        return Err(SourceError::format(name, "", format!("{length} bytes, more than the {LIMIT} allowed")));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    let hash = FileHash::of(name, &bytes);
    Ok((bytes, hash))
}

/// A reader of the contents: unpacked when the bytes begin like gzip, whatever the file is called.
pub(super) fn contents<'a>(bytes: &'a [u8]) -> Box<dyn Read + 'a> {
    if bytes.starts_with(&[0x1f, 0x8b]) { Box::new(MultiGzDecoder::new(bytes)) } else { Box::new(bytes) }
}

/// All of the contents, within the limit.
pub(super) fn unpack<'a>(bytes: &'a [u8], file: &str) -> Result<Cow<'a, [u8]>, SourceError> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut all = Vec::new();
    let read = contents(bytes).take(LIMIT + 1).read_to_end(&mut all);
    read.map_err(|e| corrupted(file, &e))?;
    if all.len() as u64 > LIMIT {
        return Err(SourceError::format(file, "", format!("unpacks to more than the {LIMIT} bytes allowed")));
    }
    Ok(Cow::Owned(all))
}

pub(super) fn corrupted(file: &str, why: &std::io::Error) -> SourceError {
    SourceError::format(file, "", format!("the gzip stream is corrupted or cut off ({why})"))
}
