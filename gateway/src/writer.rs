//! Writes Device statuses: what the board says, where the API says otherwise.

use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use wasmbed_api::Device;

use crate::board::Owned;
use crate::context::{Context, FIELD_MANAGER};

/// Writes at once.
const WRITES: usize = 8;

/// Least time between two rounds: what changes meanwhile goes into one write.
const ROUND: Duration = Duration::from_millis(25);

/// Time to wait after the API refused or could not be reached.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Writes statuses as they change, for ever.
pub(crate) async fn run(context: &Context) {
    let grace_over = tokio::time::sleep(context.limits.reconnect_grace);
    let mut grace_over = std::pin::pin!(grace_over);
    let mut waits_for_grace = true;
    loop {
        let deferred = context.board().deferred_until().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            () = context.board_changed.notified() => {}
            () = tokio::time::sleep_until(deferred.into()) => {}
            () = &mut grace_over, if waits_for_grace => {
                waits_for_grace = false;
                let names = context.directory().names();
                let mut board = context.board();
                names.iter().for_each(|name| board.mark(name));
            }
        }
        let wait = if round(context).await { ROUND } else { AFTER_FAILURE };
        tokio::time::sleep(wait).await;
    }
}

/// Writes what is to be written now; whether all of it was.
pub(crate) async fn round(context: &Context) -> bool {
    let dirty = context.board().take_dirty(Instant::now());
    let failed = futures::stream::iter(dirty)
        .map(|device| async move {
            let written = write(context, &device).await;
            written.err().map(|error| (device, error))
        })
        .buffer_unordered(WRITES)
        .filter_map(std::future::ready)
        .collect::<Vec<_>>()
        .await;
    if let Some((device, error)) = failed.first() {
        let count = failed.len();
        tracing::warn!(gateway = context.name, device, %error, count, "cannot write Device statuses; trying again");
        let mut board = context.board();
        failed.iter().for_each(|(device, _)| board.mark(device));
        drop(board);
        context.board_changed.notify_one();
    }
    failed.is_empty()
}

async fn write(context: &Context, device: &str) -> Result<(), kube::Error> {
    let wanted = {
        let directory = context.directory();
        directory.device(device).map(|known| {
            let enrolling = known.key.is_none() && context.pending().is_enrolling(device);
            let mut board = context.board();
            board.parted(device);
            board.judge(device, known, enrolling, Instant::now())
        })
    };
    match wanted {
        Some(Some(wanted)) => apply(context, device, &wanted).await,
        Some(None) => Ok(()),
        None => part(context, device).await,
    }
}

/// Says of a Device that is not this gateway's any more that it left, unless another gateway says more.
async fn part(context: &Context, device: &str) -> Result<(), kube::Error> {
    if !context.board().is_parting(device) {
        return Ok(());
    }
    let api = Api::<Device>::namespaced(context.client.clone(), &context.namespace);
    let seen = api.get_opt(device).await?.and_then(|device| device.status);
    let last = seen.and_then(|seen| context.board().last_words(device, &seen));
    if let Some(last) = last {
        apply(context, device, &last).await?;
    }
    context.board().parted(device);
    Ok(())
}

async fn apply(context: &Context, device: &str, wanted: &Owned) -> Result<(), kube::Error> {
    let api = Api::<Device>::namespaced(context.client.clone(), &context.namespace);
    let patch = json!({
        "apiVersion": <Device as kube::Resource>::api_version(&()),
        "kind": <Device as kube::Resource>::kind(&()),
        "metadata": { "name": device },
        "status": wanted.to_json(),
    });
    match api.patch_status(device, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(patch)).await {
        // The Device went while this was on its way.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(|_| ()),
    }
}
