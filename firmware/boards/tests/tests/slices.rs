//! Applications in slices, tried and measured on each core that QEMU has: what the image in `bench` says.

use std::path::Path;

use wasmbed_board_tests::budgets::Budgets;
use wasmbed_board_tests::{Bench, Machine, bench};
use wasmbed_builder::{Limits, Module};

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

/// The interpreter's stack of the applications in the image.
const INTERPRETER_STACK: u64 = 4_096;

/// Runs the image; what it said, when it passed all trials.
fn trials_pass_on(machine: Machine) -> Bench {
    let bench = bench(machine);
    assert_eq!(bench.passed, TRIALS, "{machine:?}");
    bench
}

fn applications_run_in_slices_on(machine: Machine) {
    let Bench { figures, modules, .. } = trials_pass_on(machine);
    for (name, value) in &figures {
        println!("{machine:?} {name} {value}");
    }
    for (name, budget) in Budgets::get().bench {
        let figure = *figures.get(&name).unwrap_or_else(|| panic!("budgets.toml: the bench measures no {name}"));
        assert!(
            figure <= budget,
            "{machine:?}: {name} is {figure}, and its budget {budget}: find what made it grow, or raise the budget in \
             firmware/boards/budgets.toml and say why"
        );
    }
    for name in ["mix", "fib", "sensor", "mix_pages"] {
        the_builders_estimate_holds(machine, &modules, name, figures[&format!("app_heap_bytes/{name}")]);
    }
}

/// What the builder reckons a module takes of a board, against what it took of one.
fn the_builders_estimate_holds(machine: Machine, modules: &Path, name: &str, measured: u64) {
    let module = std::fs::read(modules.join(name).with_extension("wasm")).expect("the image was built with it");
    let module = Module::check(module, &Limits::default()).expect("it passes the builder's checks");
    let footprint = module.needs().footprint;
    let estimate = footprint.total() + INTERPRETER_STACK;
    println!("{machine:?} {name}: {measured} bytes, estimated {estimate} ({footprint})");
    assert!(measured <= estimate, "{machine:?}: {name} took {measured} bytes, estimated were {estimate}: {footprint}");
    let most = measured * 3 / 2 + 4_096;
    assert!(
        estimate <= most,
        "{machine:?}: {name} took {measured} bytes, far below the estimate {estimate}: {footprint}"
    );
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
