//! Whatever happens to the line: every byte comes once and in order, or the stream ends and says why; and when the trouble is
//! over, bytes move again. The simulation itself checks every byte.

use proptest::prelude::*;
use wasmbed_protocol::link::{DeviceEvent, DeviceLink, End, FrameBuffer, HostLink};

use crate::line::{Behaviour, Noise, Simulation};

/// Something that happens at a moment of a run, in milliseconds from its beginning.
#[derive(Clone, Debug)]
enum Trouble {
    ResetDevice,
    ResetHost,
    /// The device erases flash for so long.
    Pause(u64),
    Noise(Noise),
}

fn noise() -> impl Strategy<Value = Noise> {
    let often = || prop_oneof![2 => Just(0u32), 3 => 0u32..2_000, 1 => 0u32..30_000];
    (often(), often(), often(), 0u32..500, 0u32..300).prop_map(|(lost, flipped, invented, repeated, cut)| Noise {
        lost,
        flipped,
        invented,
        repeated,
        cut,
    })
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        2 => Just(Trouble::ResetDevice),
        2 => Just(Trouble::ResetHost),
        2 => (1u64..4_000).prop_map(Trouble::Pause),
        4 => noise().prop_map(Trouble::Noise),
    ]
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    let reads = || prop_oneof![Just(1usize), 1usize..20, Just(10_000)];
    (0u64..20_000, 1u64..20_000, reads(), reads(), any::<bool>()).prop_map(
        |(device_sends, host_sends, device_reads, host_reads, device_closes)| Behaviour {
            device_sends,
            host_sends,
            device_reads,
            host_reads,
            device_closes,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48), ..ProptestConfig::default() })]

    #[test]
    fn every_byte_comes_once_and_in_order_or_the_stream_ends_and_after_the_trouble_it_moves_again(
        seed: u64,
        baud in prop_oneof![Just(115_200u64), Just(460_800), Just(1_000_000)],
        behaviour in behaviour(),
        mut plan in proptest::collection::vec((0u64..8_000, trouble()), 0..12),
    ) {
        let mut line = Simulation::new(baud, seed, behaviour);
        plan.sort_by_key(|(at, _)| *at);
        let start = line.now;
        for (at, trouble) in plan {
            line.run_for((start + at).saturating_sub(line.now));
            match trouble {
                Trouble::ResetDevice => line.reset_device(),
                Trouble::ResetHost => line.reset_host(),
                Trouble::Pause(ms) => line.paused_until = line.now + ms,
                Trouble::Noise(noise) => line.noise(noise),
            }
        }
        line.noise(Noise::default());
        let before = line.completed;
        // What was under way may still have to be found dead; then a whole stream goes through.
        line.run_until("a whole stream after the trouble", 120_000, |line| line.completed > before + 1);
    }

    #[test]
    fn resets_at_any_byte_end_the_stream_and_never_mix_two(
        seed: u64,
        resets in proptest::collection::vec((1u64..400, any::<bool>()), 1..10),
        device_closes: bool,
    ) {
        let behaviour = Behaviour {
            device_sends: 3_000, host_sends: 3_000, device_reads: 10_000, host_reads: 10_000, device_closes,
        };
        let mut line = Simulation::new(115_200, seed, behaviour);
        for (after, is_device) in resets {
            line.run_for(after);
            if is_device { line.reset_device() } else { line.reset_host() }
        }
        let before = line.completed;
        line.run_until("a whole stream after the resets", 60_000, |line| line.completed > before + 1);
    }

    #[test]
    fn any_bytes_at_all_do_no_harm_to_either_end(pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..600), 0u64..3_000), 0..20)) {
        let mut device: DeviceLink = DeviceLink::new(1);
        let mut host: HostLink = HostLink::new(2);
        device.open("gateway:1", 0).unwrap();
        let (mut now, mut frame) = (0, FrameBuffer::new());
        for (bytes, wait) in pieces {
            now += wait;
            device.receive(&bytes, now);
            host.receive(&bytes, now);
            device.send(&bytes);
            device.next_event();
            // Bounded: each end falls silent by itself, whatever it was told.
            let frames = (0..100).take_while(|_| device.transmit(now, &mut frame).is_some()).count();
            prop_assert!(frames < 100);
            prop_assert!((0..100).take_while(|_| host.transmit(now, &mut frame).is_some()).count() < 100);
            prop_assert!(device.next_deadline(now).is_none_or(|at| at > now) || device.next_event().is_some());
        }
    }
}

fn both_ways(bytes: u64) -> Behaviour {
    Behaviour { device_sends: bytes, host_sends: bytes, device_reads: 10_000, host_reads: 10_000, device_closes: true }
}

#[test]
fn a_flash_erase_of_two_seconds_loses_nothing_and_costs_little_more_than_its_time() {
    let mut line = Simulation::new(115_200, 3, both_ways(20_000));
    line.run_until("a stream", 1_000, |line| line.device.is_open());
    line.run_for(300);
    let before = line.received;
    line.paused_until = line.now + 2_000;
    line.run_for(2_000);
    line.run_until("bytes both ways again", 1_500, |line| {
        line.received.0 > before.0 + 1_000 && line.received.1 > before.1 + 1_000
    });
    line.run_until("all bytes", 5_000, |line| line.completed == 1);
    assert!(line.device_ends.is_empty(), "the stream lived on: {:?}", line.device_ends);
}

#[test]
fn a_reader_that_stops_is_waited_for_as_long_as_its_end_answers() {
    let mut line = Simulation::new(115_200, 4, Behaviour { device_reads: 0, host_reads: 0, ..both_ways(20_000) });
    line.run_for(60_000);
    assert!(line.device.is_open(), "{:?}", line.device_ends);
    assert_eq!(line.received, (0, 0));
    let carried = line.down.carried;
    line.run_for(10_000);
    assert!(line.down.carried - carried < 1_000, "a question a second, not a flood");
}

#[test]
fn a_line_that_is_cut_ends_the_stream_at_both_ends() {
    let mut line = Simulation::new(115_200, 5, both_ways(100_000));
    line.run_until("a stream", 1_000, |line| line.received.0 > 1_000);
    line.noise(Noise { lost: 1_000_000, ..Noise::default() });
    line.run_until("both ends to notice", 16_000, |line| !line.device_ends.is_empty() && !line.host_ends.is_empty());
    assert_eq!((line.device_ends[0], line.host_ends[0]), (End::Silent, End::Silent));
    line.noise(Noise::default());
    line.run_until("a whole stream", 60_000, |line| line.completed == 1);
}

#[test]
fn a_host_that_never_answers_is_given_up() {
    let mut device: DeviceLink = DeviceLink::new(1);
    device.open("gateway:1", 0).unwrap();
    let (mut now, mut frame, mut frames) = (0, FrameBuffer::new(), 0);
    while device.next_event() != Some(DeviceEvent::Ended(End::Silent)) {
        while device.transmit(now, &mut frame).is_some() {
            frames += 1;
        }
        now = device.next_deadline(now).expect("it has something to wait for");
        assert!(now <= 20_000);
    }
    assert!((5..20).contains(&frames), "{frames}");
}
