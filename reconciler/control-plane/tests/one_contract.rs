//! One contract, two servers: each scenario holds on the embedded API and on a real kube-apiserver, and a client sees the same.
#![allow(clippy::unwrap_used)]

mod contract;
mod support;

use contract::transcript::difference;
use support::Plane;
use support::kubernetes::{door, kubernetes};

macro_rules! tests {
    ($($module:ident: $($name:ident),* $(,)?;)*) => {
        $(mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let plane = super::Plane::open().await;
                    // Not part of any other word that is compared.
                    let embedded = plane.door_to("scenario-0").await;
                    crate::contract::$module::$name(embedded.clone()).await;
                    let Some(kubernetes) = super::kubernetes().await else { return };
                    let real = super::door(kubernetes).await;
                    crate::contract::$module::$name(real.clone()).await;
                    let embedded = embedded.transcript.seen(&embedded.namespace);
                    let real = real.transcript.seen(&real.namespace);
                    let difference = super::difference(&embedded, &real);
                    assert!(difference.is_none(), "a client sees a difference:\n{}", difference.unwrap_or_default());
                }
            )*
        })*
    };
}

scenarios!(tests);
