//! A real Kubernetes API for tests: etcd, kube-apiserver and kube-controller-manager as processes on loopback, in a folder of their
//! own, with RBAC. `make kubernetes` builds the programs. There is no kubelet and no scheduler: a test plays the pods.
//!
//! ```no_run
//! # async fn example() {
//! use wasmbed_control_plane_testing::{Kubernetes, Options};
//!
//! let Some(kubernetes) = Kubernetes::for_test(Options::default()).await else { return };
//! let admin = kubernetes.client("default").await;
//! let token = kubernetes.service_account_token("default", "gateway").await;
//! let gateway = kubernetes.client_of(&token, "default").await;
//! # drop((admin, gateway)); }
//! ```

mod credentials;
mod error;
mod keeper;
mod kubernetes;
mod process;
mod programs;

pub use error::StartError;
pub use kubernetes::{Kubernetes, Options};
pub use programs::{LEFT_OUT, Programs};
