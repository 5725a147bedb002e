//! What is measured, in instructions.

use core::hint::black_box;

use wasmbed_runtime::Loaded;
use wasmbed_slices::{Clock, Coroutine, SliceEnd, Work, suspend, with_turns};

use crate::applications::{FIB, MIX, MIX_PAGES, SENSOR};
use crate::machine::{CLOCK, INSTRUCTIONS_PER_TICK};
use crate::rig::{budget, finish, launch, limits, sense};
use crate::{say, workloads};

/// So long that it never ends a slice here.
const ONE_SLICE: u32 = 0x00FF_FFFF;

pub(crate) fn all() {
    let mut n = 0;
    compare("mix", MIX, || workloads::mix(black_box(10)));
    compare("fib", FIB, || workloads::fib(black_box(24)));
    compare("sensor", SENSOR, || workloads::sensor(10_000, || black_box(sense as fn(&mut u32) -> u32)(&mut n) as i32));
    memory("mix", MIX);
    memory("fib", FIB);
    memory("sensor", SENSOR);
    memory("mix_pages", MIX_PAGES);
    switches();
    preemptions();
}

fn instructions(work: impl FnOnce()) -> u64 {
    let began = CLOCK.ticks();
    work();
    (CLOCK.ticks() - began) * INSTRUCTIONS_PER_TICK
}

fn compare(name: &str, module: &'static [u8], native: impl FnOnce() -> u32) {
    let mut result = 0;
    let alone = instructions(|| result = black_box(native()));
    let (mut slot, ears) = launch(module, limits());
    let whole = instructions(|| finish(&mut slot));
    assert_eq!(ears.results(), [result], "{name} computes what the device computes: {:?}", slot.outcome());
    let load = load_alone(module);
    say!("figure native_instr/{name} {alone}");
    say!("figure load_instr/{name} {load}");
    say!("figure app_instr/{name} {}", whole - load);
    say!("figure app_over_native_percent/{name} {}", (whole - load) * 100 / alone);
}

/// What it takes to load an application and to clear it away.
fn load_alone(module: &'static [u8]) -> u64 {
    let budget = budget(limits().memory);
    instructions(|| drop(Loaded::load(module, limits(), &budget).expect("it can be loaded")))
}

fn memory(name: &str, module: &'static [u8]) {
    let (mut slot, _) = launch(module, limits());
    finish(&mut slot);
    say!("figure app_heap_bytes/{name} {}", slot.stats().memory_peak);
    say!("figure app_stack_bytes/{name} {}", slot.stack_used());
}

const SWITCHES: u64 = 10_000;

struct Polite;

#[allow(unsafe_code, reason = "its frames own nothing")]
// SAFETY: as said.
unsafe impl Work for Polite {
    fn run(&mut self) {
        loop {
            suspend(None);
        }
    }
}

fn switches() {
    let mut work = Coroutine::new(alloc::vec![0_u8; 2048], Polite).expect("the stack is large enough");
    let all = instructions(|| {
        for _ in 0..SWITCHES {
            assert_eq!(work.resume(ONE_SLICE), SliceEnd::Waiting { until: None });
        }
    });
    say!("figure resume_and_suspend_instr {}", all / SWITCHES);
}

struct Counting(u32);

/// So many instructions does a round of this take.
const ROUND: u64 = 4;

#[allow(unsafe_code, reason = "a loop of known length, in registers only")]
// SAFETY: its frames own nothing.
unsafe impl Work for Counting {
    fn run(&mut self) {
        let rounds = self.0;
        // SAFETY: counts down a register.
        with_turns(|| unsafe {
            core::arch::asm!("2:", "nop", "nop", "subs {0}, {0}, #1", "bne 2b", inout(reg) rounds => _, options(nomem, nostack));
        });
    }
}

fn preemptions() {
    const ROUNDS: u32 = 10_000_000;
    let mut work = Coroutine::new(alloc::vec![0_u8; 2048], Counting(ROUNDS)).expect("the stack is large enough");
    let mut slices = 0;
    let all = instructions(|| {
        while work.resume(100) != SliceEnd::Finished {
            slices += 1;
        }
    });
    say!("figure slice_instr {}", (all - u64::from(ROUNDS) * ROUND) / slices);
}
