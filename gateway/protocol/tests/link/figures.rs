//! What the link costs and how fast it is, on a line that is simulated byte by byte: figures that do not depend on the machine.

use wasmbed_protocol::link::{DeviceLink, FrameBuffer};

use crate::line::{Behaviour, Noise, Simulation};

fn download(baud: u64, noise: Noise) -> (f64, f64) {
    let behaviour = Behaviour {
        device_sends: 0,
        host_sends: 200_000,
        device_reads: 10_000,
        host_reads: 10_000,
        device_closes: true,
    };
    let mut line = Simulation::new(baud, 11, behaviour);
    line.run_until("a stream", 1_000, |line| line.device.is_open());
    line.noise(noise);
    let (start, carried) = (line.now, line.down.carried);
    line.run_until("the download", 120_000, |line| line.completed == 1);
    let seconds = (line.now - start) as f64 / 1_000.0;
    let overhead = (line.down.carried - carried) as f64 / 200_000.0 - 1.0;
    (200_000.0 / seconds, 100.0 * overhead)
}

#[test]
fn a_download_takes_nearly_all_of_the_line() {
    let noisy = Noise { flipped: 100, lost: 100, ..Noise::default() };
    for (baud, noise, least) in
        [(115_200, Noise::default(), 10_700.0), (1_000_000, Noise::default(), 90_000.0), (115_200, noisy, 7_000.0)]
    {
        let (rate, overhead) = download(baud, noise);
        let errors = noise.flipped + noise.lost;
        println!(
            "{baud} baud, {errors} errors in a million bytes: {rate:.0} B/s, {overhead:.1} % more bytes on the line"
        );
        assert!(rate > least, "{baud} baud: {rate} B/s");
    }
}

#[test]
fn both_directions_at_once_take_nearly_all_of_the_line() {
    let behaviour = Behaviour {
        device_sends: 100_000,
        host_sends: 100_000,
        device_reads: 10_000,
        host_reads: 10_000,
        device_closes: true,
    };
    let mut line = Simulation::new(115_200, 12, behaviour);
    let start = line.now;
    line.run_until("both", 120_000, |line| line.completed == 1);
    let rate = 100_000_000.0 / (line.now - start) as f64;
    println!("115200 baud, both ways at once: {rate:.0} B/s each");
    assert!(rate > 9_500.0, "{rate}");
}

#[test]
fn the_devices_end_fits_a_small_board() {
    let (link, frame) = (size_of::<DeviceLink>(), size_of::<FrameBuffer>());
    println!("a DeviceLink takes {link} bytes, a FrameBuffer {frame}");
    assert!(link <= 5_600 && frame <= 280, "{link} {frame}");
}
