//! How an application ends: by itself, by a trap, by a limit, or because it is stopped.

mod recorder;

use std::time::Duration;

use recorder::{end, is_closed, launch, lines, next, program, run, uses, wasm};
use wasmbed_runtime::{Application, Limits, Outcome};

#[test]
fn a_program_that_returns_has_returned() {
    let (outcome, stats, events) =
        run(&Application::new(&program("(call $log (i32.const 0) (i32.const 0) (i32.const 6))")));
    assert_eq!(outcome, Outcome::Returned);
    assert!(outcome.is_success());
    assert_eq!(lines(&events), ["hello"]);
    assert_eq!(stats.memory, 0, "everything is freed");
    assert!(stats.memory_peak > 64 * 1024, "{stats:?}");
}

#[test]
fn a_program_that_exits_says_its_code() {
    let module = wasm(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $exit (i32.const 7)) (loop (br 0))))"#,
    );
    let (outcome, ..) = run(&Application::new(&module));
    assert_eq!(outcome, Outcome::Exited { code: 7 });
    assert!(!outcome.is_success());
}

#[test]
fn a_trap_says_what_happened() {
    for (body, reason) in [
        ("unreachable", "unreachable"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "integer divide by zero"),
        ("(drop (i32.load (i32.const 65533)))", "out of bounds memory access"),
        ("(drop (i32.load (i32.const -1)))", "out of bounds memory access"),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", "invalid conversion to integer"),
    ] {
        let (outcome, stats, _) = run(&Application::new(&program(body)));
        assert_eq!(outcome, Outcome::Trapped { reason: reason.to_owned() }, "{body}");
        assert_eq!(stats.memory, 0, "{body}");
    }
}

#[test]
fn an_endless_loop_is_stopped() {
    for body in [
        "(loop (br 0))",
        "(loop (br_if 0 (i32.const 1)))",
        "(loop (br_table 0 (i32.const 0)))",
        // Without branches of its own, but for the calls.
        "(loop (drop (call $uptime_ms)) (br 0))",
        "(loop (block (br 0)) (br 0))",
    ] {
        let module = program(body);
        let (running, _events) = launch(&Application::new(&module));
        // It runs: its CPU clock moves.
        uses(&running, Duration::from_millis(5));
        assert!(!running.is_ended());
        running.stop();
        let (outcome, stats) = end(running);
        assert_eq!(outcome, Outcome::Stopped, "{body}");
        assert!(stats.cpu >= Duration::from_millis(5));
        assert_eq!(stats.memory, 0);
    }
}

#[test]
fn long_straight_code_between_branches_is_stopped_too() {
    // A megabyte of instructions in each turn of the loop.
    let long = "(i64.store (i32.const 8) (i64.mul (i64.load (i32.const 8)) (i64.const 3)))".repeat(60_000);
    let module = program(&format!("(loop {long} (br 0))"));
    let application =
        Application { limits: Limits { memory: 64 << 20, ..Limits::default() }, ..Application::new(&module) };
    let (running, _events) = launch(&application);
    uses(&running, Duration::from_millis(1));
    let before = running.stats().cpu;
    running.stop();
    let (outcome, stats) = end(running);
    assert_eq!(outcome, Outcome::Stopped);
    assert!(stats.cpu - before < Duration::from_secs(3), "{stats:?}");
}

#[test]
fn a_sleeper_is_stopped_at_once() {
    // Seven weeks.
    let module = program("(call $say32 (i32.const 1)) (call $sleep_ms (i32.const -1))");
    let (running, events) = launch(&Application::new(&module));
    next(&events);
    running.stop();
    assert_eq!(end(running).0, Outcome::Stopped);
}

#[test]
fn dropping_the_handle_stops_the_application() {
    let module = program("(loop (br 0))");
    let (running, events) = launch(&Application::new(&module));
    drop(running);
    assert!(is_closed(&events), "the platform's end is gone with the application");
}

#[test]
fn the_owner_hears_of_the_end_once() {
    let (said, heard) = std::sync::mpsc::channel();
    let (host, _events) = recorder::Recorder::new();
    let module = program("unreachable");
    let running = wasmbed_runtime::start(&Application::new(&module), host, move |outcome, stats| {
        said.send((outcome, stats.memory)).expect("the test listens");
    })
    .expect("it starts");
    let (outcome, memory) = next(&heard);
    assert_eq!(memory, 0, "freed before it is told");
    assert_eq!(end(running).0, outcome);
    assert!(is_closed(&heard));
}

#[test]
fn infinite_recursion_ends_in_a_stack_overflow() {
    for module in [
        "(module (func $f (export \"_start\") (call $f)))",
        // By a table, with locals and parameters, and by two functions.
        r#"(module (table 1 funcref) (elem (i32.const 0) $f) (type $t (func (param i64 i64)))
        (func $f (type $t) (local i64 i64 i64 i64)
            (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 0)))
        (func (export "_start") (call $f (i64.const 1) (i64.const 2))))"#,
        r#"(module (func $a (param i32) (result i32) (i32.add (call $b (local.get 0)) (i32.const 1)))
        (func $b (param i32) (result i32) (i32.add (call $a (local.get 0)) (i32.const 1)))
        (func (export "_start") (drop (call $a (i32.const 0)))))"#,
    ] {
        for stack in [1024, 16 * 1024, 1024 * 1024] {
            let module = wasm(module);
            let (outcome, ..) = run(&Application {
                limits: Limits { stack, memory: 4 << 20, ..Limits::default() },
                ..Application::new(&module)
            });
            assert_eq!(outcome, Outcome::StackOverflow { limit: stack });
        }
    }
}

#[test]
fn a_hog_of_memory_is_refused_and_said_to_be_one() {
    // Grows until it cannot, then does what a language's allocator does then.
    let module = wasm(
        r#"(module (memory (export "memory") 1)
        (func (export "_start")
            (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
            unreachable))"#,
    );
    let limit = Limits::default().memory;
    let (outcome, stats, _) = run(&Application::new(&module));
    assert_eq!(outcome, Outcome::MemoryLimit { limit });
    assert!(stats.memory_peak <= limit && stats.memory_peak > limit / 2, "{stats:?}");
    assert_eq!(stats.memory, 0);
}

#[test]
fn a_program_may_grow_within_its_limit_and_find_zeros() {
    let module = wasm(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (i32.store (i32.const 65532) (i32.const 42))
            (if (i32.ne (memory.grow (i32.const 2)) (i32.const 1)) (then (call $exit (i32.const 1))))
            (if (i32.ne (i32.load (i32.const 65532)) (i32.const 42)) (then (call $exit (i32.const 2))))
            (if (i32.load (i32.const 65536)) (then (call $exit (i32.const 3))))
            (if (i32.load (i32.const 196604)) (then (call $exit (i32.const 4))))
            (if (i32.ne (memory.grow (i32.const 60000)) (i32.const -1)) (then (call $exit (i32.const 5))))
            (if (i32.ne (memory.size) (i32.const 3)) (then (call $exit (i32.const 6))))))"#,
    );
    assert_eq!(run(&Application::new(&module)).0, Outcome::Returned);
}

#[test]
fn a_trapped_application_starts_anew_as_if_nothing_had_happened() {
    // A global and memory that a trap leaves changed, as `__stack_pointer` is.
    let module = wasm(
        r#"(module (memory (export "memory") 1) (global $sp (mut i32) (i32.const 1000))
        (func $deeper (global.set $sp (i32.sub (global.get $sp) (i32.const 16)))
            (i32.store (i32.const 0) (i32.const 1)) (unreachable))
        (func (export "_start")
            (if (i32.or (i32.ne (global.get $sp) (i32.const 1000)) (i32.load (i32.const 0))) (then (return)))
            (call $deeper)))"#,
    );
    for _ in 0..3 {
        let (outcome, ..) = run(&Application::new(&module));
        assert_eq!(outcome, Outcome::Trapped { reason: "unreachable".to_owned() });
    }
}

#[test]
fn a_panic_of_the_platform_ends_the_application_and_not_the_process() {
    let module = program("(drop (call $gpio_open (i32.const 40) (i32.const 6) (i32.const 1)))");
    let application = Application {
        grants: wasmbed_runtime::Grants { gpio: vec!["broken".to_owned()], ..Default::default() },
        ..Application::new(&module)
    };
    let (outcome, ..) = run(&application);
    assert_eq!(
        outcome,
        Outcome::Trapped { reason: "the device failed in a host function: the pin is on fire".to_owned() }
    );
}
