//! Which modules are taken: built ones and given ones (`wasmBytes`) alike.

use wasmbed_builder::{Limits, Module, ModuleError, Room};

fn check(text: &str) -> Result<Module, ModuleError> {
    check_within(text, &Limits::default())
}

fn check_within(text: &str, limits: &Limits) -> Result<Module, ModuleError> {
    Module::check(wat::parse_str(text).expect("the test's module is valid text"), limits)
}

fn refused(text: &str) -> String {
    check(text).expect_err("it is refused").to_string()
}

/// A module with `fields` besides what every one has.
fn with(fields: &str) -> String {
    format!(r#"(module {fields} (memory (export "memory") 1) (func (export "_start")))"#)
}

#[test]
fn the_smallest_module_is_taken_and_named_by_its_digest() {
    let module = check(&with("")).expect("it is taken");
    assert_eq!(module.digest(), wasmbed_builder::Digest::of(module.bytes()));
    assert_eq!(module.needs().memory, 65_536);
}

#[test]
fn every_function_a_device_offers_may_be_imported_with_its_type_and_no_other() {
    for import in wasmbed_builder::imports::IMPORTS {
        let list = |types: &[wasmparser::ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let (parameters, results) = (list(import.parameters), list(import.results));
        let text = |parameters: &str| {
            format!(
                r#"(module (import "{}" "{}" (func (param {parameters}) (result {results}))) (memory (export "memory") 1) (func (export "_start")))"#,
                import.module, import.name
            )
        };
        let module = check(&text(&parameters)).expect("it is taken");
        assert_eq!(module.needs().imports, [format!("{}.{}", import.module, import.name)]);
        let wrong = refused(&text(&format!("{parameters} f64")));
        assert!(wrong.contains("devices have it as"), "{wrong}");
    }
}

#[test]
fn unknown_imports_are_named_with_what_may_have_been_meant() {
    let import = |module: &str, name: &str| {
        refused(&format!(
            r#"(module (import "{module}" "{name}" (func)) (memory (export "memory") 1) (func (export "_start")))"#
        ))
    };
    assert!(import("env", "abort").contains("imports `env.abort`, which devices do not have"));
    assert!(import("env", "publish").contains("did you mean `wasmbed.publish`?"));
    assert!(import("wasi_snapshot_preview1", "path_open").contains("a device has no files"));
    assert!(import("wasi_snapshot_preview1", "sock_send").contains("no sockets"));
    assert!(import("std", "std::fs").contains("`std::fs` cannot work on a device"));
    let memory = r#"(module (import "env" "memory" (memory 1)) (export "memory" (memory 0)) (func (export "_start")))"#;
    assert!(refused(memory).contains("imports `env.memory`"));
    let global =
        r#"(module (import "wasmbed" "log" (global i32)) (memory (export "memory") 1) (func (export "_start")))"#;
    assert!(refused(global).contains("something that is no function"));
}

#[test]
fn a_module_exports_its_memory_and_its_entry() {
    assert!(refused(r#"(module (memory (export "memory") 1))"#).contains("must export a function `_start`"));
    assert!(refused(r#"(module (memory 1) (func (export "_start")))"#).contains("memory"));
    assert!(refused(r#"(module (func (export "_start")))"#).contains("memory"));
    let typed = r#"(module (memory (export "memory") 1) (func (export "_start") (result i32) i32.const 0))"#;
    assert!(refused(typed).contains("without parameters and results"));
    assert!(
        refused(r#"(module (memory (export "memory") 1) (global (export "_start") i32 (i32.const 0)))"#)
            .contains("_start")
    );
}

#[test]
fn features_that_no_device_has_are_refused() {
    let cases = [
        ("SIMD", with("(func (result v128) v128.const i64x2 0 0)")),
        ("threads", r#"(module (memory (export "memory") 1 1 shared) (func (export "_start")))"#.to_owned()),
        ("64-bit memory", r#"(module (memory (export "memory") i64 1) (func (export "_start")))"#.to_owned()),
        ("several memories", with("(memory 1)")),
        ("exceptions", with("(tag)")),
        ("tail calls", with("(func return_call 0)")),
        ("garbage collection", with("(type (struct (field i32)))")),
    ];
    for (what, text) in cases {
        let error = check(&text).expect_err(what);
        assert!(matches!(error, ModuleError::Invalid { .. }), "{what}: {error}");
    }
}

#[test]
fn features_that_devices_have_are_taken() {
    let text = with(
        r#"(table 2 funcref) (global (mut i32) (i32.const 0)) (func (param i32) (result i32 i32)
            (memory.fill (local.get 0) (local.get 0) (local.get 0))
            (drop (i32.trunc_sat_f32_u (f32.const 1)))
            (i32.extend8_s (local.get 0)) (table.size 0))"#,
    );
    check(&text).expect("it is taken");
}

#[test]
fn a_start_section_and_too_much_of_anything_are_refused() {
    assert!(refused(&with("(func $early) (start $early)")).contains("start section"));
    assert!(refused(&with("(table 5000 funcref)")).contains("5000 table entries"));
    let locals = "i64 ".repeat(2000);
    assert!(refused(&with(&format!("(func (local {locals}))"))).contains("2000 locals"));
    let limits = Limits { module_bytes: 10, ..Limits::default() };
    let error = check_within(&with(""), &limits).expect_err("it is too large");
    assert!(error.to_string().contains("its targets take at most 10"), "{error}");
}

#[test]
fn memory_is_what_the_runtime_lays_out_and_is_bounded_by_the_targets() {
    let small = with(
        r#"(global (export "__data_end") i32 (i32.const 3000)) (global (export "__heap_base") i32 (i32.const 3376))"#,
    );
    assert_eq!(check(&small).expect("it is taken").needs().memory, 3376);
    let tight = Limits { memory_bytes: 3375, ..Limits::default() };
    let error = check_within(&small, &tight).expect_err("it does not fit");
    assert!(
        error.to_string().contains("needs 3376 bytes of memory at start; its targets give at most 3375"),
        "{error}"
    );

    // What may grow is laid out in whole pages.
    let growing = with(
        r#"(global (export "__data_end") i32 (i32.const 3000)) (global (export "__heap_base") i32 (i32.const 3376))
           (func (drop (memory.grow (i32.const 1))))"#,
    );
    let module = check(&growing).expect("it is taken");
    assert!(module.needs().grows);
    assert_eq!(module.needs().memory, 65_536);
    let fixed = Limits { growth: false, ..Limits::default() };
    assert_eq!(check_within(&growing, &fixed), Err(ModuleError::Grows));
    assert!(check(r#"(module (memory (export "memory") 60000) (func (export "_start")))"#).is_err());
}

#[test]
fn a_module_that_looks_at_its_pages_or_hides_its_data_keeps_them_whole() {
    let looking = with(
        r#"(global (export "__data_end") i32 (i32.const 3000)) (global (export "__heap_base") i32 (i32.const 3376))
           (func (drop (memory.size)))"#,
    );
    assert_eq!(check(&looking).expect("it is taken").needs().memory, 65_536);
    let hiding = with(r#"(global (export "__heap_base") i32 (i32.const 3376))"#);
    assert_eq!(check(&hiding).expect("it is taken").needs().memory, 65_536);
}

/// What a board of 192 KiB has for an application.
fn small_board(bytes: u64) -> Limits {
    let room = Room { board: "Stm32F4Disco".to_owned(), bytes, stack: 4096, is_small: true };
    Limits { boards: vec![room], ..Limits::default() }
}

#[test]
fn a_module_has_to_fit_into_each_board_it_is_for() {
    let small = with(
        r#"(global (export "__data_end") i32 (i32.const 3000)) (global (export "__heap_base") i32 (i32.const 3376))"#,
    );
    let module = check_within(&small, &small_board(64 << 10)).expect("it fits");
    let footprint = module.needs().footprint;
    assert_eq!(footprint.linear, 3376);
    let needed = footprint.total() + 4096;
    assert!(check_within(&small, &small_board(needed)).is_ok());
    let error = check_within(&small, &small_board(needed - 1)).expect_err("it does not fit").to_string();
    for part in [
        format!("needs {needed} bytes (3376 of linear memory"),
        format!("Stm32F4Disco has {} for an application", needed - 1),
    ] {
        assert!(error.contains(&part), "{part:?} in {error}");
    }
    let many = Limits { boards: [small_board(needed).boards, small_board(100).boards].concat(), ..Limits::default() };
    assert!(check_within(&small, &many).is_err(), "the smallest board decides");
}

#[test]
fn whole_pages_are_refused_on_a_small_board_and_taken_on_a_large_one() {
    let pages = with("");
    let mut limits = small_board(1 << 20);
    let error = check_within(&pages, &limits).expect_err("its memory is a page of 64 KiB");
    assert_eq!(error, ModuleError::Pages { board: "Stm32F4Disco".to_owned() });
    assert!(error.to_string().contains("export `__heap_base` and `__data_end`"), "{error}");
    limits.boards[0].is_small = false;
    assert!(check_within(&pages, &limits).is_ok());
}

#[test]
fn more_code_takes_more_room() {
    let body = "(drop (i32.add (i32.load (i32.const 0)) (i32.const 1)))";
    let of = |times: usize| {
        let module = check(&with(&format!("(func {})", body.repeat(times)))).expect("it is taken");
        module.needs().footprint
    };
    let (one, hundred) = (of(1), of(100));
    // A load is 12 bytes, an addition 10, and two constants 4 each.
    assert_eq!(hundred.translated - one.translated, 99 * 30);
    assert_eq!(hundred.instance, one.instance);
}

#[test]
fn what_is_no_module_is_refused_and_never_panics() {
    for bytes in [&b""[..], b"\0asm", b"hello", b"\0asm\x01\0\0\0\xff", b"\0asm\x0d\0\x01\0"] {
        let error = Module::check(bytes.to_vec(), &Limits::default()).expect_err("it is refused");
        assert!(!error.to_string().is_empty());
    }
}

proptest::proptest! {
    #[test]
    fn a_damaged_module_never_panics(at: proptest::sample::Index, byte: u8) {
        let text = with(r#"(table 2 funcref) (global (export "__heap_base") i32 (i32.const 3376)) (func (param i32) (drop (memory.grow (local.get 0))))"#);
        let mut bytes = wat::parse_str(text).expect("it is valid text");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Module::check(bytes, &Limits::default());
    }
}
