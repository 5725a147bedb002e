//! What is tried. Each trial asserts what it expects; a failed assertion ends the image with its words.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::hint::black_box;
use core::mem::size_of_val;

use wasmbed_runtime::{Limits, Outcome, StartError};
use wasmbed_slices::{
    Clock, Coroutine, Fault, SliceEnd, Work, begin_pass, end_slice, has_guard, hold, is_in_application, with_turns,
};

use crate::applications::{ENDLESS, FIB, FLOOD, HOG, MIX, RECURSION, SENSOR, SLEEPER, TRAP};
use crate::machine::{CLOCK, INSTRUCTIONS_PER_TICK, TICKS_PER_SECOND, alarm_at, alarms, set_alarm};
use crate::rig::{SLICE, finish, launch, launch_on, limits, sense, turn};
use crate::{HEAP, say, workloads};

macro_rules! trials {
    ($($name:ident)*) => {
        /// All of them, one after the other.
        pub(crate) fn all() {
            // What WAMR sets up once belongs to no trial.
            drop(launch_and_finish(TRAP));
            $(
                let before = HEAP.used();
                $name();
                assert_eq!(HEAP.used(), before, "{} leaks nothing", stringify!($name));
                say!("passed {}", stringify!($name));
            )*
        }
    };
}

trials! {
    six_take_turns_beside_an_endless_loop_and_endless_recursion
    one_dropped_wherever_it_is_leaks_nothing
    hostile_applications_end_with_their_reason_and_neighbours_go_on
    a_flood_of_log_is_throttled
    a_sleeper_waits_and_is_let_out_when_stopped
    a_share_of_the_processor_is_held
    an_interrupt_ends_a_slice_at_once
    the_device_goes_first_and_nobody_starves
    a_held_application_keeps_the_processor
    native_stack_overflows_end_the_work_and_nothing_else
    faults_end_the_work_and_nothing_else
    registers_survive_slices
    memory_that_grows_is_refused_where_asked
    a_module_too_large_for_its_arena_is_refused
    a_native_stack_too_small_for_host_functions_ends_the_application
}

fn launch_and_finish(module: &'static [u8]) -> Outcome {
    let (mut slot, _) = launch(module, limits());
    finish(&mut slot);
    slot.outcome().cloned().expect("it has ended")
}

fn results() -> [u32; 3] {
    let mut n = 0;
    [workloads::mix(10), workloads::fib(24), workloads::sensor(10_000, || sense(&mut n) as i32)]
}

fn six_take_turns_beside_an_endless_loop_and_endless_recursion() {
    let expected = results();
    let mut good: Vec<_> =
        [MIX, FIB, SENSOR, MIX, FIB, SENSOR].into_iter().map(|module| launch(module, limits())).collect();
    let (mut endless, _) = launch(ENDLESS, limits());
    let (mut recursion, _) = launch(RECURSION, limits());
    let mut slices = 0;
    while good.iter().any(|(slot, _)| slot.outcome().is_none()) {
        for (slot, _) in &mut good {
            turn(slot);
            slices += 1;
        }
        assert_eq!(turn(&mut endless), SliceEnd::Preempted);
        turn(&mut recursion);
    }
    assert!(slices > 100, "they were interrupted often: {slices}");
    for ((slot, ears), expected) in good.iter().zip(expected.iter().cycle()) {
        assert_eq!(slot.outcome(), Some(&Outcome::Returned));
        assert_eq!(ears.results(), [*expected]);
        assert_eq!(slot.stats().memory, 0);
    }
    assert!(matches!(recursion.outcome(), Some(Outcome::StackOverflow { limit: 4096 })), "{recursion:?}");
    endless.stop();
    assert_eq!(endless.resume(SLICE), SliceEnd::Finished);
    assert_eq!(endless.outcome(), Some(&Outcome::Stopped));
}

fn one_dropped_wherever_it_is_leaks_nothing() {
    for module in [MIX, SENSOR, SLEEPER, ENDLESS, HOG] {
        // Never begun, in the loader, and later: a prime number of instructions at a time.
        for slices in (0..60).step_by(7) {
            let before = HEAP.used();
            let (mut slot, _) = launch(module, limits());
            for _ in 0..slices {
                slot.resume(97);
            }
            drop(slot);
            assert_eq!(HEAP.used(), before, "after {slices} slices");
        }
    }
}

fn hostile_applications_end_with_their_reason_and_neighbours_go_on() {
    let expected = results();
    let (mut neighbour, ears) = launch(FIB, limits());
    let hostile = [TRAP, RECURSION, HOG, ENDLESS];
    let mut hostile: Vec<_> = hostile.into_iter().map(|module| launch(module, limits()).0).collect();
    while neighbour.outcome().is_none() {
        turn(&mut neighbour);
        for slot in &mut hostile {
            turn(slot);
        }
    }
    assert_eq!(ears.results(), [expected[1]]);
    let outcomes: Vec<_> = hostile.iter().map(|slot| slot.outcome()).collect();
    assert!(
        matches!(
            outcomes[..],
            [
                Some(Outcome::Trapped { .. }),
                Some(Outcome::StackOverflow { .. }),
                Some(Outcome::MemoryLimit { .. }),
                None
            ]
        ),
        "{outcomes:?}"
    );
    assert!(hostile[2].stats().memory_peak <= limits().memory);
}

fn a_flood_of_log_is_throttled() {
    let (mut slot, ears) = launch(FLOOD, Limits { log_bytes_per_s: 60, ..limits() });
    finish(&mut slot);
    assert_eq!(slot.outcome(), Some(&Outcome::Returned));
    let lines = ears.lines();
    assert!(lines.len() < 100, "{}", lines.len());
    let dropped = slot.stats().log_lines_dropped;
    assert!(dropped > 4800, "{dropped}");
    assert!(lines.last().is_some_and(|line| line.contains("log lines dropped")), "{lines:?}");
}

fn a_sleeper_waits_and_is_let_out_when_stopped() {
    let began = CLOCK.ticks();
    let (mut slot, ears) = launch(SLEEPER, limits());
    let wait = loop {
        if let SliceEnd::Waiting { until: Some(until) } = slot.resume(SLICE) {
            break until;
        }
    };
    while CLOCK.ticks() < wait {
        assert!(ears.lines().is_empty());
        // To be resumed early is no harm.
        assert!(matches!(slot.resume(SLICE), SliceEnd::Waiting { .. }) || CLOCK.ticks() >= wait);
    }
    while ears.lines().is_empty() {
        slot.resume(SLICE);
    }
    let slept = (CLOCK.ticks() - began) / (u64::from(TICKS_PER_SECOND) / 1000);
    assert!((5..20).contains(&slept), "{slept} ms");
    // Now it sleeps for long.
    while slot.resume(SLICE) == SliceEnd::Preempted {}
    assert!(matches!(slot.resume(SLICE), SliceEnd::Waiting { until: Some(_) }));
    slot.stop();
    while slot.resume(SLICE) != SliceEnd::Finished {}
    assert_eq!(slot.outcome(), Some(&Outcome::Stopped));
}

fn a_share_of_the_processor_is_held() {
    let (mut slot, _) = launch(ENDLESS, Limits { cpu_ms_per_s: 100, ..limits() });
    let began = CLOCK.ticks();
    let until = began + u64::from(TICKS_PER_SECOND) / 5;
    while CLOCK.ticks() < until {
        turn(&mut slot);
    }
    let (passed, used) = (CLOCK.ticks() - began, slot.stats().cpu.as_nanos() as u64 / INSTRUCTIONS_PER_TICK);
    let percent = used * 100 / passed;
    assert!((9..=11).contains(&percent), "{used} of {passed} ticks");
}

fn an_interrupt_ends_a_slice_at_once() {
    let (mut slot, _) = launch(ENDLESS, limits());
    // Until it runs.
    for _ in 0..50 {
        turn(&mut slot);
    }
    let before = alarms();
    begin_pass();
    set_alarm(1000);
    assert_eq!(slot.resume(u32::MAX), SliceEnd::Preempted);
    let late = (CLOCK.ticks() - alarm_at()) * INSTRUCTIONS_PER_TICK;
    assert_eq!(alarms(), before + 1);
    // What a slice of 16 million cycles would have been is 671 million instructions.
    assert!(late < 1000, "{late} instructions after the interrupt");
    say!("figure wake_instr {late}");
    begin_pass();
}

fn the_device_goes_first_and_nobody_starves() {
    let (mut slot, _) = launch(ENDLESS, limits());
    begin_pass();
    turn(&mut slot);
    let used = slot.stats().cpu;
    end_slice();
    for _ in 0..16 {
        assert_eq!(slot.resume(SLICE), SliceEnd::Preempted);
        assert_eq!(slot.stats().cpu, used, "the device goes first");
    }
    slot.resume(SLICE);
    assert!(slot.stats().cpu > used, "it gets its turn");
    begin_pass();
}

/// Work of which a closure says what it does.
struct Does<F: FnMut() + Send>(F);

#[allow(unsafe_code, reason = "the closures below own nothing while turns are allowed")]
// SAFETY: as said.
unsafe impl<F: FnMut() + Send> Work for Does<F> {
    fn run(&mut self) {
        (self.0)();
    }
}

fn work<F: FnMut() + Send + 'static>(does: F) -> Coroutine<Does<F>> {
    Coroutine::new(vec![0_u8; 4096].into_boxed_slice(), Does(does)).expect("the stack is large enough")
}

fn a_held_application_keeps_the_processor() {
    let mut holds = work(|| {
        with_turns(|| {
            let held = hold();
            let nested = hold();
            spin(100_000);
            drop(nested);
            spin(100_000);
            assert!(is_in_application());
            drop(held);
            // The slice was over long ago: this is not reached in it.
            loop {
                core::hint::spin_loop();
            }
        });
    });
    let began = CLOCK.ticks();
    assert_eq!(holds.resume(100), SliceEnd::Preempted);
    let took = (CLOCK.ticks() - began) * INSTRUCTIONS_PER_TICK;
    assert!((200_000..1_000_000).contains(&took), "{took}");
    assert!(!is_in_application());
}

fn spin(rounds: u32) {
    for round in 0..rounds {
        black_box(round);
    }
}

#[inline(never)]
fn descend(depth: u32) -> u32 {
    let frame = black_box([depth; 8]);
    if depth == u32::MAX { 0 } else { descend(depth + 1).wrapping_add(frame[(depth & 7) as usize]) }
}

fn native_stack_overflows_end_the_work_and_nothing_else() {
    let (mut neighbour, ears) = launch(FIB, limits());
    for _ in 0..10 {
        turn(&mut neighbour);
        let mut deep = work(|| {
            with_turns(|| black_box(descend(0)));
        });
        if has_guard() {
            while deep.resume(SLICE) != SliceEnd::Finished {}
            assert_eq!(deep.ended_by(), Some(Fault::StackOverflow));
        }
        // In the middle of it, in small slices: PendSV itself finds no room.
        let mut slow = work(|| {
            with_turns(|| black_box(descend(0)));
        });
        while slow.resume(1) != SliceEnd::Finished {}
        assert_eq!(slow.ended_by(), Some(Fault::StackOverflow));
    }
    finish(&mut neighbour);
    assert_eq!(ears.results(), [results()[1]]);
}

#[allow(unsafe_code, reason = "to see what happens")]
fn faults_end_the_work_and_nothing_else() {
    let faults: [fn(); 3] = [
        || {
            // SAFETY: none: nothing is at that address.
            black_box(unsafe { core::ptr::with_exposed_provenance::<u32>(0xDEAD_0000).read_volatile() });
        },
        // SAFETY: none: an instruction that does not exist.
        || unsafe { core::arch::asm!("udf #0") },
        // SAFETY: none: no address of code.
        || unsafe { core::mem::transmute::<usize, extern "C" fn()>(0xE000_0001)() },
    ];
    for fault in faults {
        let mut bad = work(move || with_turns(fault));
        while bad.resume(SLICE) != SliceEnd::Finished {}
        assert!(matches!(bad.ended_by(), Some(Fault::Other { .. })), "{:?}", bad.ended_by());
        assert!(!is_in_application());
    }
}

/// A sum that needs more registers than there are, floating-point ones among them.
fn sums(seed: f32, rounds: u32) -> [f32; 12] {
    let mut sums = [seed; 12];
    for round in 0..rounds {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = *sum * 0.999 + (round as f32 + i as f32) * seed;
        }
    }
    sums
}

fn registers_survive_slices() {
    const ROUNDS: u32 = 3000;
    let seeds = [0.5, 1.5, 2.5];
    let results: &'static [Cell<[f32; 12]>] = Box::leak(vec![Cell::new([0.0; 12]); seeds.len()].into_boxed_slice());
    struct Place(&'static Cell<[f32; 12]>);
    #[allow(unsafe_code, reason = "one core, and it is read when the work has ended")]
    // SAFETY: as said.
    unsafe impl Send for Place {}
    let mut works: Vec<_> = results
        .iter()
        .zip(seeds)
        .map(|(place, seed)| {
            let place = Place(place);
            work(move || {
                let place = &place;
                let sums = with_turns(|| sums(black_box(seed), ROUNDS));
                place.0.set(sums);
            })
        })
        .collect();
    let mut running = true;
    let mut own = [0.0; 12];
    while running {
        running = false;
        for work in &mut works {
            running |= work.resume(7) != SliceEnd::Finished;
            // The device computes as well.
            own = sums(black_box(3.5), 1);
        }
    }
    assert_eq!(own, sums(3.5, 1));
    for (result, seed) in results.iter().zip(seeds) {
        assert_eq!(result.get(), sums(seed, ROUNDS));
    }
    drop(works);
    #[allow(unsafe_code, reason = "leaked above, and referred to no more")]
    // SAFETY: as said.
    drop(unsafe { Box::from_raw(core::ptr::from_ref(results).cast_mut()) });
    assert!(size_of_val(&own) > 0);
}

fn memory_that_grows_is_refused_where_asked() {
    let (mut slot, _) = launch(HOG, Limits { growth: false, ..limits() });
    finish(&mut slot);
    let outcome = slot.outcome();
    assert!(
        matches!(outcome, Some(Outcome::Refused(StartError::Invalid { reason })) if reason.contains("memory.grow")),
        "{outcome:?}"
    );
    let (mut slot, _) = launch(SENSOR, Limits { growth: false, ..limits() });
    finish(&mut slot);
    assert_eq!(slot.outcome(), Some(&Outcome::Returned));
}

fn a_module_too_large_for_its_arena_is_refused() {
    for memory in [1024, 4 * 1024, 8 * 1024] {
        let (mut slot, _) = launch(MIX, Limits { memory, ..limits() });
        finish(&mut slot);
        let outcome = slot.outcome();
        assert_eq!(outcome, Some(&Outcome::Refused(StartError::MemoryLimit { limit: memory })), "{memory}");
    }
}

fn a_native_stack_too_small_for_host_functions_ends_the_application() {
    let (mut slot, ears) = launch_on(SENSOR, limits(), 2560);
    finish(&mut slot);
    let outcome = slot.outcome();
    assert!(
        matches!(outcome, Some(Outcome::Trapped { reason }) if reason.contains("native stack")),
        "{outcome:?}, used {}",
        slot.stack_used()
    );
    assert!(ears.results().is_empty());
}
