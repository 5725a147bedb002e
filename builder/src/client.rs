//! The parent's side: asks the worker, believes nothing, writes the cache.

use std::time::Duration;

use wasmbed_streams::{Connector, StreamError};

use crate::cache::CacheError;
use crate::module::{Limits, Module, ModuleError};
use crate::wire::{Ask, BUILD, Reply};
use crate::{BuildOutcome, BuildRequest, Built, Cache, Digest, Failure, FailureReason, Progress};

/// Builds through a worker, and keeps what was built. Clones share both.
#[derive(Debug, Clone)]
pub struct Client {
    worker: Connector,
    cache: Cache,
}

/// The build neither succeeded nor failed: asking again may help.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The worker cannot be reached, or broke off.
    #[error("the builder: {0}")]
    Stream(#[from] StreamError),
    /// The worker ended the stream without an answer.
    #[error("the builder ended before it answered; its log says why")]
    NoAnswer,
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Client {
    /// A client of the worker that `worker` reaches (a [`Connector`], or the path of its socket), which keeps modules in
    /// `cache`.
    #[must_use]
    pub fn new(worker: impl Into<Connector>, cache: Cache) -> Self {
        Self { worker: worker.into(), cache }
    }

    /// The cache, for what needs no worker.
    #[must_use]
    pub const fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The module of this request, from the cache or built now; `progress` hears what goes on.
    ///
    /// # Errors
    /// When the worker or the cache fails; that a build failed is an outcome, not an error.
    pub async fn build(
        &self,
        request: &BuildRequest,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<BuildOutcome, ClientError> {
        if let Some(module) = self.cache.built(request)? {
            let built = Built { module, warnings: Vec::new(), duration: Duration::ZERO, cached: true };
            return Ok(BuildOutcome::Built(built));
        }
        let (asks, mut replies) = wasmbed_streams::open::<Ask, Reply>(&self.worker, BUILD).await?;
        asks.send(&Ask { toolchain: crate::toolchain::identity(), build: request.clone() }).await?;
        loop {
            match replies.next().await.ok_or(ClientError::NoAnswer)?? {
                Reply::Progress(news) => progress(news),
                Reply::Failed(failure) => return Ok(BuildOutcome::Failed(failure)),
                Reply::Built { module, warnings, milliseconds } => {
                    return self.keep(request, module, warnings, Duration::from_millis(milliseconds));
                }
            }
        }
    }

    /// Checks and keeps a module that the declaration carries as bytes (`wasmBytes`).
    ///
    /// # Errors
    /// [`CacheError`] inside [`ClientError`]; a module that is refused is the inner error.
    pub fn keep_given(&self, bytes: Vec<u8>, limits: &Limits) -> Result<Result<Module, ModuleError>, ClientError> {
        match Module::check(bytes, limits) {
            Ok(module) => {
                self.cache.keep_module(&module)?;
                Ok(Ok(module))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// A module by its digest, if it is in the cache.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn module(&self, digest: Digest) -> Result<Option<Module>, ClientError> {
        // It was held against its own limits when it was kept; here its name says that it is the same.
        let any = Limits { module_bytes: u64::MAX, memory_bytes: u64::MAX, growth: true, boards: Vec::new() };
        Ok(self.cache.module(digest, &any)?)
    }

    fn keep(
        &self,
        request: &BuildRequest,
        bytes: Vec<u8>,
        warnings: Vec<String>,
        duration: Duration,
    ) -> Result<BuildOutcome, ClientError> {
        let module = match Module::check(bytes, &request.limits) {
            Ok(module) => module,
            Err(error) => {
                return Ok(BuildOutcome::Failed(Failure {
                    reason: FailureReason::ModuleRefused,
                    message: error.to_string(),
                    location: None,
                }));
            }
        };
        self.cache.keep(request, &module)?;
        Ok(BuildOutcome::Built(Built { module, warnings, duration, cached: false }))
    }
}
