//! One gateway for each Gateway declared, all in this process.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt};
use wasmbed_api::{Endpoint, Gateway};
use wasmbed_health::Health;
use wasmbed_keys::{CREDENTIAL_ENTRY, TLS_SEED_ENTRY};
use wasmbed_protocol::{Credential, PublicKey, SigningKey};
use wasmbed_registry::Registry;
use wasmbed_streams::live::LiveHub;

use super::shutdown::{Shutdown, Trigger, shutdown};

/// A gateway that cannot serve is started again after this.
const AGAIN: Duration = Duration::from_secs(2);

/// What all gateways of this process share.
#[derive(Clone)]
pub(super) struct Gateways {
    /// The API.
    pub client: Client,
    /// The fleet's namespace.
    pub namespace: String,
    /// Name of the Fleet.
    pub fleet: String,
    /// Signs their credentials.
    pub ca: SigningKey,
    /// Where the signer is.
    pub signer_socket: PathBuf,
    /// Where they fetch large modules.
    pub registry: Option<Registry>,
    /// Where they publish what devices say.
    pub live: LiveHub,
}

struct Running {
    declared: SocketAddr,
    trigger: Trigger,
    task: tokio::task::JoinHandle<()>,
}

impl Gateways {
    /// Serves every Gateway declared until told to end.
    pub(super) async fn run(self, told: Shutdown) {
        let api = Api::<Gateway>::namespaced(self.client.clone(), &self.namespace);
        let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff());
        let mut running: BTreeMap<String, Running> = BTreeMap::new();
        let mut listed: Vec<String> = Vec::new();
        let mut ended = pin!(told.told());
        loop {
            let event = tokio::select! {
                Some(event) = events.next() => event,
                () = &mut ended => break,
            };
            match event {
                Ok(watcher::Event::Apply(gateway)) => self.serve(&mut running, &gateway).await,
                Ok(watcher::Event::Delete(gateway)) => end(&mut running, &gateway.name_any()).await,
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(gateway)) => {
                    listed.push(gateway.name_any());
                    self.serve(&mut running, &gateway).await;
                }
                Ok(watcher::Event::InitDone) => {
                    let gone: Vec<_> = running.keys().filter(|name| !listed.contains(name)).cloned().collect();
                    for name in gone {
                        end(&mut running, &name).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "the API cannot be watched; trying again"),
            }
        }
        for name in running.keys().cloned().collect::<Vec<_>>() {
            end(&mut running, &name).await;
        }
    }

    async fn serve(&self, running: &mut BTreeMap<String, Running>, gateway: &Gateway) {
        let name = gateway.name_any();
        let declared = listen_address(gateway.spec.endpoint.as_ref());
        if running.get(&name).is_some_and(|gateway| gateway.declared == declared) {
            return;
        }
        end(running, &name).await;
        // Gateways of a cluster may all have the same port behind other names; here the second takes a free one.
        let taken = running.values().any(|gateway| gateway.declared == declared);
        let listen = if taken { SocketAddr::new(declared.ip(), 0) } else { declared };
        let (trigger, told) = shutdown();
        let task = tokio::spawn(self.clone().keep_serving(name.clone(), listen, told));
        running.insert(name, Running { declared, trigger, task });
    }

    async fn keep_serving(self, name: String, listen: SocketAddr, told: Shutdown) {
        loop {
            let served = async {
                self.identity(&name).await?;
                let options = wasmbed_gateway::Options {
                    client: self.client.clone(),
                    namespace: self.namespace.clone(),
                    name: name.clone(),
                    identity_namespace: self.namespace.clone(),
                    identity_secret: secret_name(&name),
                    listen,
                    signer: self.signer_socket.clone().into(),
                    registry: self.registry.clone(),
                    // There is no other gateway for the devices to go to.
                    drain: Duration::ZERO,
                    health: Health::default(),
                    live: self.live.clone(),
                    replica: None,
                    advertise: None,
                    limits: wasmbed_gateway::Limits::default(),
                };
                wasmbed_gateway::run(options, told.told()).await.map_err(anyhow::Error::from)
            };
            match served.await {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(gateway = name, error = format!("{error:#}"), again_in = ?AGAIN, "a gateway cannot serve");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = told.told() => return,
            }
        }
    }

    /// Makes the gateway's TLS key and credential where they are missing, or signed by a CA key that is no more.
    async fn identity(&self, name: &str) -> Result<()> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let secret_name = secret_name(name);
        let stored = secrets.get_opt(&secret_name).await.context("cannot read the gateway's Secret")?;
        let seed = stored.as_ref().and_then(|secret| <[u8; 32]>::try_from(entry(secret, TLS_SEED_ENTRY)?).ok());
        let seed = match seed {
            Some(seed) => zeroize::Zeroizing::new(seed),
            None => crate::key_files::seed()?,
        };
        let key = SigningKey::from_seed(&seed);
        if stored.as_ref().is_some_and(|secret| self.is_valid(secret, name, &key.public())) {
            return Ok(());
        }
        let credential =
            Credential { fleet: self.fleet.clone(), gateway: name.to_owned(), tls_key: key.public() }.sign(&self.ca)?;
        let data = [
            (TLS_SEED_ENTRY.to_owned(), ByteString(seed.to_vec())),
            (CREDENTIAL_ENTRY.to_owned(), ByteString(credential)),
        ];
        let mut secret = Secret { data: Some(data.into()), ..Secret::default() };
        secret.metadata = ObjectMeta { name: Some(secret_name.clone()), ..ObjectMeta::default() };
        let parameters = PostParams::default();
        match stored {
            None => secrets.create(&parameters, &secret).await,
            Some(stored) => {
                secret.metadata.resource_version = stored.metadata.resource_version;
                secrets.replace(&secret_name, &parameters, &secret).await
            }
        }
        .context("cannot write the gateway's Secret")?;
        Ok(())
    }

    fn is_valid(&self, secret: &Secret, name: &str, tls_key: &PublicKey) -> bool {
        let set = wasmbed_protocol::KeySet {
            epoch: 0,
            fleet: self.fleet.clone(),
            release: vec![],
            assignment: vec![],
            gateway_ca: self.ca.public(),
        };
        let credential = entry(secret, CREDENTIAL_ENTRY).map(|bytes| Credential::verify(bytes, &set, tls_key));
        matches!(credential, Some(Ok(credential)) if credential.gateway == name)
    }
}

/// On one machine the Secret with a gateway's identity lies beside the Gateway.
fn secret_name(gateway: &str) -> String {
    format!("gateway-{gateway}")
}

fn entry<'s>(secret: &'s Secret, name: &str) -> Option<&'s [u8]> {
    secret.data.as_ref()?.get(name).map(|bytes| bytes.0.as_slice())
}

async fn end(running: &mut BTreeMap<String, Running>, name: &str) {
    if let Some(gateway) = running.remove(name) {
        gateway.trigger.pull();
        if let Err(error) = gateway.task.await {
            tracing::error!(gateway = name, %error, "a gateway's task failed");
        }
    }
}

/// Where to listen on this machine for a declared endpoint: at its address if that is one of a network (also
/// `0.0.0.0`), else, as for the name of a Service in a cluster, on loopback at its port.
fn listen_address(endpoint: Option<&Endpoint>) -> SocketAddr {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let Some(endpoint) = endpoint else { return SocketAddr::new(loopback, 0) };
    SocketAddr::new(endpoint.host.parse().unwrap_or(loopback), endpoint.port.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_listened_at_and_a_name_means_loopback() {
        let listen = |text: &str| listen_address(Some(&text.parse().expect("an endpoint"))).to_string();
        assert_eq!(listen("127.0.0.1:7443"), "127.0.0.1:7443");
        assert_eq!(listen("0.0.0.0:7443"), "0.0.0.0:7443");
        assert_eq!(listen("gateway-1-service.wasmbed.svc.cluster.local:8080"), "127.0.0.1:8080");
        assert_eq!(listen("gateway-1"), "127.0.0.1:0");
        assert_eq!(listen_address(None).to_string(), "127.0.0.1:0");
    }
}
