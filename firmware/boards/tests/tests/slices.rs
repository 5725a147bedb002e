//! Applications in slices, tried and measured on each core that QEMU has: what the image in `bench` says.

use std::collections::BTreeMap;

use wasmbed_board_tests::{Machine, bench};

/// What the image tries, which is what it must have passed.
const TRIALS: &[&str] = &[
    "six_take_turns_beside_an_endless_loop_and_endless_recursion",
    "one_dropped_wherever_it_is_leaks_nothing",
    "hostile_applications_end_with_their_reason_and_neighbours_go_on",
    "a_flood_of_log_is_throttled",
    "a_sleeper_waits_and_is_let_out_when_stopped",
    "a_share_of_the_processor_is_held",
    "an_interrupt_ends_a_slice_at_once",
    "the_device_goes_first_and_nobody_starves",
    "a_held_application_keeps_the_processor",
    "native_stack_overflows_end_the_work_and_nothing_else",
    "faults_end_the_work_and_nothing_else",
    "registers_survive_slices",
    "memory_that_grows_is_refused_where_asked",
    "a_module_too_large_for_its_arena_is_refused",
    "a_native_stack_too_small_for_host_functions_ends_the_application",
];

/// The most that is let pass: instructions, hundredths, bytes. Instructions are counted, so they are the same each time; the room
/// is for compilers and small changes. What is measured beside each limit is of the day it was set.
const LIMITS: &[(&str, u64)] = &[
    // A resumption, PendSV there and back, and a suspension: 115 on the M3, 133 on the M4F.
    ("resume_and_suspend_instr", 180),
    // A slice that SysTick ends: 112 on the M3, 124 on the M4F.
    ("slice_instr", 170),
    // From an interrupt's wake to the device's next look at its clock: 200 on the M4F.
    ("wake_instr", 400),
    // 2,097, 2,677 and 2,547 on the M4F; of a call of a host function, 170 instructions are the checks of grants, rates and stops.
    ("app_over_native_percent/mix", 2300),
    ("app_over_native_percent/fib", 2900),
    ("app_over_native_percent/sensor", 3000),
    // 8,373 and 77,585, of which 4,096 are the stack.
    ("app_heap_bytes/small", 10 * 1024),
    ("app_heap_bytes/pages", 80 * 1024),
    ("app_stack_bytes/small", 2560),
    ("app_stack_bytes/pages", 2560),
];

/// Runs the image; what it said, when it passed all trials.
fn trials_pass_on(machine: Machine) -> Vec<String> {
    let lines = bench(machine);
    let passed: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("passed ")).collect();
    assert_eq!(passed, TRIALS, "{machine:?}");
    lines
}

fn applications_run_in_slices_on(machine: Machine) {
    let lines = trials_pass_on(machine);
    let figures: BTreeMap<&str, u64> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("figure ")?.split_once(' '))
        .map(|(name, value)| (name, value.parse().expect("a figure is a number")))
        .collect();
    for (name, value) in &figures {
        println!("{machine:?} {name} {value}");
    }
    for (name, limit) in LIMITS {
        let figure = figures[name];
        assert!(figure <= *limit, "{machine:?}: {name} is {figure}, and must not be above {limit}");
    }
}

#[test]
fn applications_run_in_slices_on_a_cortex_m3() {
    applications_run_in_slices_on(Machine::Mps2An385);
}

#[test]
fn a_core_without_an_mpu_finds_overflows_by_a_canary() {
    trials_pass_on(Machine::Mps2An385WithoutMpu);
}

#[test]
fn applications_run_in_slices_on_a_cortex_m4f() {
    applications_run_in_slices_on(Machine::Mps2An386);
}

#[test]
fn applications_run_in_slices_on_a_cortex_m7() {
    applications_run_in_slices_on(Machine::Mps2An500);
}
