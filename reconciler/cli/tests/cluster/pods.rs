//! Plays the pods of the chart's Deployments as processes: with their arguments, their ServiceAccounts' tokens and their volumes.
//!
//! What a kubelet and a cluster's network would give, this gives otherwise: each pod has an address of its own in 127.0.0.0/8, each
//! Service one at which connections are carried to its pods, a volume is a folder, and the API is reached by a kubeconfig with the
//! token that the pod would find mounted.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, KeyToPath, PodSpec, Secret, Service, ServiceAccount, Volume, VolumeProjection,
};
use kube::api::{DynamicObject, PostParams};
use kube::{Api, Client, ResourceExt};

use crate::chart::SYSTEM;
use crate::pod::{Pod, network};
use crate::running::program;
use crate::service::PlayedService;

/// Who plays pods.
pub struct Pods {
    admin: Client,
    kubeconfig_of: Box<dyn Fn(&str) -> String + Send + Sync>,
    folder: PathBuf,
    deployments: Vec<Deployment>,
    services: BTreeMap<String, PlayedService>,
    network: u8,
    started: u8,
}

impl Pods {
    /// Takes the chart's Deployments and Services.
    pub async fn new(
        admin: Client,
        kubeconfig_of: impl Fn(&str) -> String + Send + Sync + 'static,
        folder: &Path,
        objects: &[DynamicObject],
    ) -> Self {
        let of = |kind: &str| {
            let kind = kind.to_owned();
            objects.iter().filter(move |object| object.types.as_ref().unwrap().kind == kind)
        };
        let deployments = of("Deployment").map(|object| object.clone().try_parse().unwrap()).collect();
        let network = network();
        let mut services = BTreeMap::new();
        for (number, service) in (1..).zip(of("Service")) {
            let service: Service = service.clone().try_parse().unwrap();
            let port = service.spec.as_ref().unwrap().ports.as_ref().unwrap()[0].port;
            let address = SocketAddr::from((Ipv4Addr::new(127, 2, network, number), u16::try_from(port).unwrap()));
            services.insert(service.name_any(), PlayedService::listen(address).await);
        }
        let kubeconfig_of = Box::new(kubeconfig_of);
        Self { admin, kubeconfig_of, folder: folder.to_owned(), deployments, services, network, started: 0 }
    }

    /// Where a Service is reached.
    pub fn service(&self, name: &str) -> SocketAddr {
        self.services[name].address
    }

    /// How many pods a Deployment says that there are to be.
    pub fn replicas(&self, deployment: &str) -> usize {
        usize::try_from(self.deployment(deployment).spec.replicas.unwrap()).unwrap()
    }

    /// Starts as many pods of a Deployment as it says, and waits until they are ready.
    pub async fn start_all(&mut self, deployment: &str) -> Vec<Pod> {
        let mut pods = Vec::new();
        for _ in 0..self.replicas(deployment) {
            pods.push(self.start(deployment).await);
        }
        for pod in &mut pods {
            pod.wait_until_ready().await;
        }
        pods
    }

    /// Starts one pod more of a Deployment.
    pub async fn start(&mut self, deployment: &str) -> Pod {
        self.started += 1;
        let name = format!("{deployment}-{}", self.started);
        let address = Ipv4Addr::new(127, 1, self.network, self.started);
        let spec = self.deployment(deployment).spec.template.spec.clone().unwrap();
        let container = spec.containers[0].clone();
        let at = self.folder.join(&name);
        std::fs::create_dir_all(&at).unwrap();

        let mut volumes = Vec::new();
        for mount in container.volume_mounts.iter().flatten() {
            let volume = spec.volumes.iter().flatten().find(|volume| volume.name == mount.name).unwrap();
            let folder = match (container.name.as_str(), mount.name.as_str()) {
                // Compiled libraries are the same for every test.
                ("builder", "cache") => Path::new(env!("CARGO_TARGET_TMPDIR")).join("builder"),
                (_, volume) => at.join(volume),
            };
            std::fs::create_dir_all(&folder).unwrap();
            self.fill(&spec, volume, &folder).await;
            volumes.push((mount.mount_path.clone(), folder));
        }
        let mut command = program();
        command.args(container.args.iter().flatten().map(|argument| self.place(argument, &name, address, &volumes)));
        if spec.automount_service_account_token != Some(false) {
            let token = self.token(&spec, None).await;
            let kubeconfig = at.join("kubeconfig");
            write(&kubeconfig, (self.kubeconfig_of)(&token).as_bytes());
            command.arg("--kubeconfig").arg(kubeconfig);
        }
        self.environment(&mut command, &container, &name, &at);
        let pod = Pod::start(name, address, &at, &mut command);
        self.join_services(&container, deployment, address);
        pod
    }

    fn deployment(&self, name: &str) -> &Deployment {
        let found = self.deployments.iter().find(|deployment| deployment.name_any() == name);
        found.unwrap_or_else(|| panic!("the chart renders no Deployment {name}"))
    }

    /// An argument as this pod is to have it.
    fn place(&self, argument: &str, pod: &str, address: Ipv4Addr, volumes: &[(String, PathBuf)]) -> String {
        let mut placed = argument.replace("$(POD_NAME)", pod).replace("0.0.0.0", &address.to_string());
        for (name, service) in &self.services {
            placed = placed.replace(&format!("{name}.{SYSTEM}.svc:"), &format!("{}:", service.address.ip()));
        }
        let (flag, value) = placed.split_once('=').unwrap_or(("", &placed));
        let (flag, value) = (flag.to_owned(), value.to_owned());
        for (path, folder) in volumes {
            if let Some(within) = value.strip_prefix(path.as_str()) {
                placed = format!("{flag}={}{within}", folder.display());
            }
        }
        placed
    }

    fn environment(&self, command: &mut Command, container: &Container, name: &str, at: &Path) {
        for variable in container.env.iter().flatten() {
            match variable.name.as_str() {
                "POD_NAME" => command.env("POD_NAME", name),
                // Builds find their toolchain by it, which the image has elsewhere.
                "HOME" if container.name == "builder" => continue,
                "HOME" => command.env("HOME", at),
                other => command.env(other, variable.value.as_ref().unwrap()),
            };
        }
    }

    /// Adds a pod to the Services that choose it.
    fn join_services(&self, container: &Container, deployment: &str, address: Ipv4Addr) {
        if let Some(service) = self.services.get(deployment) {
            let ports = container.ports.iter().flatten();
            let port =
                ports.filter(|port| port.name.as_deref() != Some("health")).map(|port| port.container_port).next();
            let port = u16::try_from(port.unwrap()).unwrap();
            service.join(SocketAddr::from((address, port)));
        }
    }

    /// Puts into a folder what a volume holds.
    async fn fill(&self, pod: &PodSpec, volume: &Volume, folder: &Path) {
        if let Some(secret) = &volume.secret {
            self.put_secret(secret.secret_name.as_deref().unwrap(), secret.items.as_deref(), folder).await;
        } else if let Some(config_map) = &volume.config_map {
            self.put_config_map(&config_map.name, config_map.items.as_deref(), folder).await;
        } else if let Some(projected) = &volume.projected {
            for source in projected.sources.iter().flatten() {
                self.project(pod, source, folder).await;
            }
        } else {
            assert!(
                volume.empty_dir.is_some() || volume.persistent_volume_claim.is_some(),
                "a volume this cannot play: {volume:?}"
            );
        }
    }

    async fn project(&self, pod: &PodSpec, source: &VolumeProjection, folder: &Path) {
        if let Some(token) = &source.service_account_token {
            let held = self.token(pod, token.audience.clone()).await;
            write(&folder.join(&token.path), held.as_bytes());
        } else if let Some(secret) = &source.secret {
            self.put_secret(&secret.name, secret.items.as_deref(), folder).await;
        } else if let Some(config_map) = &source.config_map {
            self.put_config_map(&config_map.name, config_map.items.as_deref(), folder).await;
        } else {
            panic!("a projection this cannot play: {source:?}");
        }
    }

    async fn put_secret(&self, name: &str, items: Option<&[KeyToPath]>, folder: &Path) {
        let secret = Api::<Secret>::namespaced(self.admin.clone(), SYSTEM).get(name).await.unwrap();
        let data = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
        put(&data, items, folder);
    }

    async fn put_config_map(&self, name: &str, items: Option<&[KeyToPath]>, folder: &Path) {
        let map = Api::<ConfigMap>::namespaced(self.admin.clone(), SYSTEM).get(name).await.unwrap();
        let data = map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes())).collect();
        put(&data, items, folder);
    }

    /// A token of the pod's ServiceAccount, for an audience if one is named.
    async fn token(&self, pod: &PodSpec, audience: Option<String>) -> String {
        let accounts = Api::<ServiceAccount>::namespaced(self.admin.clone(), SYSTEM);
        let spec =
            TokenRequestSpec { audiences: audience.map(|audience| vec![audience]), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let account = pod.service_account_name.as_deref().unwrap();
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
        answer.status.unwrap().token.unwrap()
    }
}

fn put(data: &BTreeMap<String, Vec<u8>>, items: Option<&[KeyToPath]>, folder: &Path) {
    match items {
        None => data.iter().for_each(|(key, value)| write(&folder.join(key), value)),
        Some(items) => items.iter().for_each(|item| write(&folder.join(&item.path), &data[&item.key])),
    }
}

fn write(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
