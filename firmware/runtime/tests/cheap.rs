//! What an application costs. A process of its own, as it measures the process.

mod recorder;

use recorder::{launch, next, program};
use wasmbed_runtime::Application;

#[test]
fn an_application_is_cheap() {
    // What the process holds for fifty sleeping applications, each with a page of memory it touched and a stack.
    let module = program(
        "(i32.store (i32.const 5000) (i32.const 1)) (call $say32 (i32.const 1)) (call $sleep_ms (i32.const -1))",
    );
    let before = resident();
    let running: Vec<_> = (0..50).map(|_| launch(&Application::new(&module))).collect();
    for (_, events) in &running {
        next(events);
    }
    let each = resident().saturating_sub(before) / 50;
    println!("{each} bytes for each application");
    // Its page, its stack and its tables. How deep the stack was written and what the allocator keeps depend on the build
    // and the C library: the ceiling is far above them, and far below the megabytes of a runtime for each.
    assert!(each < 512 * 1024, "{each} bytes for each application");
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("and this line");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kib * 1024
}
