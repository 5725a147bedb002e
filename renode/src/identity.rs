//! The identity of an emulated device: made once, kept in a Secret.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use rand::TryRngCore;
use rand::rngs::OsRng;
use wasmbed_protocol::SigningKey;
use zeroize::Zeroizing;

use crate::EmulatorError;

/// The entry of the Secret that holds the 32-byte Ed25519 seed.
const SEED: &str = "seed";

/// The key of the device `name`, made if its Secret is not there.
pub(crate) async fn identity(secrets: &Api<Secret>, name: &str) -> Result<SigningKey, EmulatorError> {
    let secret_name = format!("device-{name}");
    if let Some(secret) = secrets.get_opt(&secret_name).await? {
        return key(&secret_name, &secret);
    }
    let mut seed = Zeroizing::new([0; 32]);
    OsRng.try_fill_bytes(seed.as_mut()).map_err(|error| EmulatorError::Entropy(error.to_string()))?;
    let secret = Secret {
        metadata: ObjectMeta { name: Some(secret_name.clone()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([(SEED.to_owned(), ByteString(seed.to_vec()))])),
        ..Secret::default()
    };
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(secret) => key(&secret_name, &secret),
        // Another emulator was faster; its key is the device's.
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            key(&secret_name, &secrets.get(&secret_name).await?)
        }
        Err(error) => Err(error.into()),
    }
}

fn key(name: &str, secret: &Secret) -> Result<SigningKey, EmulatorError> {
    let seed = secret.data.as_ref().and_then(|data| data.get(SEED)).map(|seed| seed.0.as_slice());
    match seed.map(<&[u8; 32]>::try_from) {
        Some(Ok(seed)) => Ok(SigningKey::from_seed(seed)),
        _ => Err(EmulatorError::Identity { secret: name.to_owned() }),
    }
}
