//! What a device does from day to day.

use wasmbed_protocol::message::Phase;

use crate::bench::Bench;
use crate::fleet::Built;

/// A bench whose device runs this, confirmed.
pub fn running(built: &Built) -> Bench {
    let mut bench = Bench::new();
    bench.plan.publish(built);
    bench.plan.entries = vec![built.entry()];
    bench.advance(10_000);
    assert_eq!(bench.phase(&built.release.application), Some(Phase::Running), "{:?}", bench.log);
    bench
}

#[test]
fn an_assigned_application_is_fetched_verified_started_and_confirmed() {
    let one = Built::new("hello", "run 1");
    let bench = running(&one);
    let start = &bench.started[0];
    assert_eq!(start.application, "hello");
    assert_eq!(start.arguments, ["one"]);
    assert_eq!(start.environment, [("KEY".to_string(), "value".to_string())]);
    assert_eq!(bench.started.len(), 1);
    let phases: Vec<Phase> = bench.reports().iter().map(|report| report.phase).collect();
    assert_eq!(phases, [Phase::Fetching, Phase::Starting, Phase::Running]);
    assert_eq!(bench.plan.fetched, one.module.len());
}
