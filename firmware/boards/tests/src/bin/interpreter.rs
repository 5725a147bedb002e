//! Runs the image in `bench` on QEMU's machines and prints what it measures, a figure a line, for `make bench`.

use std::collections::BTreeMap;
use std::error::Error;

use wasmbed_board_tests::figures::Figure;
use wasmbed_board_tests::{Bench, Machine, bench};

/// The facts' figures of each workload, as times of native code.
const WORKLOADS: [(&str, f64); 3] = [("mix", 17.6), ("fib", 26.8), ("sensor", 18.5)];
/// A switch to an application and back, as the facts have it.
const SWITCH: f64 = 51.0;

fn main() -> Result<(), Box<dyn Error>> {
    for machine in [Machine::Mps2An386, Machine::Mps2An385, Machine::Mps2An500] {
        let Bench { figures, .. } = bench(machine);
        // The goals were measured on the first of them.
        let (of, is_goal) = match machine {
            Machine::Mps2An386 => (String::new(), true),
            _ => (format!("/{}", machine.name()), false),
        };
        for figure in measured(&figures, &of, is_goal, machine.name()) {
            println!("{}", serde_json::to_string(&figure)?);
        }
    }
    Ok(())
}

fn measured(figures: &BTreeMap<String, u64>, of: &str, is_goal: bool, machine: &str) -> Vec<Figure> {
    let goal = |goal: f64| is_goal.then_some(goal);
    let mut all: Vec<Figure> = WORKLOADS
        .iter()
        .map(|(workload, times)| Figure {
            name: format!("app_over_native/{workload}{of}"),
            value: figures[&format!("app_over_native_percent/{workload}")] as f64 / 100.0,
            unit: "x",
            goal: goal(*times),
            how: format!(
                "{} instructions of the interpreter in slices of 100,000, for {} of the same code compiled for the core at -O3; \
                 {machine} in QEMU, -icount shift=0",
                figures[&format!("app_instr/{workload}")], figures[&format!("native_instr/{workload}")]
            ),
        })
        .collect();
    all.push(Figure {
        name: format!("preempt_instr{of}"),
        value: figures["slice_instr"] as f64,
        unit: "instr",
        goal: goal(SWITCH),
        how: format!(
            "a slice that SysTick ends, all of it: arming, PendSV there and back, and what the device does between; one that the \
             application gives up takes {}; {machine} in QEMU, -icount shift=0",
            figures["resume_and_suspend_instr"]
        ),
    });
    all
}
