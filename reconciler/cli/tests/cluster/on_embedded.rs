//! The embedded edition: the same components as processes of their own at the API that Wasmbed brings along, with sockets for streams.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use kube::Client;
use tempfile::TempDir;
use wasmbed_control_plane::{ControlPlane, Options, Served};

use crate::chart::SYSTEM;
use crate::edition::{Component, Edition, GATEWAY, TENANT};
use crate::pod::{HEALTH, Pod, network};
use crate::running::program;
use crate::service::PlayedService;

/// How many signers there are. Every gateway has one that it knows by its socket.
const SIGNERS: u8 = 2;

/// The API, and who starts components at it.
pub struct OnEmbedded {
    admin: Client,
    kubeconfig: PathBuf,
    gateways: PlayedService,
    network: u8,
    started: u8,
    signers: u8,
    _served: Served,
    _control_plane: ControlPlane,
    folder: TempDir,
}

impl OnEmbedded {
    /// Opens an API and serves it over HTTPS.
    pub async fn open() -> Self {
        let folder = tempfile::Builder::new().prefix("wasmbed-embedded-").tempdir().unwrap();
        let options = Options::new(folder.path().join("api"), wasmbed_api::crds()).namespace(TENANT).namespace(SYSTEM);
        let control_plane = ControlPlane::open(options).await.unwrap();
        let served = control_plane.serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        served.write_kubeconfig(&kubeconfig, TENANT).unwrap();
        let network = network();
        Self {
            admin: control_plane.client(TENANT),
            kubeconfig,
            gateways: PlayedService::listen((Ipv4Addr::new(127, 2, network, 1), 7443).into()).await,
            network,
            started: 0,
            signers: 0,
            _served: served,
            _control_plane: control_plane,
            folder,
        }
    }

    /// The state folder of a signer, with the socket that it serves.
    fn signer(&self, number: u8) -> PathBuf {
        self.folder.path().join(format!("signer-{}", number % SIGNERS))
    }

    fn builder_socket(&self) -> PathBuf {
        self.folder.path().join("builder.sock")
    }
}

impl Edition for OnEmbedded {
    fn admin(&self) -> Client {
        self.admin.clone()
    }

    fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn replicas(&self, component: Component) -> usize {
        match component {
            Component::Builder => 1,
            Component::Signer => usize::from(SIGNERS),
            Component::Reconciler => 2,
            Component::Gateway => 3,
        }
    }

    async fn start(&mut self, component: Component) -> Pod {
        self.started += 1;
        let name = format!("{}-{}", format!("{component:?}").to_lowercase(), self.started);
        let address = Ipv4Addr::new(127, 1, self.network, self.started);
        let folder = self.folder.path().join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut command = program();
        let at_the_api = ["--namespace", TENANT, "--system-namespace", SYSTEM, "--kubeconfig"];
        match component {
            Component::Builder => {
                command.args(["builder", "--socket"]).arg(self.builder_socket()).arg("--folder");
                // Compiled libraries are the same for every test.
                command.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("builder"));
            }
            Component::Signer => {
                command.arg("signer").args(at_the_api).arg(&self.kubeconfig).args(["--fleet", TENANT]);
                let state = self.signer(self.signers);
                std::fs::create_dir_all(state.join("run")).unwrap();
                command.arg("--state").arg(state);
                self.signers += 1;
            }
            Component::Reconciler => {
                command.arg("reconcile").args(at_the_api).arg(&self.kubeconfig);
                command.args(["--leader-election", "--replica", &name]).arg("--cache").arg(folder.join("cache"));
                command.arg("--builder").arg(self.builder_socket());
            }
            Component::Gateway => {
                command.arg("gateway").args(at_the_api).arg(&self.kubeconfig);
                command.args(["--name", GATEWAY, "--replica", &name, "--listen", &format!("{address}:7443")]);
                command.args(["--advertise", &self.gateways.address.to_string()]);
                command.arg("--signer").arg(self.signer(self.started).join("run/signer.sock"));
            }
        }
        command.args(["--listen-health", &format!("{address}:{HEALTH}")]);
        let pod = Pod::start(name, address, &folder, &mut command);
        if component == Component::Gateway {
            self.gateways.join((address, 7443).into());
        }
        pod
    }

    fn gateways(&self) -> SocketAddr {
        self.gateways.address
    }

    /// It knows one user, who may do everything: there is nothing to look back on.
    fn look_back(&self) {}
}
