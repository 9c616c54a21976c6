//! What the machine can do without logboom: disk, compression, tantivy.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::row;
use crate::volume::Input;

pub(crate) fn print(directory: &Path, input: &Input) {
    println!("\nthe machine");
    let wall = sequential_write(directory, input.bytes.chunks(1 << 20));
    row(
        "sequential write, fsync a MiB",
        input.megabytes(),
        wall,
        None,
    );
    let (wall, compressed) = compression(input.bytes.chunks(64 << 10));
    row("lz4, one core", input.megabytes(), wall, None);
    println!(
        "{:34} {:8.2}",
        "lz4 ratio",
        input.bytes.len() as f64 / compressed as f64
    );
    // A tenth is enough for a rate, and the whole would take minutes.
    let part = &input.bytes[..input.bytes.len() / 10];
    let lines = part.split(|byte| *byte == b'\n');
    let wall = raw_tantivy(
        directory,
        lines.map(|line| std::str::from_utf8(line).unwrap()),
    );
    row(
        "raw tantivy, one text field",
        part.len() as f64 / 1e6,
        wall,
        None,
    );
}

/// Appends, each followed by fdatasync: the ceiling of a queue that syncs before it acks.
pub(crate) fn sequential_write(
    directory: &Path,
    chunks: impl Iterator<Item = impl AsRef<[u8]>>,
) -> Duration {
    let path = directory.join("sequential");
    let mut file = std::fs::File::create(&path).unwrap();
    let start = Instant::now();
    for chunk in chunks {
        file.write_all(chunk.as_ref()).unwrap();
        file.sync_data().unwrap();
    }
    let wall = start.elapsed();
    std::fs::remove_file(path).unwrap();
    wall
}

/// What it takes to compress chunk by chunk, and the bytes that come of it.
pub(crate) fn compression<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Duration, usize) {
    let start = Instant::now();
    let compressed = chunks.map(|chunk| lz4_flex::compress(chunk).len()).sum();
    (start.elapsed(), compressed)
}

/// One text field with positions and one writer thread: no parsing, no attributes, no store.
pub(crate) fn raw_tantivy(
    directory: &Path,
    texts: impl Iterator<Item = impl AsRef<str>>,
) -> Duration {
    use tantivy::schema::{IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
    let folder = directory.join("tantivy");
    std::fs::create_dir(&folder).unwrap();
    let mut schema = Schema::builder();
    let indexing =
        TextFieldIndexing::default().set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let field = schema.add_text_field("raw", TextOptions::default().set_indexing_options(indexing));
    let index = tantivy::Index::create_in_dir(&folder, schema.build()).unwrap();
    let mut writer: tantivy::IndexWriter = index.writer_with_num_threads(1, 64 << 20).unwrap();
    let start = Instant::now();
    for text in texts {
        let mut document = tantivy::TantivyDocument::default();
        document.add_text(field, text.as_ref());
        writer.add_document(document).unwrap();
    }
    writer.commit().unwrap();
    let wall = start.elapsed();
    drop(writer);
    std::fs::remove_dir_all(folder).unwrap();
    wall
}
