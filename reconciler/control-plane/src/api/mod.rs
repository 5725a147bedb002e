//! The API: from an HTTP request to an HTTP answer, without sockets.

pub(crate) mod body;
mod builtin;
mod changes;
mod collect;
mod create;
mod decode;
mod delete;
mod discovery;
mod events;
mod metadata;
mod negotiate;
mod openapi;
mod options;
mod protobuf;
mod read;
mod request;
mod service;
mod update;
mod watch;

pub(crate) use collect::{Collector, create_namespace};
pub(crate) use service::{ApiService, Shared};
