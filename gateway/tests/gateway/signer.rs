//! A signer that does as the test says.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use tokio::sync::mpsc;
use wasmbed_streams::sessions::{AssignmentPush, PATH, Session, SessionEvent};
use wasmbed_streams::{Sender, Server, bidirectional, serve};

use crate::device::PATIENCE;

pub(crate) struct Signer {
    _server: Server,
    events: mpsc::UnboundedReceiver<SessionEvent>,
    gateway: Arc<Mutex<Option<Sender<AssignmentPush>>>>,
}

impl Signer {
    pub(crate) async fn start(socket: &Path) -> Self {
        let (told, events) = mpsc::unbounded_channel();
        let gateway = Arc::new(Mutex::new(None));
        let shared = gateway.clone();
        let handler = move |mut from: wasmbed_streams::Receiver<SessionEvent>, to: Sender<AssignmentPush>| {
            let (told, shared) = (told.clone(), shared.clone());
            async move {
                *shared.lock().unwrap() = Some(to);
                while let Some(Ok(event)) = from.next().await {
                    let _ = told.send(event);
                }
            }
        };
        let router = Router::new().route(PATH, bidirectional(handler));
        Self { _server: serve(socket, router).await.unwrap(), events, gateway }
    }

    pub(crate) async fn event(&mut self) -> SessionEvent {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("the gateway tells").unwrap()
    }

    /// The next session that is opened, whatever closes before.
    pub(crate) async fn opened(&mut self) -> Session {
        loop {
            if let SessionEvent::Opened(session) = self.event().await {
                return session;
            }
        }
    }

    pub(crate) async fn push(&self, session: u64, assignment: Vec<u8>, releases: Vec<String>) {
        let gateway = self.gateway.lock().unwrap().clone().expect("the gateway is there");
        gateway.send(&AssignmentPush { session, assignment, releases }).await.unwrap();
    }
}
