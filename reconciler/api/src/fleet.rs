//! Fleet: one repository, branch and path, whose declarations fill one namespace.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::name::Name;
use crate::scalar::words;
use crate::schema;

/// What a Fleet follows, and what it may do.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "wasmbed.github.io",
    version = "v1alpha1",
    kind = "Fleet",
    plural = "fleets",
    category = "wasmbed",
    namespaced,
    status = "FleetStatus",
    derive = "PartialEq",
    doc = "One repository, branch and path, whose declarations fill one namespace.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Branch", type_ = "string", json_path = ".spec.branch"),
    printcolumn(name = "Applied", type_ = "string", json_path = ".status.appliedRevision"),
    printcolumn(name = "Devices", type_ = "integer", json_path = ".status.counts.devices"),
    printcolumn(name = "Held", type_ = "integer", json_path = ".status.counts.held"),
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct FleetSpec {
    /// The repository: `https://...`, `ssh://...`, `git@host:path`, `file:///...` or an absolute path.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// The branch that is followed; `main` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub branch: Option<String>,
    /// The folder of the repository that holds the fleet; its root if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), extend("x-wasmbed-shape" = "path"))]
    pub path: Option<String>,
    /// How often the repository is asked, besides webhooks; `1m` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// The Secret with the credentials for reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// The Secret with the credentials for writing; without it nothing is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_secret_ref: Option<SecretRef>,
    /// The Secret whose `token` a webhook names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_token_ref: Option<SecretRef>,
    /// The forge the repository lies on, for commit statuses and pull requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<Forge>,
    /// Whether pull requests get a preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previews: Option<Previews>,
    /// Whose commits are followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
    /// Where alerts go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// Whether the fleet is left as it is; no if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Whether objects that leave the repository are deleted; yes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
    /// Whether Git is made true after a failed rollout, and how; `none` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
}

/// A Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret.
    pub name: Name,
}

/// A forge and the project on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forge {
    /// What software the forge runs.
    pub kind: ForgeKind,
    /// Its API; the public instance's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The Secret with the token for its API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

words! {
    /// Software of a forge.
    ForgeKind {
        /// GitHub.
        Github = "github",
        /// GitLab.
        Gitlab = "gitlab",
        /// Gitea.
        Gitea = "gitea",
        /// Forgejo.
        Forgejo = "forgejo",
    }
}

/// Previews of pull requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Previews {
    /// Whether there are any; no if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether pull requests from forks get one; no if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forks: Option<bool>,
}

/// Whose commits are followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// The Secret whose entries are the public keys that may sign a commit.
    pub secret_ref: SecretRef,
}

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// The Secret whose `url` alerts are posted to.
    pub secret_ref: SecretRef,
}

words! {
    /// Whether Git is made true after a failed rollout, and how.
    #[derive(Default)]
    Rollback {
        /// Nothing is written to Git.
        #[default]
        None = "none",
        /// A commit on the followed branch.
        Commit = "commit",
        /// A commit on a branch of its own, for a pull request.
        Branch = "branch",
    }
}

/// What is seen of a Fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FleetStatus {
    /// The newest revision that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_revision: Option<String>,
    /// The revision the cluster was brought to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_revision: Option<String>,
    /// When the repository last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_fetch: Option<Time>,
    /// What is held back and why; the first 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// How much there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<FleetCounts>,
    /// The `metadata.generation` all this was said of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is true of the fleet at present.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Something that is held back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The revision it stands in.
    pub revision: String,
    /// The application that is held; the whole revision if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Name>,
    /// Why, as one CamelCase word.
    pub reason: String,
    /// Why, in words.
    pub message: String,
    /// The file it is about, from the root of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line of that file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// How much a fleet holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FleetCounts {
    /// Devices.
    pub devices: u32,
    /// Devices in session.
    pub connected: u32,
    /// Applications.
    pub applications: u32,
    /// Gateways.
    pub gateways: u32,
    /// Things held back.
    pub held: u32,
}

impl FleetSpec {
    /// The branch that is followed.
    pub fn branch(&self) -> &str {
        self.branch.as_deref().unwrap_or("main")
    }

    /// The folder that holds the fleet, without slashes at its ends; empty for the root.
    pub fn path(&self) -> &str {
        match self.path.as_deref().unwrap_or("").trim_matches('/') {
            "." => "",
            path => path.strip_prefix("./").unwrap_or(path),
        }
    }

    /// How often the repository is asked.
    pub fn interval(&self) -> std::time::Duration {
        self.interval.unwrap_or(Duration::from_secs(60)).as_std()
    }

    /// Whether the fleet is left as it is.
    pub fn is_suspended(&self) -> bool {
        self.suspend.unwrap_or(false)
    }

    /// Fields that are set and that this version reads without acting on them, so that whoever
    /// follows the fleet can say so. A fleet with `verify` among them must not be followed.
    pub fn without_effect(&self) -> Vec<&'static str> {
        let set = [
            ("forge", self.forge.is_some()),
            ("previews", self.previews.as_ref().is_some_and(|previews| previews.enabled == Some(true))),
            ("verify", self.verify.is_some()),
            ("alerts", !self.alerts.is_empty()),
            ("rollback", self.rollback.is_some_and(|rollback| rollback != Rollback::None)),
        ];
        set.into_iter().filter(|(_, set)| *set).map(|(field, _)| field).collect()
    }

    /// Whether objects that leave the repository are deleted.
    pub fn prunes(&self) -> bool {
        self.prune.unwrap_or(true)
    }
}
