//! Sinks: what they are asked, what they may not do, and that a failure costs its batch alone.

use std::sync::Arc;

use reef_runtime::{
    Limits, LoadError, Options, Runtime, Sink, SinkEventKind, SinkEvents, SinkFault, SinkOperation,
    SinkPlan, SinkVerdict,
};

/// What a batch may take. A memory that grows to its limit comes first, on a slow machine, too.
const CPU_MS: u32 = 500;

fn load(component: &[u8], config: &[(&str, &str)]) -> Result<Arc<Sink>, LoadError> {
    let runtime = Runtime::new(&Options { instances_max: 16, ..Options::default() }).unwrap();
    let config = config.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    runtime.sink(component.to_vec().into(), config, Limits { cpu_ms: CPU_MS, ..Limits::default() })
}

fn events(ids: &[&str]) -> SinkEvents {
    let mut events = SinkEvents::default();
    for (number, id) in ids.iter().enumerate() {
        let position = (1_000, number as u64);
        events.push(position, 1_000, SinkEventKind::Update, id.as_bytes(), b"{\"a\":1}");
    }
    events
}

#[test]
fn documents_become_rows() {
    let sink = load(reef_bundled::WRITE_BEHIND_SINK, &[("entity", "sessions")]).unwrap();
    let table = &sink.tables()[0];
    assert_eq!((table.name.as_str(), table.key_columns), ("sessions", 1));
    let mut planner = sink.planner();
    let mut events = events(&["a", "b"]);
    events.push((2_000, 0), 2_000, SinkEventKind::Delete, b"a", b"");
    let plan = planner.plan(&events).unwrap();
    let expected = SinkPlan {
        verdicts: vec![SinkVerdict::Apply(1); 3],
        tables: vec![0; 3],
        operations: vec![SinkOperation::Upsert, SinkOperation::Upsert, SinkOperation::Delete],
        lengths: vec![1, 7, 1, 7, 1],
        data: b"a{\"a\":1}b{\"a\":1}a".to_vec(),
    };
    assert_eq!(plan, expected);
    assert_eq!(planner.plan(&events).unwrap(), expected, "the same events, the same plan");
}

#[test]
fn a_failure_is_named_and_the_next_batch_is_planned() {
    let sink = load(reef_bundled::hostile::SINK, &[]).unwrap();
    let mut planner = sink.planner();
    for (id, reason) in [
        ("loop", "it took too long"),
        ("trap", "unreachable"),
        ("recurse", "call stack exhausted"),
        ("grow", "unreachable"),
        ("lie-table", "names a table"),
        ("lie-width", "one value for each column"),
        ("huge-reason", ""),
    ] {
        match planner.plan(&events(&["good", id])) {
            Err(SinkFault::Failed(text)) => assert!(text.contains(reason), "{id}: {text}"),
            other => panic!("{id}: {other:?}"),
        }
        let plan = planner.plan(&events(&["good", "reject", "skip"])).unwrap();
        let rejected = SinkVerdict::Reject("not this one".into());
        assert_eq!(plan.verdicts, [SinkVerdict::Apply(1), rejected, SinkVerdict::Skip]);
        assert_eq!(plan.data, b"good{\"a\":1}");
    }
}

#[test]
fn what_is_no_sink_is_refused() {
    for (component, config, reason) in [
        (reef_bundled::TX_REPO, [("", "")], "imports"),
        (reef_bundled::hostile::FOREIGN_IMPORT, [("", "")], "imports"),
        (reef_bundled::hostile::SINK, [("describe", "refuse")], "no such thing"),
        (reef_bundled::hostile::SINK, [("describe", "trap")], "unreachable"),
        (reef_bundled::hostile::SINK, [("describe", "loop")], "too long"),
        (reef_bundled::WRITE_BEHIND_SINK, [("mapping", "columns")], "`entity` is missing"),
    ] {
        let Err(error) = load(component, &config) else { panic!("{config:?} was accepted") };
        assert!(error.to_string().contains(reason), "{error}");
    }
}
