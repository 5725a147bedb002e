//! Each rule of the link, with both ends and no time but what the test lets pass.

use wasmbed_protocol::link::frame::Decoder;
use wasmbed_protocol::link::packet::Packet;
use wasmbed_protocol::link::{DeviceEvent, DeviceLink, End, FrameBuffer, HostLink, HostState, Reason, StreamId};

type Device = DeviceLink;
type Host = HostLink;

/// All frames the device has to send now, as one piece.
fn from_device(device: &mut Device, now: u64) -> Vec<u8> {
    let mut frame = FrameBuffer::new();
    let mut all = Vec::new();
    while let Some(bytes) = device.transmit(now, &mut frame) {
        all.extend_from_slice(bytes);
    }
    all
}

fn from_host(host: &mut Host, now: u64) -> Vec<u8> {
    let mut frame = FrameBuffer::new();
    let mut all = Vec::new();
    while let Some(bytes) = host.transmit(now, &mut frame) {
        all.extend_from_slice(bytes);
    }
    all
}

/// Everything that can be said without waiting.
fn talk(device: &mut Device, host: &mut Host, now: u64) {
    loop {
        let up = from_device(device, now);
        host.receive(&up, now);
        let down = from_host(host, now);
        device.receive(&down, now);
        if up.is_empty() && down.is_empty() {
            return;
        }
    }
}

fn asked(host: &Host) -> StreamId {
    match host.state() {
        HostState::Asked(id) => id,
        other => panic!("nothing is asked: {other:?}"),
    }
}

/// Both ends with an open stream.
fn open() -> (Device, Host) {
    let (mut device, mut host) = (Device::new(1), Host::new(2));
    device.open("gateway:1", 0).unwrap();
    talk(&mut device, &mut host, 0);
    host.accept(asked(&host));
    talk(&mut device, &mut host, 0);
    assert_eq!(device.next_event(), Some(DeviceEvent::Opened));
    (device, host)
}

fn frame(packet: &Packet<'_>) -> Vec<u8> {
    packet.encode(&mut FrameBuffer::new(), true).to_vec()
}

/// What a piece of the line says, each packet as it prints.
fn said(mut wire: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::new();
    let mut said = Vec::new();
    while let Some(raw) = decoder.next(&mut wire) {
        said.push(format!("{:?}", Packet::decode(raw).unwrap()));
    }
    said
}

#[test]
fn a_device_names_the_gateway_and_the_host_opens_it() {
    let (mut device, mut host) = (Device::new(1), Host::new(2));
    device.open("gateway.example:4433", 0).unwrap();
    assert_eq!(device.send(b"too early"), 0);
    talk(&mut device, &mut host, 0);
    let id = asked(&host);
    assert_eq!((id.epoch, host.address()), (1, "gateway.example:4433"));
    assert_eq!(device.next_event(), None);
    host.accept(id);
    assert_eq!(host.state(), HostState::Open(id));
    talk(&mut device, &mut host, 0);
    assert_eq!(device.next_event(), Some(DeviceEvent::Opened));
    assert_eq!(device.send(b"hello"), 5);
    talk(&mut device, &mut host, 0);
    assert_eq!(host.received(), b"hello");
    host.consume(5);
    assert_eq!(host.send(b"good day"), 8);
    talk(&mut device, &mut host, 0);
    assert_eq!(device.received(), b"good day");
    assert!(device.is_flushed());
}

#[test]
fn a_refusal_says_why() {
    let (mut device, mut host) = (Device::new(1), Host::new(2));
    device.open("elsewhere:1", 0).unwrap();
    talk(&mut device, &mut host, 0);
    host.refuse(asked(&host), Reason::NotAllowed);
    talk(&mut device, &mut host, 0);
    assert_eq!(device.next_event(), Some(DeviceEvent::Ended(End::Refused(Reason::NotAllowed))));
    assert_eq!(device.next_event(), None);
    device.open("gateway:1", 0).unwrap();
    talk(&mut device, &mut host, 0);
    assert_eq!(host.address(), "gateway:1");
}

#[test]
fn an_address_that_is_no_address_is_not_asked_for() {
    let mut device = Device::new(1);
    assert!(device.open("", 0).is_err());
    assert!(device.open(&"x".repeat(201), 0).is_err());
    assert!(device.open(&"x".repeat(200), 0).is_ok());
    let mut host = Host::new(2);
    let open = Packet::Open { version: 1, epoch: 1, number: 1, limit: 100, address: b"\xFF\xFE" };
    host.receive(&frame(&open), 0);
    assert!(matches!(host.state(), HostState::Ended(_, End::Refused(Reason::NotAllowed))));
}

#[test]
fn another_version_of_the_link_is_refused_by_name() {
    let mut host = Host::new(2);
    let open = Packet::Open { version: 2, epoch: 1, number: 1, limit: 100, address: b"gateway:1" };
    host.receive(&frame(&open), 0);
    let said = said(&from_host(&mut host, 0));
    assert!(said.iter().any(|packet| packet.starts_with("Refused") && packet.contains("reason: 5")), "{said:?}");
}

#[test]
fn a_lost_open_and_a_lost_answer_are_said_again() {
    let (mut device, mut host) = (Device::new(1), Host::new(2));
    device.open("gateway:1", 0).unwrap();
    from_device(&mut device, 0);
    let again = device.next_deadline(0).unwrap();
    talk(&mut device, &mut host, again);
    host.accept(asked(&host));
    from_host(&mut host, again);
    let again = device.next_deadline(again).unwrap();
    talk(&mut device, &mut host, again);
    assert_eq!(device.next_event(), Some(DeviceEvent::Opened));
}

#[test]
fn an_end_that_closes_sends_what_it_has_and_is_told_when_it_was_taken() {
    let (mut device, mut host) = open();
    host.send(&[7; 1_000]);
    host.close(Reason::Broken, 0);
    talk(&mut device, &mut host, 0);
    assert_eq!(device.next_event(), None, "not before the bytes are taken");
    assert!(matches!(host.state(), HostState::Open(_)));
    assert_eq!(device.send(b"too late"), 0);
    while !device.received().is_empty() {
        device.consume(device.received().len());
    }
    assert_eq!(device.next_event(), Some(DeviceEvent::Ended(End::ClosedByPeer(Reason::Broken))));
    talk(&mut device, &mut host, 1);
    assert!(matches!(host.state(), HostState::Ended(_, End::Closed)));
}

#[test]
fn a_device_that_closes_hears_no_more_of_the_stream() {
    let (mut device, mut host) = open();
    device.send(&[7; 500]);
    device.close(0);
    host.send(b"nobody reads this");
    talk(&mut device, &mut host, 0);
    assert!(device.received().is_empty());
    assert_eq!(host.received().len(), 500);
    host.consume(500);
    assert!(matches!(host.state(), HostState::Ended(_, End::ClosedByPeer(Reason::Finished))));
    talk(&mut device, &mut host, 0);
    assert_eq!(device.next_event(), None);
    assert_eq!(device.next_deadline(0), None, "nothing is left to do");
}

#[test]
fn both_may_close_at_once() {
    let (mut device, mut host) = open();
    device.close(0);
    host.close(Reason::Finished, 0);
    talk(&mut device, &mut host, 0);
    assert!(matches!(host.state(), HostState::Ended(..)));
    assert_eq!(device.next_deadline(1_000), None);
    assert_eq!(host.next_deadline(1_000), None);
}

#[test]
fn an_end_that_has_nothing_to_say_asks_whether_the_other_is_there() {
    let (mut device, mut host) = open();
    talk(&mut device, &mut host, 1_000);
    let ask = device.next_deadline(1_000).unwrap();
    assert!((10_000..12_000).contains(&ask), "{ask}");
    talk(&mut device, &mut host, ask);
    assert!(device.is_open() && device.next_deadline(ask).unwrap() >= ask + 9_000, "it is there");
    let mut now = ask;
    while device.next_event().is_none() {
        from_device(&mut device, now);
        now = device.next_deadline(now).unwrap();
        assert!(now < ask + 26_000);
    }
    assert!(now >= ask + 15_000, "it was given time");
}

#[test]
fn a_lost_close_and_a_lost_answer_to_it_are_said_again() {
    let (mut device, mut host) = open();
    host.close(Reason::Finished, 0);
    from_host(&mut host, 0);
    let again = host.next_deadline(0).unwrap();
    assert!(again > 0);
    device.receive(&from_host(&mut host, again), again);
    assert_eq!(device.next_event(), Some(DeviceEvent::Ended(End::ClosedByPeer(Reason::Finished))));
    assert_eq!(said(&from_device(&mut device, again)).len(), 1, "CLOSED, which is lost");
    let again = host.next_deadline(again).unwrap();
    talk(&mut device, &mut host, again);
    assert!(matches!(host.state(), HostState::Ended(_, End::Closed)));
}

#[test]
fn a_device_that_boots_ends_the_stream_of_its_former_boot() {
    let (mut device, mut host) = open();
    device.send(b"from the first boot");
    host.receive(&from_device(&mut device, 0), 0);
    let mut device = Device::new(9);
    talk(&mut device, &mut host, 0);
    assert_eq!(host.received(), b"from the first boot");
    assert!(matches!(host.state(), HostState::Open(_)), "what came before may be taken");
    host.consume(19);
    assert!(matches!(host.state(), HostState::Ended(_, End::PeerReset)));
}

#[test]
fn a_device_that_boots_unheard_is_noticed_when_it_opens() {
    let (_, mut host) = open();
    let mut device = Device::new(9);
    from_device(&mut device, 0);
    device.open("gateway:1", 0).unwrap();
    host.receive(&from_device(&mut device, 0), 0);
    assert_eq!(asked(&host).epoch, 9);
}

#[test]
fn a_host_that_began_anew_tells_the_device_that_the_stream_is_gone() {
    let (mut device, _) = open();
    let mut host = Host::new(3);
    from_host(&mut host, 0);
    device.send(b"into the void");
    let again = 200;
    host.receive(&from_device(&mut device, again), again);
    assert!(host.received().is_empty());
    device.receive(&from_host(&mut host, again), again);
    assert_eq!(device.next_event(), Some(DeviceEvent::Ended(End::PeerReset)));
    device.open("gateway:1", again).unwrap();
    talk(&mut device, &mut host, again);
    assert!(matches!(host.state(), HostState::Asked(_)));
}

#[test]
fn an_old_opening_that_a_new_host_answers_ends_the_stream() {
    let (mut device, _) = open();
    device.send(b"for the first host");
    let mut host = Host::new(3);
    host.receive(&frame(&Packet::Open { version: 1, epoch: 1, number: 1, limit: 2048, address: b"gateway:1" }), 0);
    host.accept(asked(&host));
    host.send(b"from the second host");
    talk(&mut device, &mut host, 200);
    assert_eq!(device.received(), b"");
    assert_eq!(device.next_event(), Some(DeviceEvent::Ended(End::PeerReset)));
    assert_eq!(host.received(), b"");
}

#[test]
fn an_older_opening_changes_nothing() {
    let (mut device, mut host) = open();
    device.close(0);
    talk(&mut device, &mut host, 0);
    device.open("gateway:2", 0).unwrap();
    talk(&mut device, &mut host, 0);
    let id = asked(&host);
    host.receive(&frame(&Packet::Open { version: 1, epoch: 1, number: 1, limit: 2048, address: b"gateway:1" }), 0);
    assert_eq!((asked(&host), host.address()), (id, "gateway:2"));
}

#[test]
fn packets_of_another_stream_are_answered_by_reset_at_a_bounded_rate() {
    let (_, mut host) = open();
    let stray = frame(&Packet::Data { tag: 0x0BAD_0BAD, offset: 0, bytes: b"stray" });
    let mut resets = 0;
    for now in 0..1_000 {
        host.receive(&stray.repeat(3), now);
        resets += said(&from_host(&mut host, now)).len();
    }
    assert!(host.received().is_empty());
    assert!((9..=11).contains(&resets), "{resets}");
}

#[test]
fn a_stream_that_nobody_waits_for_any_more_is_ended() {
    let (mut device, mut host) = (Device::new(1), Host::new(2));
    device.open("gateway:1", 0).unwrap();
    talk(&mut device, &mut host, 0);
    device.close(0);
    host.accept(asked(&host));
    talk(&mut device, &mut host, 200);
    assert!(matches!(host.state(), HostState::Ended(_, End::PeerReset)));
}

#[test]
fn the_log_comes_without_a_stream_and_says_where_it_has_a_hole() {
    let (mut device, mut host) = (Device::new(1), Host::new(2));
    device.log(b"booted\n");
    talk(&mut device, &mut host, 0);
    device.log(b"lost\n");
    from_device(&mut device, 0);
    device.log(b"after\n");
    talk(&mut device, &mut host, 0);
    device.log(&[b'x'; 513]);
    device.log(b"too long a line is left out\n");
    talk(&mut device, &mut host, 0);
    assert_eq!(host.log(), b"booted\n\0after\n\0too long a line is left out\n");
}

#[test]
fn the_log_has_its_turn_while_the_stream_is_busy() {
    let (mut device, mut host) = open();
    device.log(b"in between\n");
    for _ in 0..2 {
        device.send(&[1; 2_048]);
        talk(&mut device, &mut host, 0);
        host.consume(4_096);
    }
    assert_eq!(host.log(), b"in between\n");
}

#[test]
fn a_clock_that_goes_backwards_stops_nothing() {
    let (mut device, mut host) = open();
    device.send(b"one");
    talk(&mut device, &mut host, 50_000);
    device.send(b"two");
    from_device(&mut device, 100);
    let again = device.next_deadline(100).unwrap();
    assert!(again >= 50_000);
    talk(&mut device, &mut host, again);
    assert_eq!(host.received(), b"onetwo");
}

#[test]
fn a_frame_after_a_pause_begins_with_a_zero_and_the_next_one_does_not() {
    let (mut device, _) = open();
    device.send(&[1; 300]);
    let mut buffer = FrameBuffer::new();
    let first = device.transmit(0, &mut buffer).unwrap().to_vec();
    let second = device.transmit(0, &mut buffer).unwrap().to_vec();
    assert_eq!((first[0], second[0] == 0), (0, false));
}
