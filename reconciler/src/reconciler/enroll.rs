//! Commits the keys of devices that proved their one-time code, where the fleet lets the reconciler write.
//!
//! A gateway is not believed: the proof is verified here, against the code that the repository declares.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use wasmbed_api::declarations::set_public_key;
use wasmbed_api::{FleetSpec, Name, PendingKey, PublicKey};

use super::{Accepted, Reconciler};
use crate::declarations::Declarations;
use crate::plan::{Kind, ObjectId};
use crate::proof::proves_code;
use crate::source::{Credentials, Remote, SourceError, local_path};

impl Reconciler {
    /// Commits what can be committed on the head; once for one head and the same keys.
    pub(super) async fn enroll(&mut self, spec: &FleetSpec, accepted: &Accepted) {
        let Some(secret) = &spec.write_secret_ref else { return };
        let head = accepted.revision.id;
        // A commit on a revision that is not the newest would not be taken.
        if self.heard.head != Some(head) || self.heard.error.is_some() {
            return;
        }
        let declarations = Arc::clone(accepted.loaded.declarations());
        let proved = {
            let view = self.cluster.view();
            let pending = view.gateways.values().flat_map(|gateway| &gateway.status.pending);
            proved(pending, &declarations, Timestamp::now())
        };
        let attempt = (head, proved.clone());
        if proved.is_empty() || self.enrolled.as_ref() == Some(&attempt) {
            return;
        }
        self.enrolled = Some(attempt);
        let credentials = match self.fetcher().credentials(secret).await {
            // A repository on this machine needs none; the Secret says that writing is allowed.
            Err(_) if local_path(&spec.url).is_some() => Ok(Credentials::None),
            other => other,
        };
        let committed = match credentials {
            Ok(credentials) => {
                let remote = Remote { url: spec.url.clone(), branch: spec.branch().to_owned(), credentials };
                self.commit_keys(&remote, accepted, &declarations, &proved).await
            }
            Err(error) => Err(error),
        };
        match committed {
            Ok(()) => {
                let devices: Vec<_> = proved.keys().map(Name::as_str).collect();
                tracing::info!(?devices, "committed the keys of paired devices");
                self.ask.notify_one();
            }
            Err(error) => tracing::warn!(
                %error,
                "the keys of paired devices are not committed; `wasmbed enroll` composes the commit"
            ),
        }
    }

    async fn commit_keys(
        &self,
        remote: &Remote,
        accepted: &Accepted,
        declarations: &Declarations,
        keys: &BTreeMap<Name, PublicKey>,
    ) -> Result<(), SourceError> {
        let Some(mirror) = &self.heard.mirror else { return Ok(()) };
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (device, key) in keys {
            let id = ObjectId::new(Kind::Device, device.as_str());
            let Some((path, blob)) = declarations.file_of(&id) else { continue };
            let bytes = match files.get(path) {
                Some(bytes) => bytes.clone(),
                None => mirror.repository().blob(&mirror.repository().local(), blob)?,
            };
            match set_public_key(&bytes, device, key) {
                Ok(edited) => drop(files.insert(path.to_owned(), edited)),
                Err(error) => tracing::warn!(%device, %error, "the declaration cannot be given its key"),
            }
        }
        if files.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = keys.keys().map(Name::as_str).collect();
        let message =
            format!("Enroll {}\n\nEach device proved the one-time code of its declaration.\n", names.join(", "));
        let commit = mirror.commit(accepted.revision.id, &files, &message)?;
        mirror.push(remote, accepted.revision.id, commit).await
    }
}

/// Keys that proved the code of a declared Device which has no key yet. Two keys for one Device prove nothing.
fn proved<'a>(
    pending: impl Iterator<Item = &'a PendingKey>,
    declarations: &Declarations,
    now: Timestamp,
) -> BTreeMap<Name, PublicKey> {
    let mut keys: BTreeMap<Name, Vec<PublicKey>> = BTreeMap::new();
    for one in pending {
        if let Some(device) = proves(one, declarations, now) {
            let of_device = keys.entry(device).or_default();
            if !of_device.contains(&one.public_key) {
                of_device.push(one.public_key);
            }
        }
    }
    keys.into_iter()
        .filter_map(|(device, keys)| match &keys[..] {
            [key] => Some((device, *key)),
            _ => {
                tracing::warn!(%device, "two keys proved one code; neither is taken. Make a new code with `wasmbed enroll --pair`");
                None
            }
        })
        .collect()
}

fn proves(pending: &PendingKey, declarations: &Declarations, now: Timestamp) -> Option<Name> {
    let device = pending.paired_with.as_ref()?;
    let declared = declarations.device(&ObjectId::new(Kind::Device, device.as_str()))?;
    proves_code(pending, device.as_str(), &declared.spec, now).then(|| device.clone())
}
