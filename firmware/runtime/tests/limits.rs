//! Applications are held to what they were given, and neighbours do not notice.

mod recorder;

use std::time::{Duration, Instant};

use recorder::{Event, end, launch, lines, program, run, run_in_no_time, uses};
use wasmbed_runtime::{Application, Level, Limits, Origin, Outcome};

#[test]
fn a_share_of_the_cpu_is_held() {
    let module = program("(loop (br 0))");
    let application =
        Application { limits: Limits { cpu_ms_per_s: 100, ..Limits::default() }, ..Application::new(&module) };
    let started = Instant::now();
    let (running, _events) = launch(&application);
    // By its own CPU clock: it used 100 ms, so at least most of a second has passed, however busy the machine is.
    uses(&running, Duration::from_millis(100));
    let used = running.stats().cpu;
    let passed = started.elapsed();
    running.stop();
    assert_eq!(end(running).0, Outcome::Stopped);
    assert!(used <= passed.mul_f64(0.1) + Duration::from_millis(25), "used {used:?} in {passed:?}");
}

#[test]
fn an_application_that_is_held_back_is_stopped_at_once() {
    let module = program("(loop (br 0))");
    let application =
        Application { limits: Limits { cpu_ms_per_s: 1, ..Limits::default() }, ..Application::new(&module) };
    let (running, _events) = launch(&application);
    uses(&running, Duration::from_nanos(1));
    running.stop();
    assert_eq!(end(running).0, Outcome::Stopped);
}

#[test]
fn a_flood_of_log_is_dropped_counted_and_said() {
    let module = program(
        "(local i32) (loop
            (call $log (i32.const 0) (i32.const 0) (i32.const 6))
            (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 20000))))",
    );
    let application =
        Application { limits: Limits { log_bytes_per_s: 60, ..Limits::default() }, ..Application::new(&module) };
    let (outcome, stats, events) = run_in_no_time(&application);
    assert_eq!(outcome, Outcome::Returned);
    let hellos = lines(&events).iter().filter(|line| **line == "hello").count();
    // Two seconds' worth.
    assert_eq!(hellos, 20);
    assert_eq!(stats.log_lines_dropped, 20_000 - 20);
    let last = events.last().expect("something is logged");
    assert!(
        matches!(last, Event::Line(Level::Warn, Origin::Runtime, text) if text.contains("log lines dropped: more than 60 bytes a second")),
        "{last:?}"
    );
}

#[test]
fn neighbours_of_hostile_applications_do_not_notice() {
    let hostile: Vec<Vec<u8>> = [
        "(loop (br 0))",
        "(loop (drop (memory.grow (i32.const 1))) (br 0))",
        "(loop (call $log (i32.const 0) (i32.const 0) (i32.const 6)) (br 0))",
        "(loop (drop (call $publish (i32.const 16) (i32.const 9) (i32.const 0) (i32.const 5))) (br 0))",
    ]
    .into_iter()
    .map(program)
    .collect();
    let running: Vec<_> = hostile.iter().map(|module| launch(&Application::new(module))).collect();
    // Meanwhile others trap, and good ones do their work.
    let trap = program("unreachable");
    let good = program(
        "(local i32) (loop
            (i32.store (i32.const 2000) (local.get 0))
            (call $sleep_ms (i32.const 1))
            (if (i32.ne (i32.load (i32.const 2000)) (local.get 0)) (then (unreachable)))
            (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 20))))
         (call $log (i32.const 0) (i32.const 0) (i32.const 6))",
    );
    let working: Vec<_> = (0..4).map(|_| launch(&Application::new(&good))).collect();
    for _ in 0..20 {
        assert!(matches!(run(&Application::new(&trap)).0, Outcome::Trapped { .. }));
    }
    for (application, events) in working {
        assert_eq!(end(application).0, Outcome::Returned);
        assert_eq!(lines(&events.try_iter().collect::<Vec<_>>()), ["hello"]);
    }
    for (application, _) in running {
        assert!(!application.is_ended());
        application.stop();
        let (outcome, stats) = end(application);
        assert_eq!(outcome, Outcome::Stopped);
        assert!(stats.memory_peak <= Limits::default().memory);
        assert_eq!(stats.memory, 0);
    }
}

#[test]
fn many_applications_start_and_end_in_many_threads_at_once() {
    let module = program(
        "(call $say32 (i32.const 1)) (drop (memory.grow (i32.const 1))) (i32.store (i32.const 100000) (i32.const 1))",
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(run(&Application::new(&module)).0, Outcome::Returned);
                }
            });
        }
    });
}
