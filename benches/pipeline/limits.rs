//! What the machine can do without logboom: disk, compression, tantivy.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::row;
use crate::volume::Input;

pub(crate) fn print(directory: &Path, input: &Input) {
    println!("\nthe machine");
    sequential_write(directory, input);
    compression(input);
    raw_tantivy(directory, input);
}

/// Appends of 1 MiB, each followed by fdatasync: the ceiling of a queue that syncs before it acks.
fn sequential_write(directory: &Path, input: &Input) {
    let mut file = std::fs::File::create(directory.join("sequential")).unwrap();
    let start = Instant::now();
    for chunk in input.bytes.chunks(1 << 20) {
        file.write_all(chunk).unwrap();
        file.sync_data().unwrap();
    }
    row(
        "sequential write, fsync a MiB",
        input.megabytes(),
        start.elapsed(),
        None,
    );
    std::fs::remove_file(directory.join("sequential")).unwrap();
}

fn compression(input: &Input) {
    let start = Instant::now();
    let compressed: usize = input
        .bytes
        .chunks(64 << 10)
        .map(|chunk| lz4_flex::compress(chunk).len())
        .sum();
    row("lz4, one core", input.megabytes(), start.elapsed(), None);
    println!(
        "{:34} {:8.2}",
        "lz4 ratio",
        input.bytes.len() as f64 / compressed as f64
    );
}

/// One text field with positions and one writer thread: no parsing, no attributes, no store.
fn raw_tantivy(directory: &Path, input: &Input) {
    use tantivy::schema::{IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
    let folder = directory.join("tantivy");
    std::fs::create_dir(&folder).unwrap();
    let mut schema = Schema::builder();
    let indexing =
        TextFieldIndexing::default().set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let field = schema.add_text_field("raw", TextOptions::default().set_indexing_options(indexing));
    let index = tantivy::Index::create_in_dir(&folder, schema.build()).unwrap();
    let mut writer: tantivy::IndexWriter = index.writer_with_num_threads(1, 64 << 20).unwrap();
    // A tenth is enough for a rate, and the whole would take minutes.
    let part = &input.bytes[..input.bytes.len() / 10];
    let start = Instant::now();
    for line in part.split(|byte| *byte == b'\n') {
        let mut document = tantivy::TantivyDocument::default();
        document.add_text(field, std::str::from_utf8(line).unwrap());
        writer.add_document(document).unwrap();
    }
    writer.commit().unwrap();
    row(
        "raw tantivy, one text field",
        part.len() as f64 / 1e6,
        start.elapsed(),
        None,
    );
    drop(writer);
    std::fs::remove_dir_all(folder).unwrap();
}
