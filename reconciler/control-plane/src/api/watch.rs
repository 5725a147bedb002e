//! Watching: a stream of changes from where the client is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use super::body::ResponseBody;
use super::negotiate::{Accepted, Form};
use super::options::Options;
use super::read::{Filter, append, partial, presented, table_of};
use super::request::ObjectPath;
use super::service::{Shared, json_response};
use crate::resource::Resource;
use crate::status::{ApiError, Cause};
use crate::storage::{Event, PageRequest, Stored, TooOld};

/// How often a quiet watch tells its client the version it has reached.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// The longest a watch lasts when the client does not say, in seconds: between this and twice this.
const TIMEOUT_SECONDS: u64 = 1800;

struct Watch {
    shared: Arc<Shared>,
    resource: Arc<Resource>,
    namespace: Option<String>,
    filter: Filter,
    options: Options,
    form: Form,
    /// Everything up to this version was sent.
    cursor: u64,
    changed: Receiver<u64>,
    ends: Instant,
    bookmark_at: Instant,
    /// What is sent before the first change.
    first: Option<Vec<u8>>,
    /// Whether a table's columns were described.
    described: bool,
    done: bool,
}

/// Starts a watch.
pub(crate) fn watch(
    shared: &Arc<Shared>,
    path: ObjectPath,
    options: Options,
    accepted: Accepted,
) -> Result<Response<ResponseBody>, ApiError> {
    check(&options)?;
    let filter = Filter::new(&path, &options)?;
    let asked = options.version()?;
    // Subscribed before looking, so that no change falls between.
    let changed = shared.store.subscribe(path.resource.storage);
    let seconds = options.timeout_seconds.unwrap_or_else(|| TIMEOUT_SECONDS + rand::random_range(0..TIMEOUT_SECONDS));
    let mut watch = Watch {
        shared: shared.clone(),
        namespace: path.namespace,
        filter,
        form: accepted.form,
        cursor: asked.unwrap_or(0),
        changed,
        ends: Instant::now() + Duration::from_secs(seconds.min(86_400)),
        bookmark_at: Instant::now() + BOOKMARK_EVERY,
        first: None,
        described: false,
        done: false,
        resource: path.resource,
        options,
    };
    if watch.options.initial_events || matches!(asked, None | Some(0)) {
        watch.begin_with_all();
    }
    let chunks = stream::unfold(watch, |mut watch| async move { Some((watch.next().await?, watch)) });
    let mut response = json_response(StatusCode::OK, Bytes::new());
    *response.body_mut() = ResponseBody::stream(chunks);
    Ok(response)
}

fn check(options: &Options) -> Result<(), ApiError> {
    let forbidden =
        |field: &str, why: &str| Err(ApiError::invalid_options("ListOptions", &[Cause::forbidden(field, why)]));
    match (options.initial_events, options.version_match.as_deref()) {
        (true, None) => {
            forbidden("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        }
        (true, Some("NotOlderThan")) if !options.bookmarks => {
            forbidden("allowWatchBookmarks", "sendInitialEvents requires allowWatchBookmarks to be set to true")
        }
        (true, Some("NotOlderThan")) => Ok(()),
        (true, Some(_)) => {
            forbidden("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        }
        (false, Some(_)) => forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
        (false, None) => Ok(()),
    }
}

impl Watch {
    /// Sends everything there is as if it had just been added.
    fn begin_with_all(&mut self) {
        let request = PageRequest { namespace: self.namespace.as_deref(), ..PageRequest::default() };
        let (objects, version) = self.shared.store.read(|state| {
            let page = state.page(self.resource.storage, &request, |key, object| self.filter.keeps(key, object));
            let page = page.expect("the present is never too old");
            (page.objects, page.version)
        });
        let mut out = Vec::new();
        for object in objects {
            self.append_event(&mut out, "ADDED", &object);
        }
        self.cursor = version;
        if self.options.initial_events {
            self.append_bookmark(&mut out, true);
        }
        self.first = Some(out);
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Some(first.into());
        }
        loop {
            if self.done || self.shared.closing.is_cancelled() {
                return None;
            }
            self.changed.borrow_and_update();
            let out = self.pending();
            if !out.is_empty() {
                return Some(out.into());
            }
            tokio::select! {
                changed = self.changed.changed() => changed.ok()?,
                () = self.shared.closing.cancelled() => return None,
                () = sleep_until(self.ends) => {
                    self.done = true;
                    if self.options.bookmarks {
                        let mut out = Vec::new();
                        self.append_bookmark(&mut out, false);
                        return Some(out.into());
                    }
                }
                () = sleep_until(self.bookmark_at), if self.options.bookmarks => {
                    self.bookmark_at = Instant::now() + BOOKMARK_EVERY;
                    let mut out = Vec::new();
                    self.append_bookmark(&mut out, false);
                    return Some(out.into());
                }
            }
        }
    }

    /// The changes since the cursor, which moves on.
    fn pending(&mut self) -> Vec<u8> {
        let (changes, current) =
            self.shared.store.read(|state| (state.changes(self.resource.storage, self.cursor), state.version()));
        let mut out = Vec::new();
        match changes {
            // A version from the future is one of another store: the client must look anew, too.
            Ok(_) if self.cursor > current => self.append_expired(&mut out, current),
            Err(TooOld { floor }) => self.append_expired(&mut out, floor),
            Ok(changes) => {
                for event in changes {
                    self.append_change(&mut out, &event);
                }
                self.cursor = current;
            }
        }
        out
    }

    fn append_change(&mut self, out: &mut Vec<u8>, event: &Event) {
        if let Some(namespace) = &self.namespace {
            let inside = event.key.split_once('/').is_some_and(|(found, _)| found == namespace);
            if !inside {
                return;
            }
        }
        let before = event.before.as_ref().filter(|object| self.filter.keeps(&event.key, object));
        let after = event.after.as_ref().filter(|object| self.filter.keeps(&event.key, object));
        match (before, after) {
            (None, Some(object)) => self.append_event(out, "ADDED", object),
            (Some(_), Some(object)) => self.append_event(out, "MODIFIED", object),
            (Some(object), None) => self.append_event(out, "DELETED", &object.reversioned(event.version)),
            (None, None) => {}
        }
    }

    fn append_event(&mut self, out: &mut Vec<u8>, kind: &str, object: &Stored) {
        out.extend_from_slice(format!("{{\"type\":\"{kind}\",\"object\":").as_bytes());
        if self.form == Form::Table {
            let value = presented(&self.resource, object);
            let metadata = json!({"resourceVersion": object.version.to_string()});
            let table = table_of(&self.resource, std::iter::once(value), metadata, &self.options, !self.described);
            self.described = true;
            out.extend_from_slice(table.to_string().as_bytes());
        } else {
            append(out, &self.resource, object, self.form);
        }
        out.extend_from_slice(b"}\n");
    }

    fn append_bookmark(&self, out: &mut Vec<u8>, initial: bool) {
        let mut metadata = json!({"creationTimestamp": null, "resourceVersion": self.cursor.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version, "metadata": metadata});
        let object = match self.form {
            Form::Metadata => partial(&object),
            Form::Table => table_of(
                &self.resource,
                std::iter::empty(),
                json!({"resourceVersion": self.cursor.to_string()}),
                &self.options,
                false,
            ),
            _ => object,
        };
        append_line(out, "BOOKMARK", &object);
    }

    fn append_expired(&mut self, out: &mut Vec<u8>, known: u64) {
        let error = ApiError::expired(format!("too old resource version: {} ({known})", self.cursor));
        append_line(out, "ERROR", &error.status());
        self.done = true;
    }
}

fn append_line(out: &mut Vec<u8>, kind: &str, object: &Value) {
    out.extend_from_slice(json!({"type": kind, "object": object}).to_string().as_bytes());
    out.push(b'\n');
}
