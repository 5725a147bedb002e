//! What a sign of life costs on the wire.

use wasmbed_protocol::message::{DeviceMessage, Heartbeat, Phase, Pulse};

use super::CannotRun;
use super::figure::Figure;

pub fn measure() -> Result<Vec<Figure>, CannotRun> {
    let pulse = |application: &str, cpu_ms, restarts| Pulse {
        application: application.to_owned(),
        phase: Phase::Running,
        cpu_ms,
        restarts,
    };
    let heartbeat = Heartbeat {
        uptime_ms: 86_400_000,
        memory_free: 131_072,
        applications: vec![pulse("led-blinker", 1_234, 0), pulse("sensor-reader", 56_789, 1)],
    };
    let json = serde_json::to_vec(&heartbeat).unwrap().len();
    let frame = DeviceMessage::from(heartbeat).to_frame().unwrap().len();
    let how = format!(
        "one frame with its length, of a device with two applications, before TLS; the same message as JSON without any \
         envelope has {json} bytes"
    );
    Ok(vec![Figure::new("heartbeat_bytes", frame as f64, "B", None, how)])
}
