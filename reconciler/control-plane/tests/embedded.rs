//! The contract, held by the embedded API in this process.
#![allow(clippy::unwrap_used)]

mod contract;
mod support;

use support::Plane;

macro_rules! tests {
    ($($module:ident: $($name:ident),* $(,)?;)*) => {
        $(mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let plane = super::Plane::open().await;
                    crate::contract::$module::$name(plane.door()).await;
                }
            )*
        })*
    };
}

scenarios!(tests);
