//! The functions of the SDK: what they do, and what they refuse.

mod recorder;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use recorder::{Event, end, launch, lines, program, run, run_in_no_time, wasm};
use wasmbed_runtime::{Application, Grants, IMPORTS, Level, Limits, Origin, Outcome};

/// What the body says, line by line, with these grants and limits.
fn said(body: &str, grants: Grants, limits: Limits) -> Vec<Event> {
    let module = program(body);
    let (outcome, _, events) = run_in_no_time(&Application {
        grants,
        limits,
        args: vec!["one".to_owned(), "two".to_owned()],
        env: vec![("key".to_owned(), "a value".to_owned())],
        ..Application::new(&module)
    });
    assert_eq!(outcome, Outcome::Returned, "{body}");
    events
}

fn all() -> Grants {
    Grants {
        publish: vec!["sensors/*".to_owned()],
        gpio: vec!["led0".to_owned()],
        adc: vec!["led0".to_owned()],
        network: vec!["near:80".to_owned(), "near:81".to_owned()],
    }
}

#[test]
fn fragments_of_every_level_become_lines() {
    let hello = "(i32.const 0) (i32.const 3)) (call $log";
    let body: String = (0..=4)
        .map(|level| format!("(call $log (i32.const {level}) {hello} (i32.const {level}) (i32.const 3) (i32.const 3))"))
        .collect();
    let events = said(&body, Grants::default(), Limits::default());
    let line = |level, origin| Event::Line(level, origin, "hello".to_owned());
    assert_eq!(
        events,
        [
            line(Level::Info, Origin::Output),
            line(Level::Error, Origin::Log),
            line(Level::Warn, Origin::Log),
            line(Level::Info, Origin::Log),
            line(Level::Debug, Origin::Log),
        ]
    );
}

#[test]
fn a_line_without_an_end_comes_out_before_a_sleep_and_at_the_end() {
    let events = said(
        "(call $log (i32.const 0) (i32.const 0) (i32.const 2)) (call $sleep_ms (i32.const 1))
         (call $log (i32.const 0) (i32.const 2) (i32.const 3))",
        Grants::default(),
        Limits::default(),
    );
    assert_eq!(lines(&events), ["he", "llo"]);
}

#[test]
fn time_and_configuration_are_there_without_a_grant() {
    let events = said(
        "(call $say (call $time_ms))
         (call $say32 (i64.lt_u (call $uptime_ms) (i64.const 1000000)))
         (call $say32 (call $config (i32.const 64) (i32.const 3) (i32.const 200) (i32.const 100)))
         (call $log (i32.const 3) (i32.const 200) (i32.const 7))
         (call $say32 (call $config (i32.const 64) (i32.const 3) (i32.const 200) (i32.const 1)))
         (call $say32 (call $config (i32.const 64) (i32.const 2) (i32.const 200) (i32.const 1)))
         (call $say32 (call $arg (i32.const 1) (i32.const 200) (i32.const 3)))
         (call $log (i32.const 3) (i32.const 200) (i32.const 3))
         (call $say32 (call $arg (i32.const 2) (i32.const 200) (i32.const 3)))
         (call $say32 (call $random (i32.const 200) (i32.const 2)))
         (call $say32 (i32.load16_u (i32.const 200)))",
        Grants::default(),
        Limits::default(),
    );
    // What has no line break is one line, at the end.
    assert_eq!(
        lines(&events).concat(),
        ["1700000000123", "1", "7", "a value", "7", "-44", "3", "two", "-44", "0", "42405"].concat()
    );
}

#[test]
fn a_granted_message_is_published_and_others_are_refused() {
    let publish = |topic: &str, payload: &str| format!("(call $say32 (call $publish {topic} {payload}))");
    let body = [
        publish("(i32.const 16) (i32.const 9)", "(i32.const 0) (i32.const 5)"),
        publish("(i32.const 32) (i32.const 4)", "(i32.const 0) (i32.const 5)"),
        publish("(i32.const 16) (i32.const 9)", "(i32.const 0) (i32.const 1025)"),
        publish("(i32.const 16) (i32.const 65)", "(i32.const 0) (i32.const 1)"),
        publish("(i32.const 16) (i32.const 0)", "(i32.const 0) (i32.const 1)"),
        publish("(i32.const -8) (i32.const 9)", "(i32.const 0) (i32.const 1)"),
        publish("(i32.const 16) (i32.const 9)", "(i32.const 65535) (i32.const 2)"),
    ]
    .concat();
    let events = said(&body, all(), Limits::default());
    assert_eq!(events[0], Event::Published("sensors/a".to_owned(), b"hello".to_vec()));
    assert_eq!(lines(&events), ["0-76-35-35-28-21-21"]);
    assert_eq!(events.len(), 2);
}

#[test]
fn messages_above_the_rate_are_refused_and_counted() {
    let module = program(
        "(local i32) (loop
            (drop (call $publish (i32.const 16) (i32.const 9) (i32.const 0) (i32.const 5)))
            (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 100))))",
    );
    for limits in [
        Limits { publish_per_s: 1, ..Limits::default() },
        Limits { publish_per_s: 1000, publish_bytes_per_s: 5, ..Limits::default() },
    ] {
        let (outcome, stats, events) =
            run_in_no_time(&Application { grants: all(), limits, ..Application::new(&module) });
        assert_eq!(outcome, Outcome::Returned);
        // Two seconds' worth at once.
        assert_eq!(events.len(), 2);
        assert_eq!(stats.published, events.len() as u64);
        assert_eq!(stats.publish_refused, 100 - stats.published);
    }
}

#[test]
fn granted_pins_and_inputs_are_opened_by_name() {
    let events = said(
        "(local $pin i32) (local $input i32)
         (local.set $pin (call $gpio_open (i32.const 32) (i32.const 4) (i32.const 1)))
         (call $say32 (call $gpio_write (local.get $pin) (i32.const 1)))
         (call $say32 (call $gpio_read (local.get $pin)))
         (call $say32 (i32.eq (local.get $pin) (call $gpio_open (i32.const 32) (i32.const 4) (i32.const 1))))
         (call $say32 (call $adc_read (local.get $pin)))
         (local.set $input (call $adc_open (i32.const 32) (i32.const 4)))
         (call $say32 (call $adc_read (local.get $input)))
         (call $say32 (call $gpio_read (local.get $input)))
         (call $say32 (call $gpio_write (call $gpio_open (i32.const 32) (i32.const 4) (i32.const 0)) (i32.const 1)))",
        all(),
        Limits::default(),
    );
    assert_eq!(events[0], Event::Wrote(100, true));
    assert_eq!(lines(&events), ["011-28701-28-28"]);
}

#[test]
fn what_was_not_granted_or_not_opened_is_refused() {
    let events = said(
        "(call $say32 (call $gpio_open (i32.const 32) (i32.const 4) (i32.const 1)))
         (call $say32 (call $adc_open (i32.const 32) (i32.const 4)))
         (call $say32 (call $gpio_open (i32.const 32) (i32.const 4) (i32.const 2)))
         (call $say32 (call $gpio_write (i32.const 0) (i32.const 1)))
         (call $say32 (call $gpio_read (i32.const -1)))
         (call $say32 (call $adc_read (i32.const 5)))
         (call $say (call $net_probe (i32.const 48) (i32.const 4) (i32.const 80) (i32.const 10)))",
        Grants::default(),
        Limits::default(),
    );
    assert_eq!(lines(&events), ["-76-76-28-8-8-8-76"]);
}

#[test]
fn a_granted_peer_is_probed_within_the_rate() {
    let probe = |port: i32| {
        format!("(call $say (call $net_probe (i32.const 48) (i32.const 4) (i32.const {port}) (i32.const -1)))")
    };
    let body = [probe(80), probe(81), probe(80), probe(65_536 + 80), probe(82)].concat();
    let events = said(&body, all(), Limits::default());
    assert_eq!(lines(&events), ["1234-73-6-28-76"]);
}

#[test]
fn text_outside_of_memory_or_too_long_is_dropped_and_counted() {
    let module = program(
        "(call $log (i32.const 0) (i32.const 65530) (i32.const 10))
         (call $log (i32.const 0) (i32.const -1) (i32.const -1))
         (call $log (i32.const 0) (i32.const 2000) (i32.const 60000))",
    );
    let (outcome, stats, events) = run(&Application::new(&module));
    assert_eq!(outcome, Outcome::Returned);
    assert!(stats.log_lines_dropped >= 3);
    assert!(lines(&events).last().expect("it is said").contains("log lines dropped"));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_function_is_safe_to_call_with_any_arguments(
        calls in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::collection::vec(arguments(), 4)), 1..8),
        memory: [u8; 64],
    ) {
        let mut text = String::from("(module ");
        for (index, import) in IMPORTS.iter().enumerate() {
            let (parameters, result) = import.signature[1..].split_once(')').expect("the table is right");
            text += &format!("(import \"{}\" \"{}\" (func $f{index}", import.module, import.name);
            for parameter in parameters.chars() {
                text += &format!(" (param {})", if parameter == 'i' { "i32" } else { "i64" });
            }
            text += match result { "i" => " (result i32)))", "I" => " (result i64)))", _ => "))" };
        }
        let bytes: String = memory.iter().map(|byte| format!("\\{byte:02x}")).collect();
        text += &format!("(memory 1) (data (i32.const 0) \"{bytes}\") (func (export \"_start\")");
        for (which, arguments) in calls {
            let index = which.index(IMPORTS.len());
            let (parameters, result) = IMPORTS[index].signature[1..].split_once(')').expect("the table is right");
            for (parameter, value) in parameters.chars().zip(arguments) {
                text += &format!(" ({}.const {value})", if parameter == 'i' { "i32" } else { "i64" });
            }
            text += &format!(" (call $f{index})");
            if !result.is_empty() {
                text += " drop";
            }
        }
        let module = wasm(&(text + "))"));
        let (running, _events) = launch(&Application { grants: all(), ..Application::new(&module) });
        let until = Instant::now() + Duration::from_millis(3);
        while !running.is_ended() && Instant::now() < until {
            std::thread::yield_now();
        }
        running.stop();
        let outcome = end(running).0;
        prop_assert!(matches!(outcome, Outcome::Returned | Outcome::Exited { .. } | Outcome::Stopped), "{outcome}");
    }
}

/// Pointers and lengths: small ones, and those near an edge.
fn arguments() -> impl Strategy<Value = i32> {
    prop_oneof![0..70_i32, 65_500..65_540_i32, Just(-1), Just(i32::MIN), any::<i32>()]
}
