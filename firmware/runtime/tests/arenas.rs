//! Applications in arenas, as on a board; and modules read where they lie.

mod recorder;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use recorder::{Recorder, lines, program, wasm};
use wasmbed_runtime::{Application, Budget, Counts, Driver, Limits, Loaded, Outcome, StartError};

/// Runs an application to its end on the calling thread.
struct Straight;

impl Driver for Straight {
    fn is_stopping(&self) -> bool {
        false
    }

    fn checkpoint(&mut self) -> Option<std::num::NonZeroU32> {
        Some(std::num::NonZeroU32::MAX)
    }

    fn sleep(&mut self, _: Duration) -> bool {
        true
    }

    fn cpu(&mut self) -> Duration {
        Duration::ZERO
    }

    fn count(&mut self, _: Counts) {}
}

/// Memory that says when it is given back.
struct Lent {
    memory: Vec<u8>,
    back: Arc<AtomicBool>,
}

impl AsMut<[u8]> for Lent {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.back.store(true, Ordering::Relaxed);
    }
}

fn arena(limit: u64, bytes: usize) -> Arc<Budget> {
    Budget::in_arena(limit, vec![0xAA_u8; bytes]).expect("the arena is large enough")
}

fn run_in(budget: &Arc<Budget>, module: &[u8], limits: Limits) -> Result<(Outcome, Vec<String>), StartError> {
    let application = Application { limits, ..Application::new(module) };
    let (host, events) = Recorder::new();
    let outcome = Loaded::load(module, limits, budget)?.run(&application, host, Box::new(Straight));
    let events: Vec<_> = events.try_iter().collect();
    Ok((outcome, lines(&events).into_iter().map(str::to_owned).collect()))
}

#[test]
fn an_application_lies_in_its_arena_and_leaves_it_empty_for_the_next() {
    let budget = arena(200 * 1024, 220 * 1024);
    let module = program(
        "(if (i32.ne (memory.grow (i32.const 1)) (i32.const 1)) (then (unreachable)))
         (if (i32.load (i32.const 131068)) (then (unreachable)))
         (i32.store (i32.const 131068) (i32.const 7))
         (call $log (i32.const 0) (i32.const 0) (i32.const 6))",
    );
    let mut peaks = Vec::new();
    for _ in 0..200 {
        let (outcome, lines) = run_in(&budget, &module, Limits::default()).expect("it is loaded");
        assert_eq!(outcome, Outcome::Returned);
        assert_eq!(lines, ["hello"]);
        assert_eq!(budget.used(), 0);
        peaks.push(budget.peak());
    }
    assert!(peaks[0] > 128 * 1024 && peaks.iter().all(|peak| *peak == peaks[0]), "it never fragments: {peaks:?}");
}

#[test]
fn an_arena_goes_back_when_the_last_of_the_application_has_gone() {
    let back = Arc::<AtomicBool>::default();
    let lent = Lent { memory: vec![0; 128 * 1024], back: Arc::clone(&back) };
    let budget = Budget::in_arena(128 * 1024, lent).expect("it is large enough");
    let module = program("");
    let loaded = Loaded::load(&module, Limits::default(), &budget).expect("it is loaded");
    drop(budget);
    assert!(!back.load(Ordering::Relaxed));
    drop(loaded);
    assert!(back.load(Ordering::Relaxed));
}

#[test]
fn every_size_of_an_arena_gives_a_refusal_or_a_run() {
    let module = program("(drop (memory.grow (i32.const 1))) (call $log (i32.const 0) (i32.const 0) (i32.const 6))");
    let (mut ran, mut refused) = (0, 0);
    for bytes in (0..160_000).step_by(499) {
        // The limit is no bound here: the arena is.
        let Some(budget) = Budget::in_arena(1 << 20, vec![0_u8; bytes]) else {
            assert!(bytes < 2048, "{bytes}");
            continue;
        };
        match run_in(&budget, &module, Limits { memory: 1 << 20, ..Limits::default() }) {
            Ok((outcome, _)) => {
                assert_eq!(outcome, Outcome::Returned, "{bytes}");
                ran += 1;
            }
            Err(error) => {
                assert_eq!(error, StartError::MemoryLimit { limit: 1 << 20 }, "{bytes}");
                refused += 1;
            }
        }
        assert_eq!(budget.used(), 0);
    }
    assert!(ran > 100 && refused > 100, "{ran} ran, {refused} were refused");
}

#[test]
fn a_hungry_application_is_ended_by_its_arena() {
    let budget = arena(1 << 20, 256 * 1024);
    let module = program("(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable)");
    let limits = Limits { memory: 1 << 20, ..Limits::default() };
    let (outcome, _) = run_in(&budget, &module, limits).expect("it is loaded");
    assert_eq!(outcome, Outcome::MemoryLimit { limit: 1 << 20 });
}

#[test]
fn memory_that_can_grow_is_refused_where_a_device_asks_for_it() {
    let limits = Limits { growth: false, ..Limits::default() };
    let refused = |module: &[u8]| Loaded::load(module, limits, &Budget::new(limits.memory)).err();
    let grows = program("(drop (memory.grow (i32.const 1)))");
    assert!(
        matches!(refused(&grows), Some(StartError::Invalid { reason }) if reason.contains("memory.grow")),
        "with no maximum"
    );
    for (memory, body, refuses) in [
        ("1", "", false),
        ("1 1", "(drop (memory.grow (i32.const 1)))", false),
        ("1 2", "(drop (memory.grow (i32.const 1)))", true),
        ("1 1", "(drop (memory.size))", false),
    ] {
        let module = wasm(&format!("(module (memory {memory}) (func (export \"_start\") {body}))"));
        assert_eq!(refused(&module).is_some(), refuses, "{memory} {body}");
    }
}

/// A module of all that the loader copies, translates or could patch in place.
fn everything() -> Vec<u8> {
    wasm(
        r#"(module
        (import "wasmbed" "log" (func $log (param i32 i32 i32)))
        (import "wasmbed" "uptime_ms" (func $uptime (result i64)))
        (type $binary (func (param i64 f64) (result f64)))
        (memory (export "memory") 1 3)
        (table (export "table") 4 8 funcref)
        (global $counter (export "counter") (mut i64) (i64.const 5))
        (global (export "pi") f64 (f64.const 3.14))
        (data (i32.const 0) "hello\n")
        (data $passive "passive")
        (elem (i32.const 0) $f $g)
        (elem $later func $g $f)
        (func $f (export "f") (type $binary) (f64.add (f64.convert_i64_s (local.get 0)) (local.get 1)))
        (func $g (export "g") (type $binary)
            (select (f64.const 1) (local.get 1) (i64.eqz (local.get 0))))
        (func $many (param i32) (result i32 i64) (local i32 i64 f32 f64)
            (drop (i64.const 1)) (drop (f32.const 1)) (drop (local.get 2))
            (local.set 2 (local.tee 2 (i64.const 9)))
            (block (block (block (br_table 0 1 2 1 (local.get 0)))) (local.set 1 (i32.const 3)))
            (if (i32.eqz (local.get 0)) (then (local.set 1 (i32.const 4))) (else (local.set 1 (i32.const 5))))
            (local.get 1) (local.get 2))
        (func (export "_start") (local i64)
            (memory.init $passive (i32.const 100) (i32.const 0) (i32.const 7))
            (data.drop $passive)
            (table.init $later (i32.const 2) (i32.const 0) (i32.const 2))
            (elem.drop $later)
            (memory.copy (i32.const 200) (i32.const 0) (i32.const 6))
            (memory.fill (i32.const 300) (i32.const 7) (i32.const 6))
            (drop (call_indirect (type $binary) (i64.const 1) (f64.const 2) (i32.const 3)))
            (drop (drop (call $many (i32.const 1))))
            (drop (select (result funcref) (ref.null func) (ref.func $f) (i32.const 1)))
            (drop (memory.grow (i32.const 1)))
            (global.set $counter (i64.add (global.get $counter) (call $uptime)))
            (call $log (i32.const 0) (i32.const 200) (i32.const 6)))
        (@custom "name" "x"))"#,
    )
}

#[test]
fn a_module_is_loaded_from_memory_that_cannot_be_written_and_may_go_when_it_is() {
    let module = everything();
    // Pages of a file opened for reading are the flash of a host: a write to them is a fault.
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let path = folder.path().join("module.wasm");
    std::fs::write(&path, &module).expect("it can be written");
    let file = std::fs::File::open(&path).expect("it is there");
    let flash = mapping::ReadOnly::of(&file, module.len());
    for budget in [Budget::new(512 * 1024), arena(512 * 1024, 600 * 1024)] {
        let limits = Limits { memory: 512 * 1024, ..Limits::default() };
        let loaded = Loaded::load(flash.bytes(), limits, &budget).expect("it is loaded");
        assert_eq!(flash.bytes(), module);
        let application = Application { limits, ..Application::new(&[]) };
        let (host, events) = Recorder::new();
        assert_eq!(loaded.run(&application, host, Box::new(Straight)), Outcome::Returned);
        assert_eq!(lines(&events.try_iter().collect::<Vec<_>>()), ["hello"]);
    }
    // And once more, with nothing there any more when it runs.
    let budget = Budget::new(512 * 1024);
    let limits = Limits { memory: 512 * 1024, ..Limits::default() };
    let loaded = Loaded::load(flash.bytes(), limits, &budget).expect("it is loaded");
    drop(flash);
    let application = Application { limits, ..Application::new(&[]) };
    let (host, events) = Recorder::new();
    assert_eq!(loaded.run(&application, host, Box::new(Straight)), Outcome::Returned);
    assert_eq!(lines(&events.try_iter().collect::<Vec<_>>()), ["hello"]);
}

#[allow(unsafe_code, reason = "a mapping that faults when it is written, or read after it is gone")]
mod mapping {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    pub(crate) struct ReadOnly {
        start: *mut libc::c_void,
        length: usize,
    }

    impl ReadOnly {
        pub(crate) fn of(file: &File, length: usize) -> Self {
            // SAFETY: a new mapping, of a file that nobody changes.
            let start = unsafe {
                libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
            };
            assert_ne!(start, libc::MAP_FAILED);
            Self { start, length }
        }

        pub(crate) fn bytes(&self) -> &[u8] {
            // SAFETY: mapped as long as `self` is there.
            unsafe { std::slice::from_raw_parts(self.start.cast(), self.length) }
        }
    }

    impl Drop for ReadOnly {
        fn drop(&mut self) {
            // SAFETY: mapped once, and referred to no more.
            unsafe { libc::munmap(self.start, self.length) };
        }
    }
}
