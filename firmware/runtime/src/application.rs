//! What is to run, and what it may do: the module, its limits, grants, arguments and configuration.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// An application as its Release describes it.
#[derive(Clone, Debug)]
pub struct Application<'a> {
    /// The WebAssembly module, whole.
    pub module: &'a [u8],
    /// Bounds on what it may use.
    pub limits: Limits,
    /// What it may reach outside itself.
    pub grants: Grants,
    /// Arguments, without a program name; `arg(0)` is the first. A WASI program sees `application` before them.
    pub args: Vec<String>,
    /// Configuration: what `config(key)` answers and a WASI program sees as its environment.
    pub env: Vec<(String, String)>,
}

impl<'a> Application<'a> {
    /// An application with the default limits, no grants, no arguments and no configuration.
    pub fn new(module: &'a [u8]) -> Self {
        Self { module, limits: Limits::default(), grants: Grants::default(), args: Vec::new(), env: Vec::new() }
    }
}

/// Bounds on what an application may use. Every bound is enforced by the runtime, none by the application's good will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory in all: the translated module, its tables and globals, its stack and its linear memory.
    pub memory: u64,
    /// Bytes of the interpreter's stack (calls, locals and operands), taken from `memory`. 1 KiB to 1 MiB.
    pub stack: u32,
    /// Whether its linear memory may grow. Growing copies the whole of it where there is no virtual memory, so a small
    /// device does without: there a module that can ask for it (`memory.grow`) is refused.
    pub growth: bool,
    /// Milliseconds of CPU time in each second, 1 to 1000; 1000 is unlimited. An application over its share is held back,
    /// not ended.
    pub cpu_ms_per_s: u32,
    /// Bytes of log in each second, with a burst of two seconds' worth. Lines above it are dropped, counted and said.
    pub log_bytes_per_s: u32,
    /// Messages published in each second, with a burst of two seconds' worth. Above it `publish` answers `EAGAIN`.
    pub publish_per_s: u32,
    /// Bytes of payload published in each second, with a burst of two seconds' worth. Above it `publish` answers `EAGAIN`.
    pub publish_bytes_per_s: u32,
    /// Network probes in each second, with a burst of two. Above it `net_probe` answers `EAGAIN`.
    pub probe_per_s: u32,
}

impl Default for Limits {
    /// 256 KiB of memory which may grow, 8 KiB of stack, the whole CPU, 4 KiB/s of log, 10 messages and 4 KiB of them/s, 1 network probe/s.
    fn default() -> Self {
        Self {
            memory: 256 * 1024,
            stack: 8 * 1024,
            growth: true,
            cpu_ms_per_s: 1000,
            log_bytes_per_s: 4096,
            publish_per_s: 10,
            publish_bytes_per_s: 4096,
            probe_per_s: 1,
        }
    }
}

/// What an application may reach outside itself. Logging, time, sleep, randomness, arguments and configuration need no grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Topics it may publish to: a topic, or a prefix and `/*` for all below it.
    pub publish: Vec<String>,
    /// Names of GPIO pins it may open.
    pub gpio: Vec<String>,
    /// Names of ADC inputs it may open.
    pub adc: Vec<String>,
    /// Peers it may probe, as `host:port`.
    pub network: Vec<String>,
}

impl Grants {
    pub(crate) fn allow_topic(&self, topic: &str) -> bool {
        self.publish.iter().any(|granted| match granted.strip_suffix("/*") {
            Some(prefix) => topic
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|below| !below.is_empty()),
            None => granted == topic,
        })
    }

    pub(crate) fn allow_peer(&self, host: &str, port: u16) -> bool {
        let peer = format!("{host}:{port}");
        self.network.contains(&peer)
    }
}

/// What an application has used since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time.
    pub cpu: Duration,
    /// Bytes of memory held now, counted as [`Limits::memory`] is.
    pub memory: u64,
    /// The most bytes it ever held.
    pub memory_peak: u64,
    /// How often it was found over its share of the CPU ([`Limits::cpu_ms_per_s`]) and had to wait.
    pub held_back: u64,
    /// Log lines dropped by [`Limits::log_bytes_per_s`].
    pub log_lines_dropped: u64,
    /// Messages published.
    pub published: u64,
    /// Messages refused by [`Limits::publish_per_s`] or [`Limits::publish_bytes_per_s`].
    pub publish_refused: u64,
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_granted_topic_or_one_below_a_granted_prefix_is_allowed_and_nothing_else() {
        let grants = Grants { publish: vec!["alarm".into(), "sensors/*".into()], ..Grants::default() };
        for topic in ["alarm", "sensors/a", "sensors/a/b"] {
            assert!(grants.allow_topic(topic), "{topic}");
        }
        for topic in ["", "alarms", "alarm/x", "sensors", "sensors/", "sensorsx/a", "sensors/*x/../a"] {
            assert_eq!(grants.allow_topic(topic), topic.starts_with("sensors/*x"), "{topic}");
        }
    }

    #[test]
    fn a_peer_is_granted_with_its_port() {
        let grants = Grants { network: vec!["example.org:80".into(), "[::1]:443".into()], ..Grants::default() };
        assert!(grants.allow_peer("example.org", 80) && grants.allow_peer("[::1]", 443));
        assert!(!grants.allow_peer("example.org", 8080) && !grants.allow_peer("example.org:80", 80));
    }
}
