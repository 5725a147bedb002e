//! Content negotiation: whole objects, tables or metadata only; JSON or YAML.

use http::{HeaderMap, header};

use crate::status::ApiError;

/// What of an object is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    Table,
    Metadata,
    /// `APIGroupDiscoveryList` in this version.
    Discovery(&'static str),
}

/// What the client wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) form: Form,
    pub(crate) yaml: bool,
}

/// Picks the first form the client names that can be given.
pub(crate) fn accepted(headers: &HeaderMap, discovery: bool) -> Result<Accepted, ApiError> {
    let whole = Accepted { form: Form::Whole, yaml: false };
    let Some(accept) = headers.get(header::ACCEPT) else {
        return Ok(whole);
    };
    let accept = accept.to_str().map_err(|_| ApiError::not_acceptable())?;
    if accept.trim().is_empty() {
        return Ok(whole);
    }
    accept.split(',').find_map(|range| one(range, discovery)).ok_or_else(ApiError::not_acceptable)
}

fn one(range: &str, discovery: bool) -> Option<Accepted> {
    let mut parts = range.split(';').map(str::trim);
    let yaml = match parts.next()? {
        "application/json" | "*/*" | "application/*" => false,
        "application/yaml" => true,
        _ => return None,
    };
    let (mut kind, mut version, mut group) = ("", "", "");
    for part in parts {
        match part.split_once('=') {
            Some(("as", value)) => kind = value,
            Some(("v", value)) => version = value,
            Some(("g", value)) => group = value,
            _ => {}
        }
    }
    let form = match (kind, group, version) {
        ("", _, _) => Form::Whole,
        ("Table", "meta.k8s.io" | "", "v1") => Form::Table,
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io" | "", "v1") => Form::Metadata,
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") if discovery => Form::Discovery("v2"),
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2beta1") if discovery => Form::Discovery("v2beta1"),
        _ => return None,
    };
    Some(Accepted { form, yaml })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn accept(value: &'static str) -> Result<Accepted, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        accepted(&headers, true).map_err(|error| error.code.as_u16())
    }

    #[test]
    fn the_first_form_that_can_be_given_is_picked() {
        let json = |form| Ok(Accepted { form, yaml: false });
        assert_eq!(accept("application/json"), json(Form::Whole));
        assert_eq!(accept("*/*"), json(Form::Whole));
        assert_eq!(accept(""), json(Form::Whole));
        assert_eq!(accept("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"), json(Form::Table));
        assert_eq!(accept("application/json;as=Table;v=v9;g=meta.k8s.io, application/json"), json(Form::Whole));
        assert_eq!(accept("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"), json(Form::Metadata));
        assert_eq!(
            accept("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"),
            json(Form::Discovery("v2"))
        );
        assert_eq!(accept("application/vnd.kubernetes.protobuf,application/json"), json(Form::Whole));
        assert_eq!(accept("application/yaml").map(|accepted| accepted.yaml), Ok(true));
        assert_eq!(accept("image/png"), Err(406));
    }
}
