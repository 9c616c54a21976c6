//! Traces while their spans move from memory to splits, and from split to split.

use std::time::Duration;

use super::machine::Machine;
use crate::{
    catalog::Snapshot,
    merge::merge_once,
    search::Budget,
    traces::{ServicesRequest, TraceSearch, list, services, trace},
};

/// All that is said of the spans, but for what a clock says.
fn answers(snapshot: &Snapshot) -> String {
    // What was restarted has not said yet that it caught up.
    let snapshot = Snapshot {
        complete: true,
        ..snapshot.clone()
    };
    let budget = || Budget::within(Duration::from_secs(600));
    let search = TraceSearch {
        limit: 100,
        ..TraceSearch::default()
    };
    let list = list(&snapshot, &search, budget()).unwrap();
    assert!(list.complete);
    let traces: Vec<_> = list
        .traces
        .iter()
        .map(|summary| trace(&snapshot, &summary.trace_id, budget()).unwrap())
        .collect();
    let services = services(&snapshot, &ServicesRequest::default(), budget()).unwrap();
    format!("{:#?}{traces:#?}{services:#?}", list.traces)
}

#[tokio::test]
async fn traces_stay_whole_over_publishes_merges_and_a_restart() {
    let lines = Machine::new(1);
    let mut machine = Machine::of_spans_beside(&lines, 2);
    // Traces of seven spans, requests of four: nearly every trace is in several splits.
    for request in 0..20_u64 {
        machine.push_spans(usize::from(request % 3 == 0), request * 4..request * 4 + 4);
    }
    // One request is sent again.
    machine.push_spans(1, 8..12);
    let mut life = Machine::start_all(&[&machine], std::sync::Arc::new(|_| true))
        .await
        .remove(0);
    let (mut expected, mut published) = (String::new(), 0);
    while [0, 1].map(|partition| life.consume(&machine, partition, 2)) != [0, 0] {
        let hot = answers(&life.snapshot());
        life.publish().await.unwrap();
        assert_eq!(answers(&life.snapshot()), hot, "a publish changes nothing");
        published += 1;
        expected = hot;
    }
    assert!(published >= 7, "{published}");
    for number in 0..2_u64 {
        // Until there are enough splits for a merge.
        machine.push_spans(0, 80 + number..81 + number);
        life.consume_all(&machine);
        life.publish().await.unwrap();
        expected = answers(&life.snapshot());
    }
    assert!(merge_once(&life.publisher, &life.snapshot()).await.unwrap());
    assert_eq!(
        answers(&life.snapshot()),
        expected,
        "a merge changes nothing"
    );
    drop(life);
    let life = Machine::start_all(&[&machine], std::sync::Arc::new(|_| true))
        .await
        .remove(0);
    assert_eq!(
        answers(&life.snapshot()),
        expected,
        "a restart changes nothing"
    );
}
