//! What an emulator says of itself to the kubelet and to Prometheus.

use prometheus_client::metrics::gauge::Gauge;
use wasmbed_health::{Condition, Health};

/// What is told of an emulator.
///
/// One whose devices cannot all be played is ready all the same: the others run, and each Device's condition says what is wrong.
pub(crate) struct Told {
    listed: Condition,
    playing: Condition,
    declared: Gauge,
    running: Gauge,
}

impl Told {
    pub(crate) fn new(health: &Health) -> Self {
        let (declared, running) = (Gauge::default(), Gauge::default());
        health.register(|registry| {
            let help = "Devices that are declared to be emulated";
            registry.register("wasmbed_emulator_devices", help, declared.clone());
            registry.register("wasmbed_emulator_devices_running", "Devices that something plays now", running.clone());
        });
        let (listed, playing) = (health.requires("devices"), health.tells("playing"));
        listed.fails("the declared Devices and Gateways have not been listed yet");
        Self { listed, playing, declared, running }
    }

    /// Devices and Gateways were listed whole, of which `declared` are emulated ones; `running` of them run, and all are as they should
    /// be if `worked`.
    pub(crate) fn says(&self, declared: usize, running: usize, worked: bool) {
        self.listed.holds("the declared Devices are known");
        let text = format!("{running} of {declared} emulated devices run");
        match worked {
            true => self.playing.holds(text),
            false => {
                self.playing.fails(format!("{text}; the condition Emulated of a Device says what is wrong with it"))
            }
        }
        let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
        self.declared.set(count(declared));
        self.running.set(count(running));
    }
}
