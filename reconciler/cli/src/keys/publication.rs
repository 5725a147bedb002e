//! What a cluster needs of a fleet's keys: compared with what is there, and written in an order that can be cut short anywhere.
//!
//! The KeySet comes first: until a device and its gateway know it, nothing counts that a key signs which it brings; and what
//! a rotated key signed before still counts. Then the gateways' credentials, so that they can introduce themselves by it, then the release
//! key, because signing everything again takes longest, then the assignment key.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Resource};
use wasmbed_api::labels::{KEYSET, KEYSET_ENTRY};
use wasmbed_keys::{
    CREDENTIAL_ENTRY, SEED_ENTRY, TENANT_LABEL, TLS_SEED_ENTRY, assignment_secret, gateway_secret, release_secret,
};
use wasmbed_protocol::{Credential, KeySet, PublicKey, Refusal, SigningKey};

/// The field manager of what is written.
const MANAGER: &str = "wasmbed-keys";

/// A fleet's keys, as far as a cluster gets them, and where they belong.
pub(super) struct Publication {
    /// The fleet's namespace.
    pub namespace: String,
    /// The namespace of the processes.
    pub system_namespace: String,
    /// Who signs KeySets.
    pub root: PublicKey,
    /// What the KeySet says.
    pub set: KeySet,
    /// The signed KeySet.
    pub signed_set: Vec<u8>,
    /// Signs Releases.
    pub release: SigningKey,
    /// Signs Assignments.
    pub assignment: SigningKey,
    /// Signs credentials; stays here.
    pub gateway_ca: SigningKey,
    /// The TLS keys of gateways by their names.
    pub gateways: BTreeMap<String, SigningKey>,
}

/// An object that is written or was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// ConfigMap or Secret.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// One object to write.
pub(super) struct Write {
    /// Which.
    pub what: Written,
    object: Object,
    is_new: bool,
}

enum Object {
    ConfigMap(ConfigMap),
    Secret(Secret),
}

/// What is to be written, in order, and what is there already.
#[derive(Default)]
pub(super) struct Plan {
    /// To write.
    pub writes: Vec<Write>,
    /// As it should be.
    pub unchanged: Vec<Written>,
}

type Data = BTreeMap<String, ByteString>;

impl Publication {
    /// Compares with what the cluster has. Writes nothing.
    ///
    /// # Errors
    /// When something is there that is not this fleet's to replace, or the cluster cannot be read.
    pub(super) async fn plan(&self, client: &Client) -> Result<Plan> {
        let mut plan = Plan::default();
        let maps = Api::<ConfigMap>::namespaced(client.clone(), &self.namespace);
        let what = Written::config_map(&self.namespace, KEYSET);
        let stored = maps.get_opt(KEYSET).await.with_context(|| format!("cannot read {what}"))?;
        let map = self.key_set(stored.as_ref())?;
        plan.add(what, stored.is_none(), stored != Some(map.clone()), Object::ConfigMap(map));

        let secrets = Api::<Secret>::namespaced(client.clone(), &self.system_namespace);
        for (name, data) in self.secrets()? {
            let what = Written::secret(&self.system_namespace, &name);
            let stored = secrets.get_opt(&name).await.with_context(|| format!("cannot read {what}"))?;
            let secret = self.secret(&what, stored.as_ref(), data)?;
            plan.add(what, stored.is_none(), stored != Some(secret.clone()), Object::Secret(secret));
        }
        Ok(plan)
    }

    fn key_set(&self, stored: Option<&ConfigMap>) -> Result<ConfigMap> {
        let held = stored.and_then(|map| map.binary_data.as_ref()?.get(KEYSET_ENTRY));
        if let Some(held) = held.filter(|held| held.0 != self.signed_set) {
            self.may_follow(&held.0).with_context(|| Written::config_map(&self.namespace, KEYSET).to_string())?;
        }
        let mut map = stored.cloned().unwrap_or_default();
        self.mark(&mut map.metadata, &self.namespace, KEYSET);
        map.binary_data = Some([(KEYSET_ENTRY.to_owned(), ByteString(self.signed_set.clone()))].into());
        Ok(map)
    }

    /// Whether devices that believe the KeySet `there` will take ours.
    fn may_follow(&self, there: &[u8]) -> Result<()> {
        match KeySet::verify(there, &self.root, &self.set.fleet, 0) {
            Ok(there) if there.epoch > self.set.epoch => bail!(
                "there is a KeySet of epoch {}, and this state folder has only {}: somebody replaced keys with another copy of \
                 it; publish from that one",
                there.epoch,
                self.set.epoch
            ),
            Ok(there) if there.epoch == self.set.epoch => bail!(
                "there is another KeySet of the same epoch {}: somebody replaced keys with another copy of this state folder; \
                 publish from that one, or rotate a key here so that this one is newer",
                there.epoch
            ),
            Ok(_) => Ok(()),
            Err(Refusal::OtherFleet { found, expected }) => bail!(
                "there is a KeySet of the fleet {found}, and this is {expected}: give the namespace of {expected}, or \
                 `--fleet {found}` and its state folder"
            ),
            Err(Refusal::Signature(_)) => bail!(
                "there is a KeySet that another root key signed, and devices here believe no other: give the state folder \
                 with that key by --state; or, to begin anew, delete this ConfigMap and provision every device again"
            ),
            // Bytes that are no KeySet are nobody's.
            Err(_) => Ok(()),
        }
    }

    /// The Secrets' data by their names, in the order they are written in.
    fn secrets(&self) -> Result<Vec<(String, Data)>> {
        let mut secrets = Vec::new();
        for (gateway, key) in &self.gateways {
            let credential =
                Credential { fleet: self.set.fleet.clone(), gateway: gateway.clone(), tls_key: key.public() };
            let data = [(TLS_SEED_ENTRY, key.seed().to_vec()), (CREDENTIAL_ENTRY, credential.sign(&self.gateway_ca)?)];
            secrets.push((gateway_secret(&self.namespace, gateway), entries(data)));
        }
        let seed = |key: &SigningKey| entries([(SEED_ENTRY, key.seed().to_vec())]);
        secrets.push((release_secret(&self.namespace), seed(&self.release)));
        secrets.push((assignment_secret(&self.namespace), seed(&self.assignment)));
        Ok(secrets)
    }

    fn secret(&self, what: &Written, stored: Option<&Secret>, data: Data) -> Result<Secret> {
        if let Some(stored) = stored {
            match stored.metadata.labels.as_ref().and_then(|labels| labels.get(TENANT_LABEL)) {
                Some(tenant) if *tenant == self.namespace => {}
                Some(tenant) => bail!(
                    "{what} belongs to the fleet in the namespace {tenant}: name the namespace or the gateway otherwise, so that \
                     the two differ"
                ),
                None if stored.data.as_ref() == Some(&data) => {}
                None => bail!(
                    "{what} was not written by `wasmbed keys` (it has no label {TENANT_LABEL}) and holds something else; delete \
                     it if nobody needs it, and run this again"
                ),
            }
        }
        let mut secret = stored.cloned().unwrap_or_default();
        self.mark(&mut secret.metadata, &what.namespace, &what.name);
        secret.data = Some(data);
        Ok(secret)
    }

    fn mark(&self, metadata: &mut ObjectMeta, namespace: &str, name: &str) {
        metadata.namespace = Some(namespace.to_owned());
        metadata.name = Some(name.to_owned());
        metadata.labels.get_or_insert_default().insert(TENANT_LABEL.to_owned(), self.namespace.clone());
    }
}

impl Plan {
    fn add(&mut self, what: Written, is_new: bool, differs: bool, object: Object) {
        if differs {
            self.writes.push(Write { what, object, is_new });
        } else {
            self.unchanged.push(what);
        }
    }
}

impl Write {
    /// Writes it, unless somebody else did since it was read.
    ///
    /// # Errors
    /// When the cluster refuses it, or it is another than the one that was read.
    pub(super) async fn apply(&self, client: &Client) -> Result<()> {
        let Written { namespace, name, .. } = &self.what;
        match &self.object {
            Object::ConfigMap(map) => self.put(Api::namespaced(client.clone(), namespace), name, map).await,
            Object::Secret(secret) => self.put(Api::namespaced(client.clone(), namespace), name, secret).await,
        }
    }

    async fn put<K>(&self, api: Api<K>, name: &str, object: &K) -> Result<()>
    where
        K: Resource + Clone + fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
    {
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let put = match self.is_new {
            true => api.create(&parameters, object).await,
            // With the resourceVersion that was read.
            false => api.replace(name, &parameters, object).await,
        };
        let hint = match &put {
            Err(kube::Error::Api(status)) if status.code == 409 => ": somebody wrote it just now; run this again",
            Err(kube::Error::Api(status)) if status.code == 404 => ": is its namespace there? `helm install` makes it",
            Err(kube::Error::Api(status)) if status.code == 403 => {
                ": these credentials may not; use an administrator's"
            }
            _ => "",
        };
        put.with_context(|| format!("cannot write {}{hint}", self.what)).map(drop)
    }
}

impl Written {
    fn config_map(namespace: &str, name: &str) -> Self {
        Self { kind: "ConfigMap", namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn secret(namespace: &str, name: &str) -> Self {
        Self { kind: "Secret", namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

fn entries<const N: usize>(entries: [(&str, Vec<u8>); N]) -> Data {
    entries.into_iter().map(|(entry, bytes)| (entry.to_owned(), ByteString(bytes))).collect()
}
