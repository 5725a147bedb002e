//! The service: answers one request. It is what `kube::Client` and the HTTPS port stand on.

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::body::ResponseBody;
use super::changes::{Answer, Write};
use super::collect::Task;
use super::decode::Decoded;
use super::negotiate::{Accepted, Form, accepted};
use super::options::Options;
use super::request::{Document, ObjectPath, Target, target};
use super::{create, decode, delete, discovery, openapi, protobuf, read, update, watch};
use crate::resource::{Registry, Resource, Rules};
use crate::status::ApiError;
use crate::storage::Store;

/// The largest body that is read, as in Kubernetes.
const MAX_BODY: usize = 3 << 20;

/// What every request stands on.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) collector: mpsc::UnboundedSender<Task>,
    /// Ends watches.
    pub(crate) closing: CancellationToken,
}

/// The API as a tower service.
#[derive(Debug, Clone)]
pub(crate) struct ApiService(pub(crate) Arc<Shared>);

impl<B> Service<Request<B>> for ApiService
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Display,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let answer = answer(shared, request).await;
            Ok(answer.unwrap_or_else(|error| error.response()))
        })
    }
}

async fn answer<B>(shared: Arc<Shared>, request: Request<B>) -> Result<Response<ResponseBody>, ApiError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Display,
{
    let (parts, body) = request.into_parts();
    match target(&shared.registry, parts.uri.path()) {
        None if parts.uri.path().starts_with("/api/v1/") => Err(ApiError::no_such_path()),
        None => Ok(plain(StatusCode::NOT_FOUND, "404 page not found\n")),
        Some(Target::Document(_)) if parts.method != Method::GET && parts.method != Method::HEAD => {
            Err(ApiError::method_not_allowed())
        }
        Some(Target::Document(document)) => document_answer(&shared, &document, &parts.headers),
        Some(Target::Objects(path)) => {
            let options = Options::parse(&parts.method, parts.uri.query().unwrap_or_default(), &parts.headers)?;
            let body = match parts.method {
                Method::GET | Method::HEAD => Bytes::new(),
                _ => collect(body).await?,
            };
            objects_answer(&shared, &parts.method, &parts.headers, path, options, body).await
        }
    }
}

async fn collect<B>(body: B) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large(MAX_BODY)),
        Err(error) => Err(ApiError::bad_request(format!("the body of the request broke off: {error}"))),
    }
}

async fn objects_answer(
    shared: &Arc<Shared>,
    method: &Method,
    headers: &HeaderMap,
    path: ObjectPath,
    options: Options,
    body: Bytes,
) -> Result<Response<ResponseBody>, ApiError> {
    let accepted = accepted(headers, false)?;
    match path.subresource.as_str() {
        "" => {}
        "status" if path.resource.status => {
            let verb = match *method {
                Method::POST => "create",
                Method::DELETE => "delete",
                _ => "",
            };
            if !verb.is_empty() {
                return Err(ApiError::verb_not_supported(&path.resource, verb));
            }
        }
        _ if path.resource.is_custom() => {
            let name = path.name.as_deref().unwrap_or_default();
            return Err(ApiError::not_found(&path.resource, name));
        }
        _ => return Err(ApiError::no_such_path()),
    }
    let read_only = path.resource.rules == Rules::Definition;
    match (method, &path.name) {
        (&Method::GET | &Method::HEAD, Some(_)) if !options.watch => {
            let object = read::get(shared, &path, &options)?;
            read::object_response(&path.resource, &object, accepted, &options, StatusCode::OK, &[])
        }
        (&Method::GET | &Method::HEAD, _) if options.watch => watch::watch(shared, path, options, accepted),
        (&Method::GET | &Method::HEAD, _) => read::list(shared, &path, &options, accepted),
        _ if read_only => Err(ApiError::method_not_allowed()),
        (&Method::DELETE, None) => {
            if path.resource.rules == Rules::Namespace {
                return Err(ApiError::method_not_allowed());
            }
            delete::delete_collection(shared, &path, &options, headers, &body).await
        }
        (&Method::DELETE, Some(name)) => {
            let answer = delete::delete(shared, &path, name, &options, headers, &body).await?;
            respond(&path, answer, accepted, &options)
        }
        (&Method::POST, None) => {
            if path.resource.namespaced && path.namespace.is_none() {
                return Err(ApiError::method_not_allowed());
            }
            let Decoded { value, duplicates } = read_object(&path.resource, headers, &body)?;
            let answer = create::create(&write(shared, &path, &options, duplicates), value).await?;
            respond(&path, answer, accepted, &options)
        }
        (&Method::PUT, Some(_)) => {
            let Decoded { value, duplicates } = read_object(&path.resource, headers, &body)?;
            let answer = update::replace(&write(shared, &path, &options, duplicates), value).await?;
            respond(&path, answer, accepted, &options)
        }
        (&Method::PATCH, Some(_)) => {
            let answer = update::patch(write(shared, &path, &options, Vec::new()), headers, &body).await?;
            respond(&path, answer, accepted, &options)
        }
        (&Method::PUT | &Method::PATCH, None) if path.resource.is_custom() => {
            Err(ApiError::bad_request("name must be provided"))
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn write<'a>(
    shared: &'a Arc<Shared>,
    path: &'a ObjectPath,
    options: &'a Options,
    duplicates: Vec<String>,
) -> Write<'a> {
    Write { duplicates, shared, path, options, now: crate::names::now() }
}

fn respond(
    path: &ObjectPath,
    answer: Answer,
    accepted: Accepted,
    options: &Options,
) -> Result<Response<ResponseBody>, ApiError> {
    read::object_response(&path.resource, &answer.object, accepted, options, answer.code, &answer.warnings)
}

fn read_object(resource: &Resource, headers: &HeaderMap, body: &[u8]) -> Result<Decoded, ApiError> {
    let protobuf = "application/vnd.kubernetes.protobuf";
    match media_type(headers).as_str() {
        "" | "application/json" => decode::json(body),
        "application/yaml" => decode::yaml(body),
        kind if kind == protobuf && protobuf::is_read(resource.rules) => {
            let value = protobuf::read(resource.rules, body).ok_or_else(|| {
                ApiError::bad_request(format!("the body of the request is no {} in Protobuf", resource.kind))
            })?;
            Ok(Decoded { value, duplicates: Vec::new() })
        }
        _ => Err(ApiError::unsupported_media_type(&["application/json", "application/yaml"])),
    }
}

/// `Content-Type` without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let header = headers.get(header::CONTENT_TYPE);
    let text = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_owned()
}

fn document_answer(
    shared: &Shared,
    document: &Document,
    headers: &HeaderMap,
) -> Result<Response<ResponseBody>, ApiError> {
    let registry = &shared.registry;
    let aggregated = match accepted(headers, true).map(|accepted| accepted.form) {
        Ok(Form::Discovery(version)) => Some(version),
        _ => None,
    };
    let value = match (document, aggregated) {
        (Document::Health, _) => return Ok(plain(StatusCode::OK, "ok")),
        (Document::CoreVersions, Some(version)) => {
            return Ok(aggregated_response(version, &discovery::aggregated(registry, true, version)));
        }
        (Document::Groups, Some(version)) => {
            return Ok(aggregated_response(version, &discovery::aggregated(registry, false, version)));
        }
        (Document::CoreVersions, None) => discovery::core_versions(),
        (Document::Groups, None) => discovery::groups(registry),
        (Document::Group(group), _) => discovery::group(registry, group),
        (Document::Resources(group, version), _) => discovery::resources(registry, group, version),
        (Document::Version, _) => discovery::version(),
        (Document::OpenApiIndex, _) => openapi::index(registry),
        (Document::OpenApi(group, version), _) => openapi::document(registry, group, version),
    };
    Ok(json_response(StatusCode::OK, value.to_string()))
}

fn aggregated_response(version: &str, value: &Value) -> Response<ResponseBody> {
    let mut response = json_response(StatusCode::OK, value.to_string());
    let kind = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// An answer of JSON text.
pub(crate) fn json_response(code: StatusCode, json: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(json));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(code: StatusCode, text: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(text));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
