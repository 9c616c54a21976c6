//! Cases from public bug reports of other agents (facts/agent.md §3), by number.

use std::fs::OpenOptions;
use std::os::unix::fs::symlink;

use crate::ReadFrom;
use crate::content::Content;
use crate::identity::{Guard, Head};
use crate::interpreter::{World, gzip};

fn sorted(lines: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().map(Into::into).collect();
    lines.sort();
    lines
}

/// Values of records as they are, in order of arrival.
fn values(world: &World) -> Vec<Vec<u8>> {
    world
        .queue
        .seen()
        .into_iter()
        .map(|arrived| arrived.value)
        .collect()
}

/// #9: two live files with the same first 4 KiB, growing in turns, a restart in the middle.
#[test]
fn files_with_equal_heads_are_two_sources() {
    let mut world = World::new(9, &["*.log"]);
    let header: String = (0..64).map(|n| format!("{n:063}\n")).collect();
    let mut expected = Vec::new();
    for name in ["one.log", "two.log", "three.log"] {
        world.append(name, &header);
        expected.extend(header.lines().map(str::to_owned));
    }
    world.settle(3_000);
    for round in 0..20 {
        for name in ["one.log", "two.log", "three.log"] {
            world.append(name, format!("{name} {round}\n"));
            expected.push(format!("{name} {round}"));
        }
        world.settle(300);
        if round == 10 {
            world.crash();
        }
    }
    world.settle(3_000);
    assert_eq!(world.queue.lines(), sorted(expected));
    assert_eq!(world.tailer.as_ref().unwrap().sources.len(), 3);
}

/// #10: files smaller than any fingerprint, and empty ones that grow later.
#[test]
fn small_files_are_shipped_and_empty_ones_wait() {
    let mut world = World::new(10, &["*"]);
    let mut expected = Vec::new();
    for n in 1..100 {
        let line = "x".repeat(n * 10);
        world.append(&format!("f{n}"), format!("{line}\n"));
        expected.push(line);
    }
    world.append("empty", "");
    world.settle(3_000);
    assert_eq!(world.queue.lines(), sorted(expected.clone()));
    world.append("empty", "late\n");
    expected.push("late".into());
    world.settle(3_000);
    assert_eq!(world.queue.lines(), sorted(expected));
}

/// #12: a last line without newline, untouched, rotated, or deleted; its rest is flagged.
#[test]
fn a_last_line_without_newline_is_shipped_after_a_while_and_its_rest_continues_it() {
    let mut world = World::new(12, &["*.log*"]);
    world.append("a.log", "one\ntwo");
    world.settle(500);
    assert_eq!(values(&world), [b"one"]);
    world.settle(2_000);
    assert_eq!(values(&world), [b"one", b"two"]);
    world.append("a.log", " more\r\nthree\r");
    world.settle(3_000);
    // The CR may be half of a terminator: it waits.
    assert_eq!(values(&world)[2..], [b" more".to_vec(), b"three".to_vec()]);
    assert!(world.queue.seen()[2].origin.continues && !world.queue.seen()[3].origin.continues);
    world.append("a.log", "\nfour");
    world.settle(200);
    std::fs::rename(world.path("a.log"), world.path("a.log.1")).unwrap();
    world.settle(3_000);
    assert_eq!(values(&world)[4..], [b"four"]);
    assert!(world.is_acked(&world.path("a.log.1")));
}

/// #12 across a crash: the same cut is made again, whatever has been appended since.
#[test]
fn a_cut_made_by_idleness_is_repeated_after_a_crash() {
    let mut world = World::new(121, &["*.log"]);
    world.append("a.log", "partial");
    for _ in 0..20 {
        world.now_ms += 100;
        world.turn();
    }
    assert_eq!(world.queue.waiting(), 1);
    world.append("a.log", " rest\n");
    world.crash();
    world.settle(3_000);
    assert_eq!(values(&world), [b"partial".to_vec(), b" rest".to_vec()]);
    assert_eq!(world.queue.seen()[1].origin.prev, 7);
}

/// #13: a long line written in pieces, slower than reads but faster than the idle flush.
#[test]
fn a_line_written_slowly_stays_one_line() {
    let mut world = World::new(13, &["*.log"]);
    let piece = "y".repeat(10 << 10);
    for _ in 0..30 {
        world.append("a.log", &piece);
        world.settle(200);
    }
    world.append("a.log", "\n");
    world.settle(500);
    assert_eq!(values(&world), [piece.repeat(30).into_bytes()]);
}

/// #17: a BOM stays, CRLF goes also where reads meet, a lone CR stays.
#[test]
fn bytes_are_taken_as_they_are_but_for_the_terminator() {
    let mut world = World::new(17, &["*.log"]);
    let mut bytes = b"\xEF\xBB\xBFfirst\r\na\rb\n\r\n\xFF\xFE\xE9\n".to_vec();
    let long = vec![b'z'; crate::limits::READ_BYTES - bytes.len() - 1];
    bytes.extend_from_slice(&long);
    bytes.extend_from_slice(b"\r\nlast \xEF\xBB\xBF inside\r\n");
    world.append("a.log", &bytes);
    world.settle(1_000);
    let expected: Vec<&[u8]> = vec![
        b"\xEF\xBB\xBFfirst",
        b"a\rb",
        b"",
        b"\xFF\xFE\xE9",
        &long,
        b"last \xEF\xBB\xBF inside",
    ];
    assert_eq!(values(&world), expected);
}

/// #20: lines around and far beyond the limit are cut, flagged and followed by the next line.
#[test]
fn long_lines_are_cut_on_a_character_border_and_flagged() {
    let mut world = World::new(20, &["*.log"]);
    let limit = world.config.line_bytes_max as u64;
    let lengths = [limit - 1, limit, limit + 1, 50_000_001];
    for length in lengths {
        world.append("a.log", vec![b'x'; length as usize]);
        world.append("a.log", "\r\n");
    }
    world.append(
        "a.log",
        format!("x{}\nshort\n", "é".repeat(limit as usize / 2)),
    );
    world.settle(5_000);
    let seen = world.queue.seen();
    let found: Vec<_> = seen
        .iter()
        .map(|arrived| (arrived.value.len() as u64, arrived.origin.true_len))
        .collect();
    let cut = (limit, Some(limit + 1));
    let expected = [
        (limit - 1, None),
        (limit, None),
        cut,
        (limit, Some(50_000_001)),
        (limit - 1, Some(limit + 1)),
        (5, None),
    ];
    assert_eq!(found, expected);
    assert!(world.tailer.as_ref().unwrap().buffer.capacity() < 1 << 20);
}

/// #20: a file of NULs is one long line, held in no memory.
#[test]
fn a_file_of_nuls_is_one_cut_line() {
    let mut world = World::new(201, &["*.log"]);
    world.append("a.log", vec![0; 20 << 20]);
    world.settle(5_000);
    let seen = world.queue.seen();
    assert_eq!((seen.len(), seen[0].origin.true_len), (1, Some(20 << 20)));
}

/// #21: files deleted while they are read are read to their end, and then let go.
#[test]
fn a_file_deleted_while_it_is_read_is_read_to_its_end() {
    let mut world = World::new(21, &["*.log"]);
    let lines: String = (0..300_000)
        .map(|n| format!("line {n} of a file that goes away\n"))
        .collect();
    world.append("a.log", &lines);
    world.turn();
    std::fs::remove_file(world.path("a.log")).unwrap();
    assert!(world.queue.waiting() > 0);
    world.settle(5_000);
    assert_eq!(world.queue.lines().len(), 300_000);
    assert!(
        world
            .tailer
            .as_ref()
            .unwrap()
            .sources
            .values()
            .all(|source| source.content.is_none())
    );
}

/// #21: while the queue takes nothing, what is in flight stays bounded.
#[test]
fn a_queue_that_takes_nothing_stops_the_reading() {
    let mut world = World::new(211, &["*.log"]);
    world.append("a.log", "0123456789abcdef\n".repeat(1_000_000));
    for _ in 0..100 {
        world.now_ms += 10;
        world.turn();
    }
    let tailer = world.tailer.as_ref().unwrap();
    let slack = crate::limits::READ_BYTES / 17 * (17 + crate::limits::RECORD_OVERHEAD_BYTES);
    assert!(tailer.in_flight_bytes <= crate::limits::IN_FLIGHT_BYTES_MAX + slack);
}

/// #22: quiet files keep their state over restarts.
#[test]
fn nothing_is_read_again_after_a_long_quiet_and_a_restart() {
    let mut world = World::new(22, &["*.log"]);
    world.append("a.log", "one\ntwo\n");
    world.settle(100_000);
    world.crash();
    world.settle(20_000);
    assert_eq!((values(&world).len(), world.queue.duplicates()), (2, 0));
}

/// #23: symbolic links, hard links and overlapping patterns name one file once.
#[test]
fn one_file_under_many_names_is_one_source() {
    let mut world = World::new(23, &["*.log", "**/*.log", "a*"]);
    world.append("a.log", "one\n");
    symlink(world.path("a.log"), world.path("link.log")).unwrap();
    std::fs::hard_link(world.path("a.log"), world.path("hard.log")).unwrap();
    symlink(world.path("loop.log"), world.path("loop.log")).unwrap();
    world.settle(3_000);
    assert_eq!(values(&world), [b"one"]);
    // The link gets another target.
    world.append("b.txt", "two\n");
    std::fs::remove_file(world.path("link.log")).unwrap();
    symlink(world.path("b.txt"), world.path("link.log")).unwrap();
    world.settle(3_000);
    assert_eq!(values(&world), [b"one", b"two"]);
}

/// #24: a size that goes back for a moment is no truncation when the same bytes return.
#[test]
fn a_size_that_goes_back_for_a_moment_changes_nothing() {
    let mut world = World::new(24, &["*.log"]);
    let lines: String = (0..100).map(|n| format!("line {n}\n")).collect();
    world.append("a.log", &lines);
    world.settle(1_000);
    let file = OpenOptions::new()
        .write(true)
        .open(world.path("a.log"))
        .unwrap();
    file.set_len(lines.len() as u64 - 100).unwrap();
    world.settle(500);
    world.append("a.log", &lines[lines.len() - 100..]);
    world.append("a.log", "next\n");
    world.settle(3_000);
    assert_eq!((values(&world).len(), world.queue.duplicates()), (101, 0));
}

/// #26: truncated and written anew, longer than before, between two looks.
#[test]
fn a_file_rewritten_in_place_is_a_new_source() {
    let mut world = World::new(26, &["*.log"]);
    world.append(
        "a.log",
        (0..10).map(|n| format!("old {n}\n")).collect::<String>(),
    );
    world.settle(1_000);
    std::fs::write(
        world.path("a.log"),
        (0..100).map(|n| format!("new {n}\n")).collect::<String>(),
    )
    .unwrap();
    world.settle(3_000);
    let old = (0..10).map(|n| format!("old {n}"));
    assert_eq!(
        world.queue.lines(),
        sorted(old.chain((0..100).map(|n| format!("new {n}"))))
    );
}

/// #26: names that go round in a circle.
#[test]
fn names_reused_in_a_cycle_lose_nothing() {
    let mut world = World::new(261, &["out.*"]);
    let mut expected = Vec::new();
    for round in 0..20 {
        world.append("out.log", format!("round {round}\n"));
        expected.push(format!("round {round}"));
        world.settle(200);
        std::fs::rename(world.path("out.log"), world.path("out.lo3")).unwrap();
        if world.path("out.lo1").exists() {
            std::fs::rename(world.path("out.lo1"), world.path("out.log")).unwrap();
        }
        std::fs::rename(world.path("out.lo3"), world.path("out.lo1")).unwrap();
    }
    world.settle(3_000);
    assert_eq!(world.queue.lines(), sorted(expected));
}

/// #29: a cold file gets a line and is renamed out of the pattern before anybody looks.
#[test]
fn a_cold_file_that_grows_and_is_renamed_out_of_sight_is_read() {
    let mut world = World::new(29, &["a"]);
    world.append("a", "first\n");
    world.settle(90_000);
    assert!(
        world
            .tailer
            .as_ref()
            .unwrap()
            .sources
            .values()
            .all(|source| source.content.is_none())
    );
    world.append("a", "X\n");
    std::fs::rename(world.path("a"), world.path("a.1")).unwrap();
    world.append("a", "Y\n");
    world.settle(15_000);
    assert_eq!(world.queue.lines(), sorted(["X", "Y", "first"]));
}

/// A file moved away, compressed and gone while the agent was down.
#[test]
fn a_compressed_copy_continues_its_source_after_a_restart() {
    let mut world = World::new(50, &["*.log*"]);
    let lines: Vec<String> = (0..500).map(|n| format!("line {n}")).collect();
    world.append("a.log", lines[..300].join("\n") + "\n");
    world.settle(2_000);
    world.tailer = None;
    world.append("a.log", lines[300..].join("\n") + "\n");
    let bytes = std::fs::read(world.path("a.log")).unwrap();
    std::fs::write(world.path("a.log.1.gz"), gzip(&bytes)).unwrap();
    std::fs::remove_file(world.path("a.log")).unwrap();
    world.start();
    world.settle(5_000);
    assert_eq!(world.queue.lines(), sorted(lines));
    assert_eq!(
        (
            world.queue.duplicates(),
            world.tailer.as_ref().unwrap().sources.len()
        ),
        (0, 1)
    );
}

/// A compressed file that is written over holds another rotated file now, not a new log.
#[test]
fn a_compressed_file_written_over_by_another_one_is_not_shipped() {
    let mut world = World::new(346, &["*.log*"]);
    let lines = |word: &str| -> String { (0..200).map(|n| format!("{word} line {n}\n")).collect() };
    for (index, word) in ["first", "second"].into_iter().enumerate() {
        world.append("a.log", lines(word));
        world.settle(2_000);
        std::fs::rename(world.path("a.log"), world.path("a.log.1")).unwrap();
        world.settle(2_000);
        let bytes = std::fs::read(world.path("a.log.1")).unwrap();
        std::fs::write(world.path("a.log.gz"), gzip(&bytes)).unwrap();
        std::fs::remove_file(world.path("a.log.1")).unwrap();
        world.settle(20_000);
        assert_eq!(values(&world).len(), 200 * (index + 1), "after {word}");
    }
    world.crash();
    world.settle(20_000);
    assert_eq!(values(&world).len(), 400);
}

/// A thousand files and few descriptors (facts #25, smaller).
#[test]
fn many_files_share_few_descriptors() {
    let mut world = World::new(25, &["*.log"]);
    world.config.open_files_max = 8;
    world.start();
    for n in 0..1_000 {
        world.append(&format!("f{n}.log"), format!("line {n}\n"));
    }
    for _ in 0..400 {
        world.now_ms += 10;
        world.turn();
        world.queue.ack(usize::MAX);
        let open = world
            .tailer
            .as_ref()
            .unwrap()
            .sources
            .values()
            .filter(|source| source.content.is_some())
            .count();
        assert!(open <= 8, "{open} open");
    }
    assert_eq!(world.queue.lines().len(), 1_000);
    // Spread over the partitions.
    let mut counts = [0; 4];
    world
        .queue
        .seen()
        .iter()
        .for_each(|arrived| counts[arrived.partition as usize] += 1);
    assert_eq!(counts, [250; 4]);
}

/// A start that found no file is a start: what appears later is read from its beginning.
#[test]
fn lines_written_while_the_agent_was_down_after_an_empty_first_start_are_shipped() {
    let mut world = World::new(51, &["*.log"]);
    world.config.tails[0].read_from = ReadFrom::End;
    world.start();
    world.turn();
    world.tailer = None;
    world.disk.crash();
    world.append("a.log", "one\ntwo\n");
    world.start();
    world.settle(1_000);
    assert_eq!(values(&world), [b"one", b"two"]);
}

/// A kill in the middle of the first walk: the files it had found have a source, the others do not.
#[test]
fn a_first_walk_that_was_cut_short_goes_on_at_the_end_of_the_other_files() {
    let mut world = World::new(52, &["*.log"]);
    world.config.tails[0].read_from = ReadFrom::End;
    world.start();
    for name in ["a.log", "b.log"] {
        world.append(name, format!("old line of {name}\n"));
    }
    let path = world.path("a.log");
    let (mut content, seen) = Content::open(&path).unwrap();
    let head = Head::read(&mut content).unwrap();
    let start = (
        seen.size,
        Guard::read(&mut content, seen.size).unwrap().unwrap(),
    );
    let tailer = world.tailer.as_mut().unwrap();
    tailer.open_source(&path, seen.place, start, head).unwrap();
    tailer.checkpoint().unwrap();
    world.crash();
    world.append("a.log", "written while it was down\n");
    world.settle(1_000);
    world.append("b.log", "b is read from its end\n");
    world.append("c.log", "c is new\n");
    world.settle(1_000);
    let expected = [
        "written while it was down",
        "b is read from its end",
        "c is new",
    ];
    assert_eq!(world.queue.lines(), sorted(expected));
}

/// A member appended to an open compressed file that was read to its end.
#[test]
fn lines_appended_to_a_compressed_file_are_shipped_while_it_is_open() {
    let mut world = World::new(53, &["*.gz"]);
    world.append("a.log.gz", gzip(b"one\n"));
    world.settle(1_000);
    world.append("a.log.gz", gzip(b"two\n"));
    world.settle(1_000);
    assert_eq!(values(&world), [b"one", b"two"]);
    assert_eq!(world.tailer.as_ref().unwrap().sources.len(), 1);
}

/// The same inode written over with what nobody has shipped.
#[test]
fn an_open_compressed_file_written_over_is_a_new_source() {
    let mut world = World::new(54, &["*.gz"]);
    world.append("a.log.gz", gzip(b"old 1\nold 2\n"));
    world.settle(1_000);
    std::fs::write(world.path("a.log.gz"), gzip(b"new 1\nnew 2\nnew 3\n")).unwrap();
    world.settle(20_000);
    let expected = ["old 1", "old 2", "new 1", "new 2", "new 3"];
    assert_eq!(world.queue.lines(), sorted(expected));
}

fn numbered(word: &str, range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("{word} line {n}\n")).collect()
}

/// Copytruncate with lines written between copy and truncation, shipped in time: the copy is shorter
/// than what was shipped, and stays known after a restart, under another name and compressed.
#[test]
fn a_copy_made_before_the_last_lines_were_shipped_is_not_shipped_again() {
    for up in [true, false] {
        let mut world = World::new(55, &["*.log*"]);
        world.append("a.log", numbered("old", 0..300));
        world.settle(1_000);
        std::fs::copy(world.path("a.log"), world.path("hidden")).unwrap();
        world.append("a.log", numbered("old", 300..330));
        world.settle(1_000);
        if !up {
            world.tailer = None;
        }
        std::fs::rename(world.path("hidden"), world.path("a.log.1")).unwrap();
        std::fs::write(world.path("a.log"), numbered("new", 0..5)).unwrap();
        if !up {
            world.disk.crash();
            world.start();
        }
        let expected: Vec<String> = (numbered("old", 0..330) + &numbered("new", 0..5))
            .lines()
            .map(str::to_owned)
            .collect();
        let expected = sorted(expected);
        world.settle(60_000);
        assert_eq!(world.queue.lines(), expected, "agent up: {up}");
        world.crash();
        world.settle(60_000);
        assert_eq!(world.queue.lines(), expected, "after a restart");
        std::fs::rename(world.path("a.log.1"), world.path("a.log.2")).unwrap();
        world.settle(20_000);
        let bytes = std::fs::read(world.path("a.log.2")).unwrap();
        std::fs::write(world.path("a.log.2.gz"), gzip(&bytes)).unwrap();
        std::fs::remove_file(world.path("a.log.2")).unwrap();
        world.settle(20_000);
        assert_eq!(world.queue.lines(), expected, "compressed");
    }
}

/// A copy made by hand, its original truncated long after, the agent restarted between.
#[test]
fn an_older_copy_made_by_hand_is_not_shipped_when_its_original_goes() {
    let mut world = World::new(56, &["*.log*"]);
    world.append("a.log", numbered("old", 0..300));
    world.settle(1_000);
    std::fs::copy(world.path("a.log"), world.path("a.log.copy")).unwrap();
    world.settle(2_000);
    world.append("a.log", numbered("old", 300..600));
    world.settle(60_000);
    world.crash();
    world.settle(20_000);
    std::fs::write(world.path("a.log"), "").unwrap();
    world.settle(60_000);
    world.crash();
    world.settle(60_000);
    assert_eq!(world.queue.lines().len(), 600);
}

/// The same first kibibyte, a related name and a truncation just before do not make a copy.
#[test]
fn a_shorter_file_that_only_begins_like_a_truncated_one_is_shipped() {
    let mut world = World::new(57, &["*.log"]);
    let banner = numbered("banner", 0..100);
    world.append("a.log", format!("{banner}{}", numbered("one", 0..200)));
    world.settle(1_000);
    std::fs::write(world.path("a.log"), "").unwrap();
    world.append("a-2.log", format!("{banner}{}", numbered("two", 0..100)));
    world.settle(60_000);
    let twice = format!("{banner}{banner}");
    let expected = twice + &numbered("one", 0..200) + &numbered("two", 0..100);
    assert_eq!(world.queue.lines(), sorted(expected.lines()));
}
