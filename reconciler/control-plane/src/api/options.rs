//! The options of a request, from its query.

use http::{HeaderMap, Method};

use super::request::decode;
use crate::selector::{FieldSelector, LabelSelector};
use crate::status::{ApiError, Cause};

/// What is done about unknown fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// Every option of every verb.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) watch: bool,
    pub(crate) limit: usize,
    pub(crate) continue_token: String,
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    pub(crate) raw_labels: String,
    pub(crate) raw_fields: String,
    pub(crate) resource_version: Option<String>,
    pub(crate) version_match: Option<String>,
    pub(crate) bookmarks: bool,
    pub(crate) initial_events: bool,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) dry_run: bool,
    /// From the query, or the beginning of `User-Agent`.
    pub(crate) manager: String,
    /// Whether the query named a manager.
    pub(crate) manager_named: bool,
    pub(crate) validation: FieldValidation,
    pub(crate) force: Option<bool>,
    pub(crate) include_object: String,
    pub(crate) propagation: Option<String>,
}

impl Options {
    pub(crate) fn parse(method: &Method, query: &str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut options = Self {
            watch: false,
            limit: 0,
            continue_token: String::new(),
            labels: LabelSelector::default(),
            fields: FieldSelector::default(),
            raw_labels: String::new(),
            raw_fields: String::new(),
            resource_version: None,
            version_match: None,
            bookmarks: false,
            initial_events: false,
            timeout_seconds: None,
            dry_run: false,
            manager: user_agent(headers),
            manager_named: false,
            validation: FieldValidation::Warn,
            force: None,
            include_object: "Metadata".to_owned(),
            propagation: None,
        };
        let kind = match *method {
            Method::POST => "CreateOptions",
            Method::PUT => "UpdateOptions",
            Method::DELETE => "DeleteOptions",
            _ => "PatchOptions",
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(&value.replace('+', " ")).ok_or_else(|| {
                ApiError::bad_request(format!("the query parameter {name} is not percent-encoded text"))
            })?;
            options.set(kind, name, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, kind: &str, name: &str, value: String) -> Result<(), ApiError> {
        let bad = |why: String| ApiError::bad_request(why);
        let flag = |value: &str| !matches!(value, "" | "0" | "false" | "False" | "FALSE");
        match name {
            "watch" => self.watch = flag(&value) || value.is_empty(),
            "limit" => {
                let limit: i64 = value.parse().map_err(|_| bad(format!("limit: {value:?} is not a number")))?;
                self.limit = usize::try_from(limit).unwrap_or(0);
            }
            "continue" => self.continue_token = value,
            "labelSelector" => {
                self.labels = LabelSelector::parse(&value).map_err(bad)?;
                self.raw_labels = value;
            }
            "fieldSelector" => {
                self.fields = FieldSelector::parse(&value).map_err(bad)?;
                self.raw_fields = value;
            }
            "resourceVersion" => self.resource_version = Some(value).filter(|value| !value.is_empty()),
            "resourceVersionMatch" => self.version_match = Some(value).filter(|value| !value.is_empty()),
            "allowWatchBookmarks" => self.bookmarks = flag(&value),
            "sendInitialEvents" => self.initial_events = flag(&value),
            "timeoutSeconds" => {
                let seconds =
                    value.parse().map_err(|_| bad(format!("timeoutSeconds: {value:?} is not a number of seconds")))?;
                self.timeout_seconds = Some(seconds);
            }
            "dryRun" => match value.as_str() {
                "" => {}
                "All" => self.dry_run = true,
                other => {
                    return Err(ApiError::invalid_options(kind, &[Cause::unknown_dry_run(&format!("{other:?}"))]));
                }
            },
            "fieldManager" if !value.is_empty() => {
                if value.len() > 128 {
                    return Err(ApiError::invalid_options(
                        kind,
                        &[Cause {
                            reason: "FieldValueTooLong",
                            field: "fieldManager".to_owned(),
                            message: "Too long: may not be more than 128 bytes".to_owned(),
                        }],
                    ));
                }
                self.manager = value;
                self.manager_named = true;
            }
            "fieldValidation" => {
                self.validation = match value.as_str() {
                    "Strict" => FieldValidation::Strict,
                    "Warn" | "" => FieldValidation::Warn,
                    "Ignore" => FieldValidation::Ignore,
                    other => {
                        return Err(ApiError::invalid_options(
                            kind,
                            &[Cause {
                                reason: "FieldValueNotSupported",
                                field: "fieldValidation".to_owned(),
                                message: format!(
                                    "Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
                                ),
                            }],
                        ));
                    }
                };
            }
            "force" => self.force = Some(flag(&value)),
            "includeObject" if !value.is_empty() => self.include_object = value,
            "propagationPolicy" if !value.is_empty() => self.propagation = Some(value),
            _ => {}
        }
        Ok(())
    }

    /// The version that is asked for as a number; 0 is any.
    pub(crate) fn version(&self) -> Result<Option<u64>, ApiError> {
        let Some(text) = &self.resource_version else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| ApiError::bad_request(format!("invalid resource version: {text:?} is not a number")))
    }
}

/// The beginning of `User-Agent`, which accounts for writes that name no manager.
fn user_agent(headers: &HeaderMap) -> String {
    let agent = headers
        .get(http::header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .and_then(|agent| agent.split('/').next())
        .unwrap_or_default();
    match agent.chars().take(128).collect::<String>() {
        empty if empty.is_empty() => "unknown".to_owned(),
        agent => agent,
    }
}
