//! The IDX format of MNIST: unsigned bytes behind a header of big-endian sizes.
//!
//! Magic 0x00000803 and three sizes for images, 0x00000801 and one size for labels; then exactly as many bytes as
//! the sizes say. The header is believed only as far as bytes follow: nothing is allocated on its word.

use std::io::Read;

use super::SourceError;
use super::files::{LIMIT, contents, corrupted};

/// The images of one file, row after row.
pub(super) struct Images {
    pub pixels: Vec<u8>,
    pub n: usize,
    pub height: usize,
    pub width: usize,
}

/// Reads an image file, plain or gzipped.
pub(super) fn images(bytes: &[u8], file: &str) -> Result<Images, SourceError> {
    let (sizes, pixels) = read::<3>(bytes, file, "images")?;
    let [n, height, width] = sizes;
    Ok(Images { pixels, n, height, width })
}

/// Reads a label file, plain or gzipped.
pub(super) fn labels(bytes: &[u8], file: &str) -> Result<Vec<u8>, SourceError> {
    Ok(read::<1>(bytes, file, "labels")?.1)
}

fn read<const D: usize>(bytes: &[u8], file: &str, what: &str) -> Result<([usize; D], Vec<u8>), SourceError> {
    let wrong = |message: String| SourceError::format(file, "", message);
    let mut reader = contents(bytes);
    let mut word = |which: &str| -> Result<u32, SourceError> {
        let mut word = [0; 4];
        match reader.read_exact(&mut word) {
            Ok(()) => Ok(u32::from_be_bytes(word)),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(wrong(format!("truncated: it ends within the header, at {which}")))
            }
            Err(e) => Err(corrupted(file, &e)),
        }
    };
    let magic = word("the magic number")?;
    let expected = 0x0800 + D as u32;
    if magic != expected {
        let message =
            format!("wrong magic number 0x{magic:08x}; {what} as unsigned bytes have 0x{expected:08x}");
        return Err(wrong(message));
    }
    let mut sizes = [0usize; D];
    for (axis, size) in sizes.iter_mut().enumerate() {
        *size = word(&format!("size {axis}"))? as usize;
    }
    let spelled = sizes.map(|s| s.to_string()).join(" x ");
    if sizes.contains(&0) {
        return Err(wrong(format!("empty: it declares {spelled} bytes")));
    }
    let total = sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64));
    // One byte more than declared, to notice what follows. No capacity is reserved: the file may be lying.
    let Some(limit) = total.and_then(|total| total.checked_add(1)) else {
        return Err(wrong(format!("it declares {spelled} bytes, which no file can hold")));
    };
    let mut body = Vec::new();
    reader.take(limit.min(LIMIT + 1)).read_to_end(&mut body).map_err(|e| corrupted(file, &e))?;
    let found = body.len() as u64;
    if found > LIMIT {
        return Err(wrong(format!("unpacks to more than the {LIMIT} bytes allowed")));
    }
    if found >= limit {
        return Err(wrong(format!("more bytes follow than the {spelled} it declares")));
    }
    if found + 1 < limit {
        return Err(wrong(format!("truncated: it declares {spelled} bytes, but {found} follow the header")));
    }
    Ok((sizes, body))
}
