//! What a module's names cost the heap that a device's agent lives from: next to nothing, however many and long they are.
#![allow(unsafe_code, reason = "an allocator that counts")]

mod recorder;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use recorder::wasm;
use wasmbed_runtime::{Budget, Limits, Loaded, StartError};

/// More than an error with two names takes, and less than a few names of a hostile module.
const BOUND: usize = 2048;

/// What this thread has of Rust's heap now, and the most it ever had. WAMR's memory is charged to the budget, and lies in its arena.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: the system's allocator does it all; cells without a destructor, made at compile time, allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get() + layout.size());
        PEAK.set(PEAK.get().max(HELD.get()));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().saturating_sub(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How a module loads in an arena of 8 MiB, and how much of Rust's heap it took meanwhile.
fn load(module: &[u8]) -> (Result<(), StartError>, usize) {
    let limits = Limits { memory: 8 << 20, ..Limits::default() };
    let budget = Budget::in_arena(limits.memory, vec![0_u8; 9 << 20]).expect("the arena is large enough");
    let before = HELD.get();
    PEAK.set(before);
    let result = Loaded::load(module, limits, &budget).map(drop);
    (result, PEAK.get() - before)
}

/// So many exports with names of 200 bytes.
fn exports(count: usize) -> String {
    (0..count).map(|number| format!("(export \"{number:0>200}\" (func $f))")).collect()
}

#[test]
fn thousands_of_long_exports_cost_nothing() {
    // The first load sets WAMR up.
    let plain = wasm("(module (func (export \"_start\")))");
    assert_eq!(load(&plain).0, Ok(()));
    let (_, usual) = load(&plain);
    let many = wasm(&format!("(module (func $f) (func (export \"_start\")) {})", exports(4000)));
    let (result, used) = load(&many);
    assert_eq!(result, Ok(()));
    assert!(used <= usual, "{used} bytes of the heap, and {usual} without the exports");

    let early = wasm(&format!("(module (func $f) {} (func (export \"_initialize\")))", exports(4000)));
    let (result, used) = load(&early);
    assert!(
        matches!(&result, Err(StartError::Invalid { reason }) if reason.contains("`_initialize`")),
        "the last of them is found: {result:?}"
    );
    assert!(used < BOUND, "{used} bytes of the heap");
}

#[test]
fn thousands_of_imports_cost_nothing_and_an_error_says_the_beginning_of_a_long_name() {
    assert_eq!(load(&wasm("(module (func (export \"_start\")))")).0, Ok(()));
    let good = "(import \"wasmbed\" \"uptime_ms\" (func (result i64)))".repeat(4000);
    let (result, used) = load(&wasm(&format!("(module {good} (func (export \"_start\")))")));
    assert_eq!(result, Ok(()));
    assert!(used < BOUND, "{used} bytes of the heap");

    // Sixty-four bytes end within the thirteenth of these, which take five.
    let name = "\u{20ac}\u{e9}".repeat(12_000);
    let bad = format!("(import \"{}\" \"{name}\" (func))", "m".repeat(50_000));
    let (result, used) = load(&wasm(&format!("(module {good} {bad} (func (export \"_start\")))")));
    let expected = StartError::UnknownImport {
        module: format!("{}...", "m".repeat(64)),
        name: format!("{}\u{20ac}...", "\u{20ac}\u{e9}".repeat(12)),
    };
    assert_eq!(result, Err(expected));
    assert!(used < BOUND, "{used} bytes of the heap");
}
