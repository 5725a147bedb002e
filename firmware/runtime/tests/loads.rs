//! What is refused before it runs, and that nothing in a module's bytes hurts the process.

mod recorder;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use recorder::{Announcer, PATIENCE, end, launch, next, program, run, wasm};
use wasmbed_runtime::{Application, Limits, Outcome, Running, StartError, start};

/// Starts a module and waits until it runs or is refused.
fn try_start(module: &[u8], limits: Limits) -> Result<Running, StartError> {
    let (started, heard) = channel();
    let ended = started.clone();
    let application = Application { limits, ..Application::new(module) };
    let running = start(&application, Box::new(Announcer(started)), move |_, _| {
        let _ = ended.send(());
    })?;
    next(&heard);
    match running.outcome() {
        Some(Outcome::Refused(error)) => Err(error),
        _ => Ok(running),
    }
}

fn refusal(module: &[u8]) -> StartError {
    try_start(module, Limits::default()).expect_err("it is refused")
}

#[test]
fn an_import_that_no_device_offers_is_refused_by_name() {
    for (import, module, name) in [
        ("(import \"env\" \"system\" (func (param i32)))", "env", "system"),
        ("(import \"wasmbed\" \"reboot\" (func))", "wasmbed", "reboot"),
        (
            "(import \"wasi_snapshot_preview1\" \"path_open\" (func (result i32)))",
            "wasi_snapshot_preview1",
            "path_open",
        ),
        ("(import \"env\" \"memory\" (memory 1))", "env", "memory"),
        ("(import \"env\" \"table\" (table 1 funcref))", "env", "table"),
        ("(import \"env\" \"g\" (global i32))", "env", "g"),
        // The name of a function, but not one.
        ("(import \"wasmbed\" \"log\" (global i32))", "wasmbed", "log"),
    ] {
        let bytes = wasm(&format!("(module {import} (func (export \"_start\")))"));
        let refused = refusal(&bytes);
        assert_eq!(refused, StartError::UnknownImport { module: module.to_owned(), name: name.to_owned() }, "{import}");
        assert!(refused.to_string().contains(&format!("{module}.{name}")));
    }
}

#[test]
fn an_import_with_another_signature_is_refused() {
    let bytes = wasm(r#"(module (import "wasmbed" "sleep_ms" (func (param i64))) (func (export "_start")))"#);
    assert_eq!(
        refusal(&bytes),
        StartError::ImportSignature { module: "wasmbed".to_owned(), name: "sleep_ms".to_owned() }
    );
}

#[test]
fn a_module_without_an_entry_is_refused() {
    for text in [
        "(module)",
        "(module (func (export \"main\")))",
        "(module (func (export \"_start\") (param i32)))",
        "(module (func (export \"_start\") (result i32) (i32.const 0)))",
        "(module (memory (export \"_start\") 1))",
    ] {
        assert_eq!(refusal(&wasm(text)), StartError::NoEntry, "{text}");
    }
}

#[test]
fn what_would_run_before_the_entry_is_refused() {
    for text in [
        "(module (func $f (loop (br 0))) (start $f) (func (export \"_start\")))",
        "(module (func (export \"__post_instantiate\") (loop (br 0))) (func (export \"_start\")))",
        "(module (func (export \"__wasm_call_ctors\") (loop (br 0))) (func (export \"_start\")))",
        "(module (func (export \"_initialize\") (loop (br 0))) (func (export \"_start\")))",
    ] {
        let refused = refusal(&wasm(text));
        assert!(
            matches!(&refused, StartError::Invalid { reason } if reason.contains("outside of its limits")),
            "{text}: {refused}"
        );
    }
}

#[test]
fn a_module_that_needs_more_than_its_limit_is_refused() {
    for text in [
        "(module (memory 100) (func (export \"_start\")))",
        "(module (memory 65536) (func (export \"_start\")))",
        "(module (table 4000000 funcref) (func (export \"_start\")))",
        "(module (table 4294967295 funcref) (func (export \"_start\")))",
        // A table within its bounds, and what it may grow to.
        "(module (table 100000 4294967295 funcref) (func (export \"_start\")))",
    ] {
        let refused = refusal(&wasm(text));
        assert!(
            matches!(refused, StartError::MemoryLimit { limit } if limit == Limits::default().memory),
            "{text}: {refused}"
        );
    }
    // And so is the smallest one, if it gets next to nothing.
    let small = wasm("(module (func (export \"_start\")))");
    for memory in [1, 100, 1000, 5000] {
        let limits = Limits { memory, ..Limits::default() };
        assert_eq!(try_start(&small, limits).expect_err("it is refused"), StartError::MemoryLimit { limit: memory });
    }
}

#[test]
fn every_amount_of_memory_gives_a_refusal_or_a_run_and_leaks_nothing() {
    let module = program("(call $say32 (i32.const 7)) (drop (memory.grow (i32.const 1)))");
    let mut ran = 0;
    for memory in (0..100_000).step_by(997) {
        let limits = Limits { memory: memory + 1, ..Limits::default() };
        match try_start(&module, limits) {
            Ok(running) => {
                let (outcome, stats) = end(running);
                assert_eq!((outcome, stats.memory), (Outcome::Returned, 0));
                ran += 1;
            }
            Err(refused) => assert_eq!(refused, StartError::MemoryLimit { limit: memory + 1 }),
        }
    }
    assert!(ran > 5, "{ran}");
}

#[test]
fn limits_outside_of_their_ranges_are_refused() {
    let module = program("");
    for limits in [
        Limits { memory: 0, ..Limits::default() },
        Limits { memory: u64::MAX, ..Limits::default() },
        Limits { stack: 0, ..Limits::default() },
        Limits { stack: u32::MAX, ..Limits::default() },
        Limits { cpu_ms_per_s: 0, ..Limits::default() },
        Limits { cpu_ms_per_s: 1001, ..Limits::default() },
    ] {
        assert!(matches!(try_start(&module, limits), Err(StartError::Limit { .. })), "{limits:?}");
    }
}

#[test]
fn a_linear_memory_smaller_than_a_page_works_and_ends_where_it_ends() {
    // What a linker leaves: no `memory.grow`, and `__heap_base` says how much is used.
    let small = |body: &str| {
        wasm(&format!(
            r#"(module (memory (export "memory") 1)
            (global $__stack_pointer (mut i32) (i32.const 2048))
            (global (export "__data_end") i32 (i32.const 2100))
            (global (export "__heap_base") i32 (i32.const 3328))
            (func (export "_start") (global.set $__stack_pointer (i32.const 2000)) {body}))"#
        ))
    };
    let limits = Limits { memory: 32 * 1024, ..Limits::default() };
    for (body, traps) in [
        ("(i32.store (i32.const 3324) (i32.const 1))", false),
        ("(i32.store (i32.const 3325) (i32.const 1))", true),
        ("(i32.store (i32.const 60000) (i32.const 1))", true),
    ] {
        let module = small(body);
        let running = try_start(&module, limits).expect("it fits into 32 KiB");
        let (outcome, stats) = end(running);
        assert_eq!(matches!(outcome, Outcome::Trapped { .. }), traps, "{body}: {outcome}");
        assert!(stats.memory_peak < 32 * 1024, "{stats:?}");
    }
}

#[test]
fn the_stack_of_a_linked_program_is_not_divided_among_threads() {
    // WAMR's thread manager would; then this program's stack would overflow at a fifth of its 2048 bytes.
    let module = wasm(
        r#"(module (memory (export "memory") 1)
        (global $sp (mut i32) (i32.const 2048))
        (global (export "__data_end") i32 (i32.const 2100))
        (global (export "__heap_base") i32 (i32.const 3328))
        (func (export "_start")
            (global.set $sp (i32.sub (global.get $sp) (i32.const 2000)))
            (i32.store (global.get $sp) (i32.const 1))
            (global.set $sp (i32.add (global.get $sp) (i32.const 2000)))))"#,
    );
    assert_eq!(run(&Application::new(&module)).0, Outcome::Returned);
}

#[test]
fn a_module_that_validation_forbids_is_refused() {
    // A type error, which WAMR's mini-loader would run.
    let mut module = wasm("(module (func (export \"_start\") (drop (i32.add (i32.const 1) (i32.const 2)))))");
    let add = module.iter().position(|byte| *byte == 0x6a).expect("i32.add");
    module[add] = 0x7c;
    let refused = refusal(&module);
    assert!(matches!(refused, StartError::Invalid { .. }), "{refused}");
    for bytes in [&b""[..], b"\0asm", b"\0asm\x01\0\0", b"\0asm\x02\0\0\0", b"\0asm\x0d\0\x01\0", b"\x7fELF", &[0; 100]]
    {
        assert!(matches!(refusal(bytes), StartError::Invalid { .. } | StartError::NoEntry), "{bytes:?}");
    }
}

#[test]
fn a_module_with_enormous_declarations_is_refused_quickly() {
    // A function with 2^32 - 1 locals; one with more than a stack could hold; a section that promises millions of entries.
    let locals = |count: &[u8]| {
        let mut body = vec![1];
        body.extend_from_slice(count);
        body.extend_from_slice(&[0x7f, 0x0b]);
        let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0".to_vec();
        module.extend_from_slice(&[0x0a, body.len() as u8 + 2, 1, body.len() as u8]);
        module.extend(body);
        module
    };
    let started = Instant::now();
    let many = refusal(&locals(&[0xff, 0xff, 0xff, 0xff, 0x0f]));
    assert!(matches!(many, StartError::Invalid { .. } | StartError::MemoryLimit { .. }), "{many}");
    let wide = try_start(&locals(&[0xd0, 0x86, 0x03]), Limits::default()).map(Running::wait);
    assert!(
        matches!(
            wide,
            Err(StartError::Invalid { .. } | StartError::MemoryLimit { .. }) | Ok((Outcome::StackOverflow { .. }, _))
        ),
        "{wide:?}"
    );
    for section in 1..=12 {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend_from_slice(&[section, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(try_start(&module, Limits::default()).is_err(), "section {section}");
    }
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn thousands_of_types_or_exports_are_refused_at_once() {
    let types: String = (0..5000_u32)
        .map(|i| (0..13).map(|bit| if i >> bit & 1 == 1 { "i32 " } else { "i64 " }).collect::<String>())
        .map(|parameters| format!("(type (func (param {parameters})))"))
        .collect();
    let exports: String = (0..5000).map(|i| format!("(export \"{i}\" (func $f))")).collect();
    for text in [types, format!("(func $f) {exports}")] {
        let refused = refusal(&wasm(&format!("(module {text} (func (export \"_start\")))")));
        assert!(refused.to_string().contains("more than 4096"), "{refused}");
    }
}

/// Modules with something of everything in them, to be damaged.
fn samples() -> Vec<Vec<u8>> {
    vec![
        program("(call $say32 (i32.const 42)) (drop (memory.grow (i32.const 1)))"),
        wasm(
            r#"(module (type $t (func (param i32 i64 f32 f64) (result i64)))
            (import "wasmbed" "publish" (func $publish (param i32 i32 i32 i32) (result i32)))
            (table 8 funcref) (elem (i32.const 1) $f $g) (memory 1) (data (i32.const 3) "data") (data "passive")
            (global $a (mut i64) (i64.const -3)) (global $b f32 (f32.const 1.5))
            (func $f (type $t) (local i32 i64)
                (block $x (result i64) (block $y (br_table $y $y (local.get 0)))
                    (i64.add (global.get $a) (i64.extend_i32_s (i32.trunc_sat_f64_s (local.get 3))))))
            (func $g (type $t) (i64.rotl (local.get 1) (i64.const 3)))
            (func (export "_start")
                (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 7)) (data.drop 1)
                (memory.copy (i32.const 100) (i32.const 0) (i32.const 50)) (memory.fill (i32.const 9) (i32.const 1) (i32.const 9))
                (drop (call $publish (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)))
                (table.set (i32.const 3) (ref.func $g)) (drop (table.get (i32.const 3)))
                (global.set $a (call_indirect (type $t) (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (i32.const 3)))))"#,
        ),
        wasm(
            r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $p (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1 2) (data (i32.const 0) "\10\00\00\00\05\00\00\00")
            (func $r (param i32) (result i32) (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
                (else (i32.mul (local.get 0) (call $r (i32.sub (local.get 0) (i32.const 1)))))))
            (func (export "_start")
                (drop (call $w (i32.const 1) (i32.const 0) (call $r (i32.const 5)) (i32.const 20)))
                (drop (call $p (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))))"#,
        ),
    ]
}

/// Runs what loads for a moment. Whatever the bytes, the process lives and gets its memory back.
fn survive(module: &[u8]) {
    let limits = Limits { memory: 512 * 1024, ..Limits::default() };
    if let Ok(running) = try_start(module, limits) {
        let until = Instant::now() + Duration::from_millis(3);
        while !running.is_ended() && Instant::now() < until {
            std::thread::yield_now();
        }
        running.stop();
        assert_eq!(end(running).1.memory, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_not_hurt(bytes in prop::collection::vec(any::<u8>(), 0..400), header: bool) {
        let mut module = if header { b"\0asm\x01\0\0\0".to_vec() } else { Vec::new() };
        module.extend(bytes);
        survive(&module);
    }

    #[test]
    fn damaged_modules_do_not_hurt(
        which in 0..3_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        let mut module = samples().swap_remove(which);
        for (at, byte, how) in damage {
            if module.is_empty() {
                break;
            }
            let at = at.index(module.len());
            match how {
                0 => module[at] = byte,
                1 => module[at] ^= 1 << (byte % 8),
                2 => module.insert(at, byte),
                _ => { module.remove(at); }
            }
        }
        survive(&module);
    }
}

#[test]
fn what_devices_do_not_run_is_refused() {
    for text in [
        // Pages of another size, 64-bit memories, two of them, shared ones, exceptions, tail calls, vectors.
        "(module (memory 100 (pagesize 1)) (func (export \"_start\")))",
        "(module (memory i64 1) (func (export \"_start\")))",
        "(module (memory 1) (memory 1) (func (export \"_start\")))",
        "(module (memory 1 1 shared) (func (export \"_start\")))",
        "(module (tag $t) (func (export \"_start\") (throw $t)))",
        "(module (func $f) (func (export \"_start\") (return_call $f)))",
        "(module (func (export \"_start\") (drop (v128.const i32x4 0 0 0 0))))",
    ] {
        let refused = refusal(&wasm(text));
        assert!(matches!(refused, StartError::Invalid { .. }), "{text}: {refused}");
    }
}

#[test]
fn a_module_cut_anywhere_does_not_hurt() {
    for module in samples() {
        for end in 0..module.len() {
            survive(&module[..end]);
        }
        let (running, _events) = launch(&Application::new(&module));
        assert!(!matches!(end(running).0, Outcome::Stopped));
    }
}

#[test]
fn the_bytes_given_are_not_written_to() {
    let module = program("(call $say32 (i32.const 1))");
    let copy = module.clone();
    assert_eq!(run(&Application::new(&module)).0, Outcome::Returned);
    assert_eq!(module, copy);
}

#[test]
fn a_module_that_takes_long_to_load_holds_up_nobody() {
    // WAMR looks at the whole operand stack at every `local.set`: seconds for half a megabyte.
    let slow = wasm(&format!(
        "(module (func (export \"_start\") (local i32) (return) {} {} {}))",
        "(local.get 0)".repeat(30_000),
        "i32.const 1 local.set 0 ".repeat(100_000),
        "drop ".repeat(30_000)
    ));
    let limits = Limits { memory: 64 << 20, ..Limits::default() };
    let (loading, _events) = launch(&Application { limits, ..Application::new(&slow) });
    let good = program("(call $log (i32.const 0) (i32.const 0) (i32.const 6))");
    assert_eq!(run(&Application::new(&good)).0, Outcome::Returned);
    assert!(!loading.is_ended(), "it is still being loaded");
    // Nor does its owner wait for it.
    drop(loading);
}
