//! What an application takes of the memory that the agent has for itself, so that no number of applications, and no configuration of
//! theirs, keeps the device from its gateway.

use wasmbed_protocol::Release;

/// What each takes, in bytes, whatever its Release says: its state, its record, its run, what is at hand of its Releases. Measured on
/// an AN386.
pub const LEAST: usize = 2_600;
/// How often the signed bytes are there at most: in the mirror of the store's log as the Release that runs, as the one to fall back to, and
/// as the one that is about to take their place.
const TIMES: usize = 3;
/// What a text takes besides its bytes: pointer, capacity and length on a core of 32 bits.
const TEXT: usize = 12;
/// Texts are allocated by so many bytes.
const GRAIN: usize = 8;

/// What an application with this Release, of so many signed bytes, takes in bytes.
#[must_use]
pub fn of(release: &Release, signed: usize) -> usize {
    let Release { config, capabilities, .. } = release;
    let lists = [&config.args, &capabilities.publish, &capabilities.gpio, &capabilities.adc, &capabilities.network];
    let listed = lists.into_iter().flatten();
    let texts = listed.chain(config.env.keys()).chain(config.env.values());
    let run: usize = texts.map(|text| TEXT + text.len().next_multiple_of(GRAIN)).sum();
    LEAST + TIMES * signed + run
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec;

    use wasmbed_protocol::signed::{Capabilities, Configuration, IoLimits, Limits, RestartPolicy};

    use super::*;

    #[test]
    fn signed_bytes_count_for_each_copy_and_texts_for_what_they_are_allocated_as() {
        let mut release = Release {
            fleet: "f".into(),
            application: "a".into(),
            artifacts: vec![],
            config: Configuration { env: BTreeMap::new(), args: vec![] },
            limits: Limits {
                memory: 0,
                cpu_ms_per_s: 0,
                io: IoLimits { log_bytes_per_s: 0, publish_per_s: 0, publish_bytes_per_s: 0 },
            },
            capabilities: Capabilities { publish: vec![], gpio: vec![], adc: vec![], network: vec![] },
            restart: RestartPolicy { auto: false, max: 0 },
        };
        assert_eq!(of(&release, 100), LEAST + 300);
        release.config.env.insert("k".into(), "a value of 21 bytes..".into());
        assert_eq!(of(&release, 100), LEAST + 300 + (12 + 8) + (12 + 24));
        release.config.args = vec!["".into(), "12345678".into()];
        release.capabilities.gpio = vec!["led0".into()];
        assert_eq!(of(&release, 100), LEAST + 300 + 56 + (12 + 12 + 8) + (12 + 8));
    }
}
