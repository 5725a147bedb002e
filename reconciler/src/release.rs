//! What may run: the signed Release of an application, made from a verified tree and never from objects of the cluster.

use serde_json::{Value, json};
use wasmbed_api::{ApplicationSpec, ByteString, Digest, labels};
use wasmbed_protocol::signed::{
    Artifact, Capabilities, Configuration, Format, IoLimits, Limits, Release, RestartPolicy,
};
use wasmbed_protocol::{ModuleDigest, PublicKey, SignError, SigningKey};

use crate::build::Module;

/// The platform of a WebAssembly module: any device.
const PLATFORM: &str = "wasm32";
/// What one published message may hold at most, in bytes.
const MESSAGE_BYTES: u32 = 1024;

/// A Release and the bytes that devices verify.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) digest: Digest,
    pub(crate) module: Module,
    /// Whose signature it is.
    pub(crate) signer: PublicKey,
    cose: Vec<u8>,
    content: Release,
}

impl Signed {
    /// Signs what `spec` says of `module`.
    ///
    /// # Errors
    /// When it is too long for devices.
    pub(crate) fn new(
        fleet: &str,
        application: &str,
        spec: &ApplicationSpec,
        module: Module,
        key: &SigningKey,
    ) -> Result<Self, SignError> {
        let content = content(fleet, application, spec, module);
        let cose = content.sign(key)?;
        let digest = Digest::from_bytes(content.digest()?.0);
        Ok(Self { digest, module, signer: key.public(), cose, content })
    }

    /// The signed bytes.
    #[cfg(test)]
    pub(crate) fn cose(&self) -> &[u8] {
        &self.cose
    }

    /// The Release object; `revision` is the one that first made it.
    pub(crate) fn manifest(&self, namespace: &str, revision: &str) -> Value {
        let Release { fleet, application, config, limits, capabilities, restart, .. } = &self.content;
        json!({
            "apiVersion": "wasmbed.github.io/v1alpha1",
            "kind": "Release",
            "metadata": {
                "name": self.digest.to_string(),
                "namespace": namespace,
                "labels": { labels::FLEET: fleet, labels::APPLICATION: application },
            },
            "spec": {
                "fleet": fleet,
                "application": application,
                "revision": revision,
                "artifacts": [{
                    "platform": PLATFORM,
                    "format": "wasm",
                    "digest": self.module.digest,
                    "size": self.module.size,
                }],
                "config": { "env": config.env, "args": config.args },
                "limits": {
                    "memoryBytes": limits.memory,
                    "cpuMillis": limits.cpu_ms_per_s,
                    "logBytesPerSecond": limits.io.log_bytes_per_s,
                    "messagesPerSecond": limits.io.publish_per_s,
                },
                "capabilities": {
                    "publish": capabilities.publish,
                    "gpio": capabilities.gpio,
                    "adc": capabilities.adc,
                    "network": capabilities.network,
                },
                "restart": { "automatic": restart.auto, "max": restart.max },
                "cose": ByteString(self.cose.clone()),
            },
        })
    }
}

/// The immutable ConfigMap of a module.
pub(crate) fn module_manifest(namespace: &str, fleet: &str, module: &Digest, bytes: Vec<u8>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": labels::module_config_map(module),
            "namespace": namespace,
            "labels": { labels::FLEET: fleet },
        },
        "immutable": true,
        "binaryData": { labels::MODULE_ENTRY: ByteString(bytes) },
    })
}

fn content(fleet: &str, application: &str, spec: &ApplicationSpec, module: Module) -> Release {
    let config = spec.config.clone().unwrap_or_default();
    let limits = config.limits();
    let restart = config.restart_policy();
    let capabilities = spec.capabilities.clone().unwrap_or_default();
    let texts = |pins: &[wasmbed_api::PinName]| pins.iter().map(ToString::to_string).collect();
    Release {
        fleet: fleet.to_owned(),
        application: application.to_owned(),
        artifacts: vec![Artifact {
            platform: PLATFORM.to_owned(),
            format: Format::Wasm,
            digest: ModuleDigest(*module.digest.as_bytes()),
            size: module.size,
        }],
        config: Configuration { env: config.env_vars, args: config.args },
        limits: Limits {
            memory: clamp(config.memory_limit.map_or(module.memory, |_| limits.memory_bytes)),
            cpu_ms_per_s: u32::from(limits.cpu_millis),
            io: IoLimits {
                log_bytes_per_s: clamp(limits.log_bytes_per_second),
                publish_per_s: limits.messages_per_second,
                publish_bytes_per_s: limits.messages_per_second.saturating_mul(MESSAGE_BYTES),
            },
        },
        capabilities: Capabilities {
            publish: capabilities.publish.iter().map(ToString::to_string).collect(),
            gpio: texts(&capabilities.gpio),
            adc: texts(&capabilities.adc),
            network: capabilities.network.iter().map(ToString::to_string).collect(),
        },
        restart: RestartPolicy { auto: restart.automatic, max: restart.max },
    }
}

fn clamp(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use wasmbed_protocol::KeySet;

    use super::*;

    fn spec(text: &str) -> ApplicationSpec {
        serde_yaml::from_str(text).expect("a spec")
    }

    fn module() -> Module {
        Module { digest: Digest::of(b"module"), size: 6, memory: 20 << 10 }
    }

    fn signed(spec: &ApplicationSpec) -> Signed {
        Signed::new("fleet", "app", spec, module(), &SigningKey::from_seed(&[7; 32])).expect("signed")
    }

    #[test]
    fn the_same_content_is_the_same_release_and_who_targets_it_is_no_content() {
        let one = signed(&spec("{source: {path: a}, targetDevices: [d1], config: {args: [x]}}"));
        let same = signed(&spec("{source: {path: b}, targetDevices: [d2], suspend: true, config: {args: [x]}}"));
        let other = signed(&spec("{source: {path: a}, targetDevices: [d1], config: {args: [y]}}"));
        assert_eq!(one.digest, same.digest);
        assert_ne!(one.digest, other.digest);
        assert_eq!(one.cose(), same.cose());
    }

    #[test]
    fn a_device_believes_the_release_by_its_name() {
        let key = SigningKey::from_seed(&[7; 32]);
        let keyset = KeySet {
            epoch: 1,
            fleet: "fleet".to_owned(),
            release: vec![key.public()],
            assignment: vec![],
            gateway_ca: key.public(),
        };
        let signed = signed(&spec("{capabilities: {publish: [a/*], gpio: [led0]}, config: {memoryLimit: 64Ki}}"));
        let (name, release) = wasmbed_protocol::Release::verify(signed.cose(), &keyset).expect("believed");
        assert_eq!(name.0, *signed.digest.as_bytes());
        assert_eq!(release.limits.memory, 65_536);
        assert_eq!(release.capabilities.gpio, ["led0"]);
    }

    #[test]
    fn another_signature_is_the_same_release() {
        let spec = spec("{config: {args: [x]}}");
        let old = signed(&spec);
        let new = Signed::new("fleet", "app", &spec, module(), &SigningKey::from_seed(&[8; 32])).expect("signed");
        assert_eq!(old.digest, new.digest);
        assert_ne!(old.cose(), new.cose());
        assert_eq!(new.signer, SigningKey::from_seed(&[8; 32]).public());
    }

    #[test]
    fn what_is_too_long_for_a_device_is_refused() {
        let long = spec(&format!("{{config: {{args: [{}]}}}}", "x".repeat(4_000)));
        assert!(Signed::new("fleet", "app", &long, module(), &SigningKey::from_seed(&[7; 32])).is_err());
    }

    #[test]
    fn the_object_is_read_back_as_the_kind_it_is() {
        let manifest = signed(&spec("{config: {envVars: {a: b}}}")).manifest("ns", "abc");
        let release: wasmbed_api::Release = serde_json::from_value(manifest).expect("a Release");
        assert_eq!(release.spec.revision.as_deref(), Some("abc"));
        assert_eq!(release.spec.artifacts[0].digest, module().digest);
    }
}
