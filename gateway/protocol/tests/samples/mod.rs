//! One of every message and signed object, with every field filled, and one with every optional field left out.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses a part")]

use wasmbed_protocol::message::*;
use wasmbed_protocol::pairing::{Code, Proof};
use wasmbed_protocol::signed::*;
use wasmbed_protocol::{ModuleDigest, Nonce, ReleaseDigest, SigningKey};

pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

pub const ROOT: u8 = 1;
pub const RELEASE: u8 = 2;
pub const ASSIGNMENT: u8 = 3;
pub const GATEWAY_CA: u8 = 4;
pub const TLS: u8 = 5;
pub const DEVICE: u8 = 6;
pub const NONCE: Nonce = Nonce([7; 16]);

pub fn keyset() -> KeySet {
    KeySet {
        epoch: 3,
        fleet: "example".into(),
        release: vec![key(RELEASE).public()],
        assignment: vec![key(ASSIGNMENT).public()],
        gateway_ca: key(GATEWAY_CA).public(),
    }
}

pub fn credential() -> Credential {
    Credential { fleet: "example".into(), gateway: "gateway-1".into(), tls_key: key(TLS).public() }
}

pub fn release() -> Release {
    let text = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    Release {
        fleet: "example".into(),
        application: "led-blinker".into(),
        artifacts: vec![Artifact {
            platform: "wasm32".into(),
            format: Format::Wasm,
            digest: ModuleDigest::of(b"a module"),
            size: 4096,
        }],
        config: Configuration {
            env: [("INTERVAL".to_owned(), "500".to_owned()), ("PIN".to_owned(), "led0".to_owned())].into(),
            args: text(&["--fast"]),
        },
        limits: Limits {
            memory: 65536,
            cpu_ms_per_s: 250,
            io: IoLimits { log_bytes_per_s: 2048, publish_per_s: 10, publish_bytes_per_s: 4096 },
        },
        capabilities: Capabilities {
            publish: text(&["telemetry/*"]),
            gpio: text(&["led0"]),
            adc: text(&["temperature"]),
            network: text(&["gateway:7"]),
        },
        restart: RestartPolicy { auto: true, max: 5 },
    }
}

pub fn bare_release() -> Release {
    Release {
        config: Configuration { env: Default::default(), args: vec![] },
        capabilities: Capabilities { publish: vec![], gpio: vec![], adc: vec![], network: vec![] },
        ..release()
    }
}

pub fn assignment() -> Assignment {
    Assignment {
        fleet: "example".into(),
        device: key(DEVICE).public().thumbprint(),
        nonce: NONCE,
        n: 1_700_000_000_000_000,
        gateway: "gateway-1".into(),
        entries: vec![
            Entry {
                application: "hello".into(),
                release: release().digest().unwrap(),
                state: RunState::Run,
                restart: 0,
            },
            Entry {
                application: "led-blinker".into(),
                release: bare_release().digest().unwrap(),
                state: RunState::Suspended,
                restart: 1_700_000_000,
            },
        ],
    }
}

pub fn empty_assignment() -> Assignment {
    Assignment { entries: vec![], ..assignment() }
}

pub fn report() -> Report {
    Report {
        application: "led-blinker".into(),
        release: ReleaseDigest([8; 32]),
        phase: Phase::FellBack,
        restarts: 3,
        error: Some("trap: out of bounds memory access".into()),
        fallback: Some(ReleaseDigest([9; 32])),
        throttled: None,
    }
}

pub fn throttled_report() -> Report {
    Report { throttled: Some(Throttled::Log), ..bare_report() }
}

pub fn bare_report() -> Report {
    Report { phase: Phase::Running, restarts: 0, error: None, fallback: None, ..report() }
}

pub fn device_messages() -> Vec<(&'static str, DeviceMessage)> {
    let code = Code::new([10; 16]);
    let hello = Hello {
        versions: vec![1],
        board: "Mps2An386".into(),
        memory: 1 << 20,
        features: vec!["wasm32".into(), "gpio".into()],
        nonce: NONCE,
        running: vec![bare_report(), report()],
        pairing: Some(Pairing {
            device: "sensor-1".into(),
            proof: Proof::new(&code, &[11; 32], "sensor-1", &key(DEVICE).public()),
        }),
    };
    let bare_hello = Hello { features: vec![], running: vec![], pairing: None, ..hello.clone() };
    let heartbeat = Heartbeat {
        uptime_ms: 86_400_000,
        memory_free: 40_000,
        applications: vec![
            Pulse { application: "hello".into(), phase: Phase::Finished, cpu_ms: 1, restarts: 0 },
            Pulse { application: "led-blinker".into(), phase: Phase::Running, cpu_ms: 1234, restarts: 2 },
        ],
    };
    let output = Output {
        application: "sensor-reader".into(),
        topic: "telemetry/temperature".into(),
        payload: vec![0x19, 0x09, 0xc4],
        dropped: Some(4),
    };
    let log = Log {
        application: Some("hello".into()),
        level: Level::Stdout,
        text: "Hello from Wasmbed!".into(),
        dropped: Some(12),
    };
    vec![
        ("hello", hello.into()),
        ("hello-bare", bare_hello.into()),
        ("heartbeat", heartbeat.clone().into()),
        ("heartbeat-bare", Heartbeat { applications: vec![], ..heartbeat }.into()),
        ("fetch", Fetch { digest: ModuleDigest::of(b"a module"), offset: 2048, length: 2048 }.into()),
        ("report", report().into()),
        ("report-bare", bare_report().into()),
        ("report-throttled", throttled_report().into()),
        ("output", output.clone().into()),
        ("output-bare", Output { dropped: None, ..output }.into()),
        ("log", log.clone().into()),
        ("log-bare", Log { application: None, dropped: None, level: Level::Debug, ..log }.into()),
    ]
}

pub fn gateway_messages() -> Vec<(&'static str, GatewayMessage)> {
    vec![
        (
            "introduction",
            Introduction {
                keyset: keyset().sign(&key(ROOT)).unwrap(),
                credential: credential().sign(&key(GATEWAY_CA)).unwrap(),
            }
            .into(),
        ),
        (
            "welcome",
            Welcome { version: 1, name: "sensor-1".into(), heartbeat_ms: 30_000, time_ms: 1_700_000_000_000 }.into(),
        ),
        (
            "enrollment-pending",
            Enrollment {
                state: EnrollmentState::Pending,
                reason: "this key is not known; approve it with `wasmbed enroll`".into(),
                retry_ms: 60_000,
            }
            .into(),
        ),
        (
            "enrollment-refused",
            Enrollment { state: EnrollmentState::Refused, reason: "too many unknown keys".into(), retry_ms: 300_000 }
                .into(),
        ),
        ("assignment", SignedAssignment { cose: assignment().sign(&key(ASSIGNMENT)).unwrap() }.into()),
        ("release", SignedRelease { cose: release().sign(&key(RELEASE)).unwrap() }.into()),
        (
            "chunk",
            Chunk { digest: ModuleDigest::of(b"a module"), offset: 2048, bytes: b"\0asm\x01\0\0\0".to_vec() }.into(),
        ),
        ("chunk-empty", Chunk { digest: ModuleDigest::of(b"a module"), offset: 0, bytes: vec![] }.into()),
        ("heartbeat-ack", HeartbeatAck { time_ms: 1_700_000_000_000 }.into()),
    ]
}

/// Every signed object: its name, its CDDL rule, and its COSE bytes.
pub fn signed_objects() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("key-set", "key-set", keyset().sign(&key(ROOT)).unwrap()),
        ("credential", "credential", credential().sign(&key(GATEWAY_CA)).unwrap()),
        ("release", "release", release().sign(&key(RELEASE)).unwrap()),
        ("release-bare", "release", bare_release().sign(&key(RELEASE)).unwrap()),
        ("assignment", "assignment", assignment().sign(&key(ASSIGNMENT)).unwrap()),
        ("assignment-empty", "assignment", empty_assignment().sign(&key(ASSIGNMENT)).unwrap()),
    ]
}
