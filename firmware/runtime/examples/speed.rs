//! Prints how long the interpreter takes for three small workloads, in CPU time: `cargo run --release --example speed`.
//!
//! The first is recursion, the second a mix of loops over memory, a state machine and a checksum, the third calls a host function
//! ten thousand times.

use std::time::Duration;

use wasmbed_runtime::{Application, Errno, Host, Limits, Line, start};

const FIB: &str = r#"(module
    (func $fib (param i32) (result i32)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
            (then (local.get 0))
            (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                           (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
    (func (export "_start") (drop (call $fib (i32.const 24)))))"#;

const MIX: &str = r#"(module (memory (export "memory") 1)
    (func $matrix (param $n i32) (result i32) (local $i i32) (local $j i32) (local $sum i32)
        (loop $rows
            (local.set $j (i32.const 0))
            (loop $columns
                (local.set $sum (i32.add (local.get $sum) (i32.mul
                    (i32.load16_s (i32.shl (i32.add (i32.mul (local.get $i) (local.get $n)) (local.get $j)) (i32.const 1)))
                    (i32.add (local.get $j) (i32.const 3)))))
                (i32.store16 (i32.shl (i32.add (i32.mul (local.get $j) (local.get $n)) (local.get $i)) (i32.const 1)) (local.get $sum))
                (local.set $j (i32.add (local.get $j) (i32.const 1)))
                (br_if $columns (i32.lt_u (local.get $j) (local.get $n))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $rows (i32.lt_u (local.get $i) (local.get $n))))
        (local.get $sum))
    (func $crc (param $from i32) (param $bytes i32) (param $crc i32) (result i32) (local $bit i32)
        (loop $next
            (local.set $crc (i32.xor (local.get $crc) (i32.load8_u (local.get $from))))
            (local.set $bit (i32.const 8))
            (loop $bits
                (local.set $crc (i32.xor (i32.shr_u (local.get $crc) (i32.const 1))
                    (i32.and (i32.const 0xA001) (i32.sub (i32.const 0) (i32.and (local.get $crc) (i32.const 1))))))
                (br_if $bits (local.tee $bit (i32.sub (local.get $bit) (i32.const 1)))))
            (local.set $from (i32.add (local.get $from) (i32.const 1)))
            (br_if $next (local.tee $bytes (i32.sub (local.get $bytes) (i32.const 1)))))
        (local.get $crc))
    (func $machine (param $byte i32) (param $state i32) (result i32)
        (block $other (block $digit (block $sign (block $start
            (br_table $start $sign $digit $other (local.get $state)))
            (return (select (i32.const 1) (i32.const 2) (i32.eq (local.get $byte) (i32.const 43)))))
            (return (select (i32.const 2) (i32.const 3) (i32.lt_u (local.get $byte) (i32.const 58)))))
            (return (i32.and (local.get $byte) (i32.const 3))))
        (i32.const 0))
    (func (export "_start") (local $turn i32) (local $i i32) (local $state i32)
        (local.set $turn (i32.const 10))
        (loop $turns
            (drop (call $matrix (i32.const 20)))
            (i32.store (i32.const 2000) (call $crc (i32.const 0) (i32.const 800) (local.get $turn)))
            (local.set $i (i32.const 0))
            (loop $bytes
                (local.set $state (call $machine (i32.load8_u (local.get $i)) (local.get $state)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $bytes (i32.lt_u (local.get $i) (i32.const 1000))))
            (br_if $turns (local.tee $turn (i32.sub (local.get $turn) (i32.const 1)))))))"#;

const CALLS: &str = r#"(module (import "wasmbed" "uptime_ms" (func $uptime (result i64)))
    (memory (export "memory") 1)
    (func (export "_start") (local i32) (local.set 0 (i32.const 10000))
        (loop (drop (call $uptime))
            (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;

struct Quiet;

impl Host for Quiet {
    fn log(&mut self, _: Line<'_>) {}

    fn publish(&mut self, _: &str, _: &[u8]) -> Result<(), Errno> {
        Ok(())
    }

    fn uptime(&mut self) -> Duration {
        Duration::from_secs(1)
    }

    fn unix_time_ms(&mut self) -> Option<u64> {
        None
    }

    fn random(&mut self, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }
}

fn main() {
    for (name, text) in [("fib(24)", FIB), ("mix x10", MIX), ("10,000 host calls", CALLS)] {
        let module = wat::parse_str(text).expect("the module is valid");
        let application = Application { limits: Limits::default(), ..Application::new(&module) };
        let best = (0..20)
            .map(|_| {
                let running = start(&application, Box::new(Quiet), |_, _| ()).expect("the module starts");
                let (outcome, stats) = running.wait();
                assert!(outcome.is_success(), "{outcome}");
                stats.cpu
            })
            .min()
            .expect("it ran");
        println!("{name}: {best:?}");
    }
}
