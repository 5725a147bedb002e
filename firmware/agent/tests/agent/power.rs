//! The power is cut at every step of every sequence. After each cut the device first comes up without any gateway and
//! must run what it should from flash alone; then the gateway is back and the sequence must end as if nothing had been.
//! (That only verified modules are started, and none twice, the bench checks at every start.)

use wasmbed_agent::store::{Area, Geometry};
use wasmbed_protocol::message::Phase;
use wasmbed_protocol::signed::RunState;

use crate::bench::{Bench, GEOMETRY};
use crate::fleet::{Built, Fleet};
use crate::life::{assign, module, running};

/// Runs `act` on a fresh bench once for each of its steps, with a cut at that step.
fn cut_everywhere(
    prepare: impl Fn() -> Bench,
    act: impl Fn(&mut Bench),
    offline: impl Fn(&Bench),
    finally: impl Fn(&mut Bench),
) {
    let mut whole = prepare();
    let before = whole.steps;
    act(&mut whole);
    let steps = whole.steps - before;
    finally(&mut whole);
    assert!(steps > 5, "{steps} steps");
    for step in 1..=steps {
        let mut bench = prepare();
        bench.cut_at = Some(bench.steps + step);
        bench.offline_after_cut = true;
        act(&mut bench);
        assert_eq!(bench.reboots, 1, "step {step} of {steps} never came");
        offline(&bench);
        bench.online = true;
        bench.advance(120_000);
        finally(&mut bench);
    }
}

fn ends_running(bench: &Bench, built: &Built) {
    assert_eq!(bench.running("hello"), [module(built)], "{:?} {:?}", bench.reported("hello"), bench.log);
    assert_eq!(bench.phase("hello"), Some(Phase::Running));
}

fn one_of(bench: &Bench, allowed: &[&Built]) {
    let running = bench.running("hello");
    assert_eq!(running.len(), 1, "nothing runs after the cut: {:?}", bench.log);
    assert!(allowed.iter().any(|built| module(built) == running[0]));
}

#[test]
fn a_first_installation() {
    let one = Built::new("hello", "run 1");
    let prepare = || {
        let mut bench = Bench::new();
        assign(&mut bench, &[&one]);
        bench
    };
    cut_everywhere(prepare, |bench| bench.advance(8_000), |_| {}, |bench| ends_running(bench, &one));
}

#[test]
fn a_swap_to_a_new_release() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let act = |bench: &mut Bench| {
        assign(bench, &[&two]);
        bench.reassign();
        bench.advance(8_000);
    };
    cut_everywhere(|| running(&one), act, |bench| one_of(bench, &[&one, &two]), |bench| ends_running(bench, &two));
}

#[test]
fn a_swap_where_the_previous_module_has_to_make_room() {
    let geometry = Geometry { modules: Area { units: 8, ..GEOMETRY.modules }, ..GEOMETRY };
    let built: Vec<Built> = (1..=3).map(|n| Built::sized("hello", &format!("run {n}"), 3_500)).collect();
    let prepare = || {
        let mut bench = Bench::with_geometry(Fleet::default(), geometry);
        assign(&mut bench, &[&built[0]]);
        bench.advance(8_000);
        assign(&mut bench, &[&built[1]]);
        bench.reassign();
        bench.advance(8_000);
        bench
    };
    let act = |bench: &mut Bench| {
        assign(bench, &[&built[2]]);
        bench.reassign();
        bench.advance(8_000);
    };
    let offline = |bench: &Bench| one_of(bench, &[&built[1], &built[2]]);
    cut_everywhere(prepare, act, offline, |bench| ends_running(bench, &built[2]));
}

#[test]
fn a_fall_back_from_a_release_that_traps() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "trap-after 200"));
    let act = |bench: &mut Bench| {
        assign(bench, &[&two]);
        bench.reassign();
        bench.advance(8_000);
    };
    let finally = |bench: &mut Bench| {
        assert_eq!(bench.running("hello"), [module(&one)]);
        let report = bench.reported("hello").unwrap();
        assert_eq!((report.phase, report.fallback), (Phase::FellBack, Some(one.digest())));
        // However often the power went: tried at most once more than without.
        let tries = bench.started.iter().filter(|start| start.module.digest == module(&two)).count();
        assert!(tries <= 1 + bench.reboots, "{tries}");
    };
    cut_everywhere(|| running(&one), act, |bench| one_of(bench, &[&one]), finally);
}

#[test]
fn a_revert() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "run 2"));
    let prepare = || {
        let mut bench = running(&one);
        assign(&mut bench, &[&two]);
        bench.reassign();
        bench.advance(8_000);
        bench.plan.fetched = 0;
        bench
    };
    let act = |bench: &mut Bench| {
        assign(bench, &[&one]);
        bench.reassign();
        bench.advance(8_000);
    };
    let finally = |bench: &mut Bench| {
        ends_running(bench, &one);
        assert_eq!(bench.plan.fetched, 0, "a revert fetched");
    };
    cut_everywhere(prepare, act, |bench| one_of(bench, &[&one, &two]), finally);
}

#[test]
fn a_removal() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("other", "run 2"));
    let prepare = || {
        let mut bench = running(&one);
        assign(&mut bench, &[&one, &two]);
        bench.reassign();
        bench.advance(8_000);
        bench
    };
    let act = |bench: &mut Bench| {
        assign(bench, &[&two]);
        bench.reassign();
        bench.advance(8_000);
    };
    let offline = |bench: &Bench| assert_eq!(bench.running("other"), [module(&two)]);
    let finally = |bench: &mut Bench| {
        assert!(bench.running("hello").is_empty());
        assert_eq!(bench.running("other"), [module(&two)]);
        assert_eq!(bench.stored(), [module(&two)]);
    };
    cut_everywhere(prepare, act, offline, finally);
}

#[test]
fn suspending_and_resuming() {
    let one = Built::new("hello", "run 1");
    let act = |bench: &mut Bench| {
        bench.plan.entries[0].state = RunState::Suspended;
        bench.reassign();
        bench.advance(2_000);
        bench.plan.entries[0].state = RunState::Run;
        bench.reassign();
        bench.advance(2_000);
    };
    cut_everywhere(|| running(&one), act, |_| {}, |bench| ends_running(bench, &one));
}

#[test]
fn a_restart_counter_that_tries_a_failed_release_again() {
    let (one, two) = (Built::new("hello", "run 1"), Built::new("hello", "trap"));
    let prepare = || {
        let mut bench = running(&one);
        assign(&mut bench, &[&two]);
        bench.reassign();
        bench.advance(8_000);
        assert_eq!(bench.phase("hello"), Some(Phase::FellBack));
        bench
    };
    let act = |bench: &mut Bench| {
        bench.plan.entries[0].restart = 1;
        bench.reassign();
        bench.advance(8_000);
    };
    let finally = |bench: &mut Bench| {
        assert_eq!(bench.running("hello"), [module(&one)]);
        assert_eq!(bench.phase("hello"), Some(Phase::FellBack));
    };
    cut_everywhere(prepare, act, |bench| one_of(bench, &[&one]), finally);
}

#[test]
fn many_cuts_in_a_row_at_any_distance() {
    let built: Vec<Built> = (1..=3).map(|n| Built::sized("hello", &format!("run {n}"), 2_500)).collect();
    let mut state = 12_345_u32;
    let mut random = move |bound: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % bound
    };
    for _ in 0..40 {
        let mut bench = running(&built[0]);
        for _ in 0..6 {
            let next = &built[random(3) as usize];
            assign(&mut bench, &[next]);
            bench.cut_at = Some(bench.steps + 1 + random(90) as usize);
            bench.reassign();
            bench.advance(u64::from(random(4_000)));
            assert_eq!(bench.running("hello").len(), 1, "{:?}", bench.log);
        }
        bench.cut_at = None;
        let last = &built[random(3) as usize];
        assign(&mut bench, &[last]);
        bench.reassign();
        bench.advance(120_000);
        assert_eq!(bench.running("hello"), [module(last)], "{:?} {:?}", bench.reported("hello"), bench.log);
    }
}
