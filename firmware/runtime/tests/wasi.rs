//! Plain programs for WASI preview 1 run as they are.

mod recorder;

use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use recorder::{Event, end, launch, lines, next, run, uses, wasm};
use wasmbed_runtime::{Application, Level, Limits, Origin, Outcome};

/// A program that calls one function of WASI and exits with its answer.
fn exit_with(import: &str, parameters: &str, call: &str, data: &str) -> (Outcome, Vec<Event>) {
    let module = wasm(&format!(
        r#"(module
        (import "wasi_snapshot_preview1" "{import}" (func $f (param {parameters}) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) {data}
        (func (export "_start") (local $errno i32)
            (local.set $errno {call})
            (call $exit (local.get $errno))))"#
    ));
    let (outcome, _, events) = run(&Application {
        args: vec!["a".to_owned(), "bc".to_owned()],
        env: vec![("K".to_owned(), "v".to_owned())],
        ..Application::new(&module)
    });
    (outcome, events)
}

fn answer(import: &str, parameters: &str, call: &str, data: &str) -> u32 {
    match exit_with(import, parameters, call, data).0 {
        Outcome::Exited { code } => code,
        other => panic!("{import}: {other}"),
    }
}

#[test]
fn standard_output_and_error_are_the_log() {
    let data =
        r#"(data (i32.const 0) "\10\00\00\00\03\00\00\00\14\00\00\00\03\00\00\00") (data (i32.const 16) "one.two\n")"#;
    let write = |fd: u32| format!("(call $f (i32.const {fd}) (i32.const 0) (i32.const 2) (i32.const 8))");
    // The second piece is at 20: "two".
    for (fd, level, origin) in [(1, Level::Info, Origin::Output), (2, Level::Error, Origin::Log)] {
        let (outcome, events) = exit_with("fd_write", "i32 i32 i32 i32", &write(fd), data);
        assert_eq!(outcome, Outcome::Exited { code: 0 });
        assert_eq!(events, [Event::Line(level, origin, "onetwo".to_owned())]);
    }
    assert_eq!(answer("fd_write", "i32 i32 i32 i32", &write(0), data), 8);
    assert_eq!(answer("fd_write", "i32 i32 i32 i32", &write(3), data), 8);
}

#[test]
fn a_write_of_the_same_page_a_thousand_times_takes_no_longer_than_one() {
    // Every piece points to the whole memory; a short count is answered, as WASI allows.
    let pieces = r"\00\00\00\00\00\00\01\00".repeat(1000);
    let module = wasm(&format!(
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $f (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (data (i32.const 0) "{pieces}")
        (func (export "_start")
            (drop (call $f (i32.const 1) (i32.const 0) (i32.const 1000) (i32.const 65532)))
            (call $exit (i32.load (i32.const 65532)))))"#
    ));
    assert_eq!(run(&Application::new(&module)).0, Outcome::Exited { code: 4096 });
}

#[test]
fn pointers_outside_of_memory_are_faults() {
    for (import, parameters, call) in [
        ("fd_write", "i32 i32 i32 i32", "(call $f (i32.const 1) (i32.const 65533) (i32.const 1) (i32.const 8))"),
        ("fd_write", "i32 i32 i32 i32", "(call $f (i32.const 1) (i32.const -4) (i32.const 9) (i32.const 8))"),
        ("random_get", "i32 i32", "(call $f (i32.const 65535) (i32.const 2))"),
        ("random_get", "i32 i32", "(call $f (i32.const -1) (i32.const -1))"),
        ("clock_time_get", "i32 i64 i32", "(call $f (i32.const 0) (i64.const 0) (i32.const 65529))"),
        ("args_get", "i32 i32", "(call $f (i32.const 65530) (i32.const 0))"),
        ("args_get", "i32 i32", "(call $f (i32.const 0) (i32.const 65530))"),
        ("environ_sizes_get", "i32 i32", "(call $f (i32.const -1) (i32.const 0))"),
        ("poll_oneoff", "i32 i32 i32 i32", "(call $f (i32.const 65500) (i32.const 0) (i32.const 1) (i32.const 0))"),
        ("fd_fdstat_get", "i32 i32", "(call $f (i32.const 1) (i32.const 65520))"),
    ] {
        assert_eq!(answer(import, parameters, call, ""), 21, "{import} {call}");
    }
}

#[test]
fn clocks_tell_time() {
    let time = |clock: u32| {
        format!(
            "(call $f (i32.const {clock}) (i64.const 0) (i32.const 0))
             (if (i64.eqz (i64.load (i32.const 0))) (then (call $exit (i32.const 99))))"
        )
    };
    for (clock, errno) in [(0, 0), (1, 0), (9, 28)] {
        let call = if errno == 0 {
            format!("(block (result i32) {})", time(clock))
        } else {
            format!("(call $f (i32.const {clock}) (i64.const 0) (i32.const 0))")
        };
        assert_eq!(answer("clock_time_get", "i32 i64 i32", &call, ""), errno, "clock {clock}");
    }
}

#[test]
fn descriptors_that_are_not_there_say_so() {
    assert_eq!(answer("fd_prestat_get", "i32 i32", "(call $f (i32.const 3) (i32.const 0))", ""), 8);
    assert_eq!(answer("fd_close", "i32", "(call $f (i32.const 5))", ""), 8);
    assert_eq!(answer("fd_close", "i32", "(call $f (i32.const 1))", ""), 0);
    let seek = "(call $f (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 0))";
    assert_eq!(answer("fd_seek", "i32 i64 i32 i32", seek, ""), 70);
    assert_eq!(answer("fd_fdstat_get", "i32 i32", "(call $f (i32.const 1) (i32.const 0))", ""), 0);
    let name = "(call $f (i32.const 3) (i32.const 0) (i32.const 0))";
    assert_eq!(answer("fd_prestat_dir_name", "i32 i32 i32", name, ""), 8);
    assert_eq!(answer("sched_yield", "", "(call $f)", ""), 0);
}

#[test]
fn a_poll_of_a_clock_sleeps_and_is_stopped_at_once() {
    // One subscription: user data 77, the monotonic clock, for ever.
    let module = |nanoseconds: &str| {
        wasm(&format!(
            r#"(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $f (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasmbed" "log" (func $log (param i32 i32 i32)))
            (memory (export "memory") 1) (data (i32.const 0) "\4d") (data (i32.const 16) "\01") (data (i32.const 500) "now\n")
            (func (export "_start")
                (i64.store (i32.const 24) (i64.const {nanoseconds}))
                (call $log (i32.const 0) (i32.const 500) (i32.const 4))
                (if (call $f (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)) (then (call $exit (i32.const 1))))
                (if (i32.ne (i32.load (i32.const 200)) (i32.const 1)) (then (call $exit (i32.const 2))))
                (if (i32.ne (i32.load (i32.const 100)) (i32.const 77)) (then (call $exit (i32.const 3))))
                (if (i32.load16_u (i32.const 108)) (then (call $exit (i32.const 4))))))"#
        ))
    };
    let short = module("1000000");
    assert_eq!(run(&Application::new(&short)).0, Outcome::Returned);
    let long = module("9000000000000000000");
    let (running, events) = launch(&Application::new(&long));
    next(&events);
    running.stop();
    assert_eq!(end(running).0, Outcome::Stopped);
}

/// The bytes of a Rust program for wasm32-wasip1, or `None`, said, where that target is not installed.
fn rust(source: &str) -> Option<Vec<u8>> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let library = Command::new(&rustc)
        .args(["--target", "wasm32-wasip1", "--print", "target-libdir"])
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())?;
    if !std::path::Path::new(library.trim()).is_dir() {
        eprintln!("skipped: Rust's target wasm32-wasip1 is not installed (rustup target add wasm32-wasip1)");
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (program, module) = (folder.path().join("program.rs"), folder.path().join("program.wasm"));
    std::fs::write(&program, source).expect("it is ours");
    let output = Command::new(&rustc)
        .args(["--edition=2024", "--target", "wasm32-wasip1", "-Copt-level=s", "-Clink-arg=-zstack-size=16384", "-o"])
        .arg(&module)
        .arg(&program)
        .output()
        .expect("rustc runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(std::fs::read(&module).expect("rustc made it"))
}

fn with_room<'a>(module: &'a [u8], what: &str) -> Application<'a> {
    Application {
        limits: Limits { memory: 4 << 20, ..Limits::default() },
        args: vec![what.to_owned(), "two".to_owned()],
        env: vec![("KEY".to_owned(), "value".to_owned())],
        ..Application::new(module)
    }
}

/// A plain Rust program that does what its first argument says, compiled once.
fn program() -> Option<&'static [u8]> {
    static PROGRAM: LazyLock<Option<Vec<u8>>> = LazyLock::new(|| {
        rust(
            r#"
            use std::collections::HashMap;
            use std::hint::black_box;
            use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
            fn deep(n: u64) -> u64 { black_box(n) + if n > 0 { deep(n + 1) } else { 0 } }
            fn main() {
                let arguments: Vec<String> = std::env::args().skip(1).collect();
                match arguments[0].as_str() {
                    "hello" => {
                        println!("Hello from {}", arguments.join(" and "));
                        eprintln!("key is {:?}, other is {:?}", std::env::var("KEY").ok(), std::env::var("OTHER").ok());
                        let started = Instant::now();
                        std::thread::sleep(Duration::from_millis(20));
                        assert!(started.elapsed() >= Duration::from_millis(20));
                        println!("{}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis());
                        let squares: HashMap<u32, u32> = (0..1000).map(|i| (i, i * i)).collect();
                        println!("{}", squares[&31]);
                        std::process::exit(3);
                    }
                    "panic" => println!("{}", Vec::<u8>::new()[arguments.len()]),
                    "hungry" => { let mut v = Vec::new(); loop { v.push([1_u8; 4096]); black_box(&v); } }
                    "deep" => println!("{}", deep(1)),
                    _ => { println!("on"); loop { black_box(0); } }
                }
            }"#,
        )
    });
    PROGRAM.as_deref()
}

#[test]
fn a_plain_rust_program_runs() {
    let Some(module) = program() else { return };
    let (outcome, stats, events) = run(&with_room(module, "hello"));
    assert_eq!(outcome, Outcome::Exited { code: 3 });
    assert_eq!(
        lines(&events),
        ["Hello from hello and two", r#"key is Some("value"), other is None"#, "1700000000123", "961"]
    );
    assert!(stats.memory_peak > 64 * 1024 && stats.memory == 0, "{stats:?}");
}

#[test]
fn a_rust_program_that_reads_files_is_refused_with_the_function_it_lacks() {
    let Some(module) = rust("fn main() { println!(\"{:?}\", std::fs::read(\"/etc/passwd\")); }") else { return };
    let (outcome, ..) = run(&with_room(&module, ""));
    let Outcome::Refused(refused) = outcome else { panic!("{outcome}") };
    assert!(refused.to_string().starts_with("imports wasi_snapshot_preview1."), "{refused}");
}

#[test]
fn a_rust_panic_says_its_message_and_traps() {
    let Some(module) = program() else { return };
    let (outcome, _, events) = run(&with_room(module, "panic"));
    assert_eq!(outcome, Outcome::Trapped { reason: "unreachable".to_owned() });
    assert!(lines(&events).iter().any(|line| line.contains("index out of bounds: the len is 0 but the index is 2")));
}

#[test]
fn a_rust_program_out_of_memory_or_stack_ends_with_its_reason() {
    let Some(module) = program() else { return };
    let application = with_room(module, "hungry");
    assert_eq!(run(&application).0, Outcome::MemoryLimit { limit: application.limits.memory });
    // Whichever ends first: the runtime's stack, or the program's own below its data.
    let outcome = run(&with_room(module, "deep")).0;
    assert!(matches!(outcome, Outcome::StackOverflow { .. } | Outcome::Trapped { .. }), "{outcome}");
}

#[test]
fn a_rust_program_that_loops_for_ever_is_stopped() {
    let Some(module) = program() else { return };
    let (running, events) = launch(&with_room(module, "loop"));
    next(&events);
    uses(&running, Duration::from_millis(2));
    running.stop();
    assert_eq!(end(running).0, Outcome::Stopped);
}
