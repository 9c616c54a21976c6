//! What walks and sweeps of many files cost. A measurement, not a check: run it by
//! `cargo test -p logboom-agent many_files -- --ignored --nocapture`.

use std::time::Instant;

use crate::interpreter::World;

const FILES: usize = 10_000;

fn measure(what: &str, name: impl Fn(usize) -> String) {
    let mut world = World::new(1, &["*.log*"]);
    for n in 0..FILES {
        let lines: String = (0..40)
            .map(|line| format!("{n:05} line {line} of a file among many\n"))
            .collect();
        world.append(&name(n), lines);
    }
    let timed = |what_now: &str, action: &mut dyn FnMut()| {
        let started = Instant::now();
        action();
        println!(
            "{what}: {what_now} {:.1} ms",
            started.elapsed().as_secs_f64() * 1e3
        );
    };
    let mut tailer = world.tailer.take().unwrap();
    timed("first walk", &mut || tailer.scan(world.now_ms).unwrap());
    assert_eq!(tailer.sources.len(), FILES);
    world.tailer = Some(tailer);
    timed("all lines read", &mut || {
        while !world.tailer.as_ref().unwrap().ready.is_empty() {
            world.turn();
            world.queue.ack(usize::MAX);
        }
        world.settle(200);
    });
    assert_eq!(world.queue.lines().len(), 40 * FILES);
    let mut tailer = world.tailer.take().unwrap();
    timed("walk", &mut || tailer.scan(world.now_ms).unwrap());
    timed("sweep, all warm", &mut || tailer.sweep(world.now_ms, true));
    world.now_ms += 100_000;
    for _ in 0..2 {
        tailer.sweep(world.now_ms, true);
        tailer.sweep(world.now_ms, false);
    }
    timed("sweep, all cold", &mut || tailer.sweep(world.now_ms, false));
    timed("warm sweep, all cold", &mut || {
        tailer.sweep(world.now_ms, true)
    });
    let bytes = std::fs::read(world.path(&name(0))).unwrap();
    for n in 0..10 {
        std::fs::write(world.path(&format!("{}.copy-{n}", name(0))), &bytes).unwrap();
    }
    timed("walk with ten new copies", &mut || {
        tailer.scan(world.now_ms).unwrap()
    });
    timed("walk with ten known copies", &mut || {
        tailer.scan(world.now_ms + 1).unwrap()
    });
}

#[test]
#[ignore = "a measurement"]
fn files_with_names_of_their_own() {
    measure("own names", |n| format!("service-{n}-worker.log"));
}

#[test]
#[ignore = "a measurement"]
fn rotated_files_of_one_name() {
    measure("one name", |n| format!("app.log.{n}"));
}
