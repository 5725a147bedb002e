//! What a request is about, from its path.

use std::sync::Arc;

use crate::resource::{Registry, Resource};

/// What a path names.
#[derive(Debug)]
pub(crate) enum Target {
    Objects(ObjectPath),
    Document(Document),
}

/// A collection, an object, or a subresource of one.
#[derive(Debug)]
pub(crate) struct ObjectPath {
    pub(crate) resource: Arc<Resource>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    /// `""` for the object itself.
    pub(crate) subresource: String,
}

/// What is not about objects.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Document {
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/{group}`
    Group(String),
    /// `/api/v1`, `/apis/{group}/{version}`
    Resources(String, String),
    /// `/version`
    Version,
    /// `/openapi/v3`
    OpenApiIndex,
    /// `/openapi/v3/apis/{group}/{version}`
    OpenApi(String, String),
    /// `/healthz`, `/livez`, `/readyz`
    Health,
}

/// Reads a path; `None` if nothing is served there.
pub(crate) fn target(registry: &Registry, path: &str) -> Option<Target> {
    let segments: Vec<String> = path.trim_matches('/').split('/').map(decode).collect::<Option<_>>()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let document = |document| Some(Target::Document(document));
    match segments.as_slice() {
        ["api"] => document(Document::CoreVersions),
        ["apis"] => document(Document::Groups),
        ["version"] => document(Document::Version),
        ["healthz" | "livez" | "readyz", ..] => document(Document::Health),
        ["openapi", "v3"] => document(Document::OpenApiIndex),
        ["openapi", "v3", "api", version] => known(registry, "", version)
            .then(|| Target::Document(Document::OpenApi(String::new(), (*version).to_owned()))),
        ["openapi", "v3", "apis", group, version] => known(registry, group, version)
            .then(|| Target::Document(Document::OpenApi((*group).to_owned(), (*version).to_owned()))),
        ["api", version] => known(registry, "", version)
            .then(|| Target::Document(Document::Resources(String::new(), (*version).to_owned()))),
        ["apis", group] => {
            let served = registry.all().iter().any(|resource| resource.group == *group);
            served.then(|| Target::Document(Document::Group((*group).to_owned())))
        }
        ["apis", group, version] => known(registry, group, version)
            .then(|| Target::Document(Document::Resources((*group).to_owned(), (*version).to_owned()))),
        ["api", version, rest @ ..] => objects(registry, "", version, rest),
        ["apis", group, version, rest @ ..] => objects(registry, group, version, rest),
        _ => None,
    }
}

fn known(registry: &Registry, group: &str, version: &str) -> bool {
    registry.all().iter().any(|resource| resource.group == group && resource.version == version)
}

fn objects(registry: &Registry, group: &str, version: &str, rest: &[&str]) -> Option<Target> {
    let find = |plural: &str| registry.find(group, version, plural).cloned();
    let (resource, namespace, rest) = match rest {
        ["namespaces", namespace, plural, rest @ ..] if find(plural).is_some_and(|resource| resource.namespaced) => {
            (find(plural)?, Some((*namespace).to_owned()), rest)
        }
        [plural, rest @ ..] => (find(plural)?, None, rest),
        [] => return None,
    };
    // An object of a namespaced kind has a namespace in its path.
    if resource.namespaced && namespace.is_none() && !rest.is_empty() {
        return None;
    }
    let (name, subresource) = match rest {
        [] => (None, String::new()),
        [name] => (Some((*name).to_owned()), String::new()),
        [name, subresource @ ..] => (Some((*name).to_owned()), subresource.join("/")),
    };
    if name.as_deref() == Some("") || namespace.as_deref() == Some("") {
        return None;
    }
    Some(Target::Objects(ObjectPath { resource, namespace, name, subresource }))
}

/// Undoes percent-encoding; `None` if it is broken or not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let digits = std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn registry() -> Registry {
        Registry::new(&[]).unwrap().0
    }

    fn object(path: &str) -> Option<(String, Option<String>, Option<String>, String)> {
        match target(&registry(), path)? {
            Target::Objects(path) => {
                Some((path.resource.qualified_plural(), path.namespace, path.name, path.subresource))
            }
            Target::Document(_) => None,
        }
    }

    #[test]
    fn paths_of_objects_are_read() {
        let some = |text: &str| Some(text.to_owned());
        for (path, expected) in [
            ("/api/v1/configmaps", ("configmaps", None, None, "")),
            ("/api/v1/namespaces", ("namespaces", None, None, "")),
            ("/api/v1/namespaces/a", ("namespaces", None, some("a"), "")),
            ("/api/v1/namespaces/a/status", ("namespaces", None, some("a"), "status")),
            ("/api/v1/namespaces/a/configmaps", ("configmaps", some("a"), None, "")),
            ("/api/v1/namespaces/a/configmaps/b", ("configmaps", some("a"), some("b"), "")),
            (
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/b%2Ec",
                ("leases.coordination.k8s.io", some("a"), some("b.c"), ""),
            ),
        ] {
            let (plural, namespace, name, subresource) = expected;
            assert_eq!(object(path), Some((plural.to_owned(), namespace, name, subresource.to_owned())), "{path}");
        }
    }

    #[test]
    fn what_is_not_served_is_none() {
        for path in [
            "/",
            "/api/v2",
            "/api/v1/pods",
            "/api/v1/configmaps/b",
            "/apis/nobody",
            "/apis/coordination.k8s.io/v2/leases",
            "/api/v1/namespaces//configmaps",
            "/api/v1/configmap%",
            "/openapi/v2",
        ] {
            assert!(target(&registry(), path).is_none(), "{path}");
        }
    }

    #[test]
    fn documents_are_read() {
        let document = |path: &str| match target(&registry(), path) {
            Some(Target::Document(document)) => document,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(document("/api"), Document::CoreVersions);
        assert_eq!(document("/apis/"), Document::Groups);
        assert_eq!(document("/api/v1"), Document::Resources(String::new(), "v1".into()));
        assert_eq!(
            document("/openapi/v3/apis/coordination.k8s.io/v1"),
            Document::OpenApi("coordination.k8s.io".into(), "v1".into())
        );
        assert_eq!(document("/readyz"), Document::Health);
    }

    proptest! {
        #[test]
        fn any_path_is_read_without_panic(path in "\\PC{0,60}") {
            target(&registry(), &path);
        }
    }
}
