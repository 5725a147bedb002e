//! `POST /hooks/<token>`: a forge says that there is something new. Every replica answers; one that does not lead leaves word
//! for the one that does.

mod token;
mod word;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use self::token::Token;
use self::word::Word;
use crate::error::ReconcileError;
use crate::options::Options;

/// How long a call waits for what it needs of the API. Forges wait ten seconds for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Webhooks, answered until this is dropped; or nothing at all, if the options name no address.
pub(crate) struct Hooks {
    heard: Arc<Notify>,
    leads: watch::Sender<bool>,
    word: Option<Word>,
    tasks: JoinSet<()>,
}

/// What answering a call takes.
#[derive(Clone)]
struct Answering {
    heard: Arc<Notify>,
    leads: watch::Receiver<bool>,
    word: Word,
    token: watch::Receiver<Token>,
}

impl Hooks {
    /// Begins to answer, as one that does not lead.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) async fn serve(options: &Options) -> Result<Self, ReconcileError> {
        let (leads, leads_seen) = watch::channel(false);
        let mut this = Self { heard: Arc::new(Notify::new()), leads, word: None, tasks: JoinSet::new() };
        let Some(address) = options.hooks else { return Ok(this) };
        let failed = |source| ReconcileError::Hooks { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        tracing::info!(address = %bound, "answers webhooks");
        let word = Word::new(&options.client, &options.namespace);
        let (token, token_seen) = watch::channel(Token::NotRead);
        let answering =
            Answering { heard: Arc::clone(&this.heard), leads: leads_seen, word: word.clone(), token: token_seen };
        let router = Router::new().route("/hooks/{token}", post(called)).with_state(answering);
        this.word = Some(word);
        this.tasks.spawn(token::follow(options.client.clone(), options.namespace.clone(), token));
        this.tasks.spawn(async move { drop(axum::serve(listener, router).await) });
        if let Some(tell) = &options.hooks_bound {
            tell.send_replace(Some(bound));
        }
        Ok(this)
    }

    /// This process leads from now on, or does no more. What is left for the leader it does not read by that.
    pub(crate) fn lead(&self, leads: bool) {
        self.leads.send_replace(leads);
    }

    /// Rings `ask` for each call, by whomever it was heard, for ever. For the leader; `is_only` if there never is another one.
    pub(crate) fn carry(&self, ask: Arc<Notify>, is_only: bool) -> impl Future<Output = ()> + Send + use<> {
        let heard = Arc::clone(&self.heard);
        let word = self.word.clone().filter(|_| !is_only);
        async move {
            let own = async {
                loop {
                    heard.notified().await;
                    ask.notify_one();
                }
            };
            let left = async {
                match word {
                    Some(word) => word.listen(&ask).await,
                    None => std::future::pending().await,
                }
            };
            tokio::join!(own, left);
        }
    }
}

/// The body is not read: it says nothing that fetching does not say better.
async fn called(State(mut answering): State<Answering>, Path(named): Path<String>) -> StatusCode {
    match is_right(&mut answering.token, &named).await {
        Some(true) => {}
        Some(false) => return StatusCode::NOT_FOUND,
        // Nobody can tell now; a forge shows that, and may call again.
        None => return StatusCode::SERVICE_UNAVAILABLE,
    }
    if *answering.leads.borrow() {
        answering.heard.notify_one();
        return StatusCode::ACCEPTED;
    }
    match tokio::time::timeout(PATIENCE, answering.word.leave()).await {
        Ok(Ok(())) => StatusCode::ACCEPTED,
        Ok(Err(error)) => {
            tracing::warn!(%error, "no word of a webhook could be left for the leader");
            StatusCode::SERVICE_UNAVAILABLE
        }
        Err(_) => {
            tracing::warn!("no word of a webhook could be left for the leader: the API does not answer");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// Whether a call names the token, once that is known.
async fn is_right(token: &mut watch::Receiver<Token>, named: &str) -> Option<bool> {
    let known = tokio::time::timeout(PATIENCE, token.wait_for(|token| *token != Token::NotRead)).await;
    Some(matches!(&*known.ok()?.ok()?, Token::Is(token) if same(token, named)))
}

/// Compares digests, so that the time it takes says nothing of the token.
fn same(token: &str, named: &str) -> bool {
    Sha256::digest(token) == Sha256::digest(named)
}
