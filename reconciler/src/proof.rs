//! Whether a key that waits at a gateway proved the one-time code of a declared Device. Pure. Nothing is believed here
//! because a gateway says it: the proof is a signature by the code's own key.

use k8s_openapi::jiff::Timestamp;
use wasmbed_api::{DeviceSpec, PendingKey};
use wasmbed_protocol::PublicKey;
use wasmbed_protocol::pairing::Proof;

/// Whether `pending` proved the code that the Device `name` is declared with: the Device has a code that has not expired
/// at `now` and no key yet, and the proof was made with that code, for this Device and this key.
#[must_use]
pub fn proves_code(pending: &PendingKey, name: &str, declared: &DeviceSpec, now: Timestamp) -> bool {
    let Some(pairing) = declared.pairing.as_ref().filter(|_| declared.public_key.is_none()) else { return false };
    // By the clock here: when the key knocked is only the gateway's word.
    if pairing.until.as_ref().is_some_and(|until| until.0 < now) {
        return false;
    }
    let exporter = pending.exporter.as_ref().and_then(|exporter| exporter.0.as_slice().try_into().ok());
    let proof = pending.proof.as_ref().and_then(|proof| proof.0.as_slice().try_into().ok()).map(Proof);
    let (Some(exporter), Some(proof)) = (exporter, proof) else { return false };
    let code = PublicKey(*pairing.public_key.as_bytes());
    proof.verify(&code, &exporter, name, &PublicKey(*pending.public_key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use wasmbed_api::Pairing;
    use wasmbed_protocol::SigningKey;
    use wasmbed_protocol::pairing::Code;

    use super::*;

    const EXPORTER: [u8; 32] = [5; 32];

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("a moment")
    }

    fn key(number: u8) -> PublicKey {
        SigningKey::from_seed(&[number; 32]).public()
    }

    fn declared(code: &Code, until: i64) -> DeviceSpec {
        let public_key = wasmbed_api::PublicKey::from_bytes(*code.key().public().as_bytes());
        let until = Some(Time(Timestamp::from_second(1_800_000_000 + until).expect("a moment")));
        DeviceSpec { pairing: Some(Pairing { public_key, until }), ..DeviceSpec::default() }
    }

    fn pending(code: &Code, device: &str, proved: PublicKey, shown: PublicKey) -> PendingKey {
        let proof = Proof::new(code, &EXPORTER, device, &proved);
        PendingKey {
            public_key: wasmbed_api::PublicKey::from_bytes(*shown.as_bytes()),
            source: "192.0.2.1".to_owned(),
            board: None,
            device: None,
            since: None,
            paired_with: Some("sensor".parse().expect("a name")),
            exporter: Some(ByteString(EXPORTER.to_vec())),
            proof: Some(ByteString(proof.0.to_vec())),
        }
    }

    #[test]
    fn only_the_right_code_in_time_for_this_device_and_this_key_proves_it() {
        let (right, wrong) = (Code::new([1; 16]), Code::new([2; 16]));
        let spec = declared(&right, 60);
        let good = pending(&right, "sensor", key(1), key(1));
        assert!(proves_code(&good, "sensor", &spec, now()));
        assert!(!proves_code(&pending(&wrong, "sensor", key(1), key(1)), "sensor", &spec, now()), "a guessed code");
        assert!(
            !proves_code(&pending(&right, "other", key(1), key(1)), "sensor", &spec, now()),
            "another device's proof"
        );
        assert!(
            !proves_code(&pending(&right, "sensor", key(1), key(2)), "sensor", &spec, now()),
            "a gateway's own key"
        );
        assert!(!proves_code(&good, "sensor", &declared(&right, -1), now()), "an expired code");
        let unproved = PendingKey { proof: None, ..good.clone() };
        assert!(!proves_code(&unproved, "sensor", &spec, now()), "a gateway's word alone");
        let used = DeviceSpec { public_key: Some(good.public_key), ..spec };
        assert!(!proves_code(&good, "sensor", &used, now()), "a device that has its key");
    }
}
