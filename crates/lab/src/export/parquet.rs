//! One parquet table of all runs: `run` as text, every column as doubles; what was not measured is NaN.
//!
//! The crate behind it takes longer to compile than half of this project, so it stands behind the feature `parquet`.

use std::path::PathBuf;

use super::{File, Format, Record};
use crate::error::Error;

/// A line for every look.
pub(super) struct Parquet;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn about(&self) -> &'static str {
        match cfg!(feature = "parquet") {
            true => "one table, a line for every look, as parquet",
            false => "one table, as parquet: in builds with the feature parquet",
        }
    }

    fn opened(&self, out: &str) -> String {
        format!("pandas.read_parquet({out:?})")
    }

    fn place(&self, _: &[Record]) -> PathBuf {
        "runs.parquet".into()
    }

    #[cfg(not(feature = "parquet"))]
    fn files(&self, _: &[Record]) -> Result<Vec<File>, Error> {
        Err(Error::usage(
            "this build cannot write parquet: `cargo install --path crates/cli --features parquet` makes one that can; \
             the format csv has the same table",
        ))
    }

    #[cfg(feature = "parquet")]
    fn files(&self, runs: &[Record]) -> Result<Vec<File>, Error> {
        let bytes = table(runs).map_err(|e| Error::usage(format!("the table cannot be written: {e}")))?;
        Ok(vec![(PathBuf::new(), bytes)])
    }
}

#[cfg(feature = "parquet")]
fn table(runs: &[Record]) -> Result<Vec<u8>, parquet::errors::ParquetError> {
    use std::sync::Arc;

    use parquet::basic::{ConvertedType, Repetition, Type as Physical};
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::types::Type;

    let names = super::csv::union(runs);
    let text = Type::primitive_type_builder("run", Physical::BYTE_ARRAY)
        .with_converted_type(ConvertedType::UTF8)
        .with_repetition(Repetition::REQUIRED);
    let mut fields = vec![Arc::new(text.build()?)];
    for name in &names {
        let field =
            Type::primitive_type_builder(name, Physical::DOUBLE).with_repetition(Repetition::REQUIRED);
        fields.push(Arc::new(field.build()?));
    }
    let schema = Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?);
    let properties = Arc::new(WriterProperties::builder().set_created_by("latephase".into()).build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties)?;
    let mut group = writer.next_row_group()?;
    let who: Vec<ByteArray> =
        runs.iter().flat_map(|r| vec![ByteArray::from(r.name.as_str()); r.rows()]).collect();
    if let Some(mut column) = group.next_column()? {
        column.typed::<ByteArrayType>().write_batch(&who, None, None)?;
        column.close()?;
    }
    for name in &names {
        let of = |run: &Record| match run.columns.get(name) {
            [] => vec![f64::NAN; run.rows()],
            values => values.to_vec(),
        };
        let values: Vec<f64> = runs.iter().flat_map(of).collect();
        if let Some(mut column) = group.next_column()? {
            column.typed::<DoubleType>().write_batch(&values, None, None)?;
            column.close()?;
        }
    }
    group.close()?;
    writer.into_inner()
}
