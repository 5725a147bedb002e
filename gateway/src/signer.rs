//! The stream to the signer: sessions out, Assignments in. While the signer is away, sessions live on.

use std::time::Duration;

use wasmbed_protocol::ReleaseDigest;
use wasmbed_streams::sessions::{AssignmentPush, PATH, SessionEvent};
use wasmbed_streams::{Connector, Receiver, Sender, StreamError, open};

use crate::context::Context;

/// First and longest time between two attempts to reach the signer.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Keeps a stream to the signer, for ever. Each new stream is told every session, so nothing depends on the old one.
pub(crate) async fn run(context: &Context, signer: &Connector) {
    let mut retry = FIRST_RETRY;
    loop {
        match open::<SessionEvent, AssignmentPush>(signer, PATH).await {
            Ok((sender, receiver)) => {
                tracing::debug!(gateway = context.name, "the signer is there");
                retry = FIRST_RETRY;
                context.readiness.signer.holds("it is reached");
                let error = tokio::select! {
                    error = tell(context, sender) => error,
                    error = listen(context, receiver) => error,
                };
                context.readiness.signer.fails(format!("{error}; devices run on with what they have"));
                tracing::info!(gateway = context.name, %error, "the signer is gone; devices run on with what they have");
            }
            Err(error) => {
                context.readiness.signer.fails(format!("{error}; devices run on with what they have"));
                tracing::debug!(gateway = context.name, %error, "no signer yet");
            }
        }
        // Gateways that lost the signer together do not come back together.
        tokio::time::sleep(retry.mul_f64(rand::random_range(0.5..1.0))).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

async fn tell(context: &Context, sender: Sender<SessionEvent>) -> StreamError {
    for session in context.sessions.take_all() {
        if let Err(error) = sender.send(&SessionEvent::Opened(session)).await {
            return error;
        }
    }
    loop {
        tokio::select! {
            () = context.sessions.changed() => {}
            () = sender.closed() => return StreamError::Closed,
        }
        for (number, session) in context.sessions.take_untold() {
            let event = match session {
                Some(session) => SessionEvent::Opened(session),
                None => SessionEvent::Closed { session: number },
            };
            if let Err(error) = sender.send(&event).await {
                return error;
            }
        }
    }
}

async fn listen(context: &Context, mut receiver: Receiver<AssignmentPush>) -> StreamError {
    loop {
        let push = match receiver.next().await {
            Some(Ok(push)) => push,
            Some(Err(error)) => return error,
            None => return StreamError::Closed,
        };
        let releases: Result<Vec<ReleaseDigest>, _> = push.releases.iter().map(|name| name.parse()).collect();
        match releases {
            Ok(releases) => context.sessions.assign(push, releases),
            Err(error) => tracing::error!(gateway = context.name, %error, "the signer names a Release wrongly"),
        }
    }
}
