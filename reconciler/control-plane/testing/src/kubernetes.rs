//! etcd, kube-apiserver and kube-controller-manager, as one.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt as _};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::credentials::{ADMIN_TOKEN, kubeconfig, write};
use crate::keeper::Keeper;
use crate::process::{PATIENCE, Process};
use crate::{Programs, StartError};

/// How often a start is tried again when another process took its port.
const TRIES: usize = 5;

/// What a Kubernetes API is started with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The kinds it serves, established when the start is done.
    pub crds: Vec<CustomResourceDefinition>,
    /// Whether etcd answers a write only when it is on the disk, as it does on a cluster. Tests need not wait for that.
    pub durable: bool,
    /// Whether every request is noted in [`Kubernetes::audit_log`].
    pub audit: bool,
    /// How long it remembers what was, in whole seconds: up to twice that; five minutes, as it does on a cluster, if none.
    pub compaction: Option<Duration>,
    /// The folder in which it makes its own; the system's for temporary files if none. It says on which disk etcd writes.
    pub within: Option<PathBuf>,
}

/// A Kubernetes API that runs until this is dropped, or this process ends.
#[derive(Debug)]
pub struct Kubernetes {
    // Ended in this order.
    processes: Vec<Process>,
    _keeper: Keeper,
    folder: TempDir,
    programs: Programs,
    server: String,
    ca: String,
}

impl Kubernetes {
    /// Starts one for a test. `None` if a person set [`LEFT_OUT`](crate::LEFT_OUT), said on standard error.
    ///
    /// # Panics
    /// If it cannot be started: the message says what to do.
    pub async fn for_test(options: Options) -> Option<Self> {
        match Self::start(options).await {
            Ok(kubernetes) => Some(kubernetes),
            Err(why @ StartError::LeftOut) => {
                // Not by `eprintln!`: what that says in a test that passes, nobody sees.
                let _ = std::io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes());
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts one, and waits until it is ready.
    ///
    /// # Errors
    /// When the programs are not built, or one of them does not get ready.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let programs = Programs::find()?;
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(&programs, &options).await {
                Err(error) if error.is_port_taken() && tries < TRIES => {}
                outcome => return outcome,
            }
        }
    }

    async fn try_start(programs: &Programs, options: &Options) -> Result<Self, StartError> {
        let failed =
            |source| StartError::System { what: "a folder for a Kubernetes API cannot be made".into(), source };
        let within = options.within.clone().unwrap_or_else(std::env::temp_dir);
        let folder = TempDir::with_prefix_in("wasmbed-kubernetes-", within).map_err(failed)?;
        let at = folder.path().to_owned();
        let mut keeper = Keeper::start(&at).map_err(failed)?;
        let ca = write(&at).map_err(failed)?;
        let [client, peer, port] = free_ports().map_err(failed)?;

        let arguments = etcd(&at, client, peer, options.durable);
        let mut etcd = Process::start("etcd", &programs.path("etcd"), &arguments, &at, &mut keeper)?;
        etcd.ready(async || TcpStream::connect((Ipv4Addr::LOCALHOST, client)).await.is_ok()).await?;

        let arguments = api_server(&at, client, port, options).map_err(failed)?;
        let api_server =
            Process::start("kube-apiserver", &programs.path("kube-apiserver"), &arguments, &at, &mut keeper)?;
        let server = format!("https://127.0.0.1:{port}");
        let processes = vec![api_server, etcd];
        let mut this = Self { processes, _keeper: keeper, folder, programs: programs.clone(), server, ca };
        let admin = this.client("default").await;
        let is_ready = async || {
            let request = http::Request::get("/readyz").body(Vec::new()).expect("a request");
            admin.request_text(request).await.is_ok_and(|text| text == "ok")
        };
        this.processes[0].ready(is_ready).await?;
        this.define(&admin, &options.crds).await?;

        // Last: of kinds that are defined later it knows only half a minute later.
        std::fs::write(at.join("controllers.kubeconfig"), this.kubeconfig("default")).map_err(failed)?;
        let arguments = controllers(&at);
        let path = programs.path("kube-controller-manager");
        let controllers = Process::start("kube-controller-manager", &path, &arguments, &at, &mut this._keeper)?;
        this.processes.insert(0, controllers);
        Ok(this)
    }

    async fn define(&mut self, admin: &Client, crds: &[CustomResourceDefinition]) -> Result<(), StartError> {
        let api: Api<CustomResourceDefinition> = Api::all(admin.clone());
        for crd in crds {
            let refused = |source| StartError::Refused {
                what: format!("the definition {} is not taken", crd.name_any()),
                source: Box::new(source),
            };
            api.create(&PostParams::default(), crd).await.map_err(refused)?;
        }
        for crd in crds {
            let name = crd.name_any();
            let failed = |source| StartError::System { what: format!("{name} is not established"), source };
            let established = await_condition(api.clone(), &name, is_crd_established());
            let waited = tokio::time::timeout(PATIENCE, established).await;
            waited.map_err(|late| failed(late.into()))?.map_err(|error| failed(std::io::Error::other(error)))?;
            // Established is not served yet: its first lists and watches are told to come again.
            let Some(version) = crd.spec.versions.iter().find(|version| version.served) else { continue };
            let path = format!("/apis/{}/{}/{}", crd.spec.group, version.name, crd.spec.names.plural);
            let is_served = async || {
                let list = http::Request::get(format!("{path}?resourceVersion=0&limit=1")).body(Vec::new());
                admin.request_text(list.expect("a request")).await.is_ok()
            };
            self.processes[0].ready(is_served).await?;
        }
        Ok(())
    }

    /// The administrator's client, for the runtime it is called in.
    ///
    /// # Panics
    /// Never but by a bug: what it reads, this wrote.
    pub async fn client(&self, namespace: &str) -> Client {
        self.client_of(ADMIN_TOKEN, namespace).await
    }

    /// The client of who has a token.
    ///
    /// # Panics
    /// Never but by a bug: what it reads, this wrote.
    pub async fn client_of(&self, token: &str, namespace: &str) -> Client {
        Client::try_from(self.config_of(token, namespace).await).expect("a client")
    }

    /// What the administrator's client is made with.
    ///
    /// # Panics
    /// Never but by a bug: what it reads, this wrote.
    pub async fn config(&self, namespace: &str) -> kube::Config {
        self.config_of(ADMIN_TOKEN, namespace).await
    }

    async fn config_of(&self, token: &str, namespace: &str) -> kube::Config {
        let config: Kubeconfig = serde_yaml::from_str(&self.kubeconfig_of(token, namespace)).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        kube::Config::from_custom_kubeconfig(config, &options).await.expect("a whole kubeconfig")
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self, namespace: &str) -> String {
        self.kubeconfig_of(ADMIN_TOKEN, namespace)
    }

    /// The kubeconfig of who has a token.
    #[must_use]
    pub fn kubeconfig_of(&self, token: &str, namespace: &str) -> String {
        kubeconfig(&self.server, &self.ca, token, namespace)
    }

    /// A token of a ServiceAccount, as a pod gets it; makes the account if it is missing. What it may do, RBAC says.
    ///
    /// # Panics
    /// If the API refuses it.
    pub async fn service_account_token(&self, namespace: &str, name: &str) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(namespace).await, namespace);
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let account = ServiceAccount { metadata, ..ServiceAccount::default() };
        match accounts.create(&PostParams::default(), &account).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => panic!("no ServiceAccount {namespace}/{name}: {error}"),
        }
        let request = TokenRequest { spec: Some(TokenRequestSpec::default()), ..TokenRequest::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let answer = answer.unwrap_or_else(|error| panic!("no token for {namespace}/{name}: {error}"));
        let token = answer.status.and_then(|status| status.token);
        token.unwrap_or_else(|| panic!("an empty token for {namespace}/{name}"))
    }

    /// The programs: for `kubectl` and `helm`.
    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Where its API is.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The requests so far, a JSON object of `audit.k8s.io/v1` a line, if it was started with `audit`.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// The ids of its processes.
    #[must_use]
    pub fn ids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::id).collect()
    }
}

fn flags(pairs: &[(&str, String)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}

fn etcd(folder: &Path, client: u16, peer: u16, durable: bool) -> Vec<String> {
    let client = format!("http://127.0.0.1:{client}");
    let peer = format!("http://127.0.0.1:{peer}");
    flags(&[
        ("name", "test".into()),
        ("data-dir", folder.join("etcd").display().to_string()),
        ("listen-client-urls", client.clone()),
        ("advertise-client-urls", client),
        ("listen-peer-urls", peer.clone()),
        ("initial-advertise-peer-urls", peer.clone()),
        ("initial-cluster", format!("test={peer}")),
        ("unsafe-no-fsync", (!durable).to_string()),
        ("log-level", "warn".into()),
    ])
}

fn api_server(folder: &Path, etcd: u16, port: u16, options: &Options) -> std::io::Result<Vec<String>> {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut arguments = flags(&[
        ("etcd-servers", format!("http://127.0.0.1:{etcd}")),
        ("bind-address", "127.0.0.1".into()),
        ("secure-port", port.to_string()),
        ("cert-dir", file("apiserver")),
        ("tls-cert-file", file("server.crt")),
        ("tls-private-key-file", file("server.key")),
        ("service-account-key-file", file("service-accounts.pub")),
        ("service-account-signing-key-file", file("service-accounts.key")),
        ("service-account-issuer", "https://localhost".into()),
        ("token-auth-file", file("tokens.csv")),
        ("authorization-mode", "RBAC".into()),
        ("service-cluster-ip-range", "10.0.0.0/24".into()),
        // No pod here reaches the API by the Service `kubernetes`.
        ("endpoint-reconciler-type", "none".into()),
    ]);
    if let Some(interval) = options.compaction {
        arguments.push(format!("--etcd-compaction-interval={}s", interval.as_secs()));
    }
    if options.audit {
        let policy =
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n";
        std::fs::write(folder.join("audit.yaml"), policy)?;
        arguments.extend(flags(&[
            ("audit-policy-file", file("audit.yaml")),
            ("audit-log-path", file("audit.log")),
            // A request is noted before it is answered.
            ("audit-log-mode", "blocking".into()),
        ]));
    }
    Ok(arguments)
}

/// What a test can see of the controllers: namespaces that go, owners that go, and a ServiceAccount in each namespace.
fn controllers(folder: &Path) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    flags(&[
        ("kubeconfig", file("controllers.kubeconfig")),
        ("controllers", "namespace-controller,garbage-collector-controller,serviceaccount-controller".into()),
        ("leader-elect", "false".into()),
        ("secure-port", "0".into()),
        ("kube-api-qps", "1000".into()),
        ("kube-api-burst", "1000".into()),
    ])
}

/// Ports that were free a moment ago, each another one.
fn free_ports<const N: usize>() -> std::io::Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    for _ in 0..N {
        listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    }
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
