//! Any bytes, and any well-formed packets, in any pieces and at any times, through both ends of a UART link.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmbed_protocol::link::packet::Packet;
use wasmbed_protocol::link::{DeviceLink, FrameBuffer, HostLink, HostState, Reason};

/// Most frames that one packet can be answered with: a window of a stream, and what is said of it.
const FRAMES: usize = 64;

fuzz_target!(|steps: Vec<(u8, u16, Vec<u8>)>| {
    let mut device: DeviceLink = DeviceLink::new(1);
    let mut host: HostLink = HostLink::new(2);
    let mut frame = FrameBuffer::new();
    let mut now = 0;
    for (what, wait, bytes) in &steps {
        now += u64::from(*wait);
        match what % 8 {
            0 => {
                device.receive(bytes, now);
                host.receive(bytes, now);
            }
            // With a CRC that is right, so that what stands behind the decoder is reached.
            1 | 2 => {
                if let Some(packet) = Packet::decode(bytes) {
                    let wire = packet.encode(&mut frame, true).to_vec();
                    if what % 8 == 1 { device.receive(&wire, now) } else { host.receive(&wire, now) }
                }
            }
            3 => drop(device.open("gateway:1", now)),
            4 => match host.state() {
                HostState::Asked(id) if bytes.is_empty() => host.refuse(id, Reason::Unreachable),
                HostState::Asked(id) => host.accept(id),
                _ => host.consume(bytes.len()),
            },
            5 => {
                device.send(bytes);
                host.send(bytes);
                device.log(bytes);
            }
            6 => {
                device.consume(bytes.len());
                host.consume_log(bytes.len());
                device.next_event();
            }
            _ => {
                if bytes.len() > 8 { device.close(now) } else { host.close(Reason::Finished, now) }
            }
        }
        // They talk, so that streams open; what they say is bounded.
        for _ in 0..FRAMES {
            let Some(bytes) = device.transmit(now, &mut frame) else { break };
            host.receive(bytes, now);
        }
        assert!(device.transmit(now, &mut frame).is_none());
        for _ in 0..FRAMES {
            let Some(bytes) = host.transmit(now, &mut frame) else { break };
            device.receive(bytes, now);
        }
        assert!(host.transmit(now, &mut frame).is_none());
    }
});
