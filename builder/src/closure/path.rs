//! Paths inside a repository: relative to its root, with `/`, without `.` and `..`.

/// `relative`, as it is written in a file that stands in `base`, from the root. `None` if it is absolute or leaves
/// the repository.
pub(super) fn resolve(base: &str, relative: &str) -> Option<String> {
    if relative.starts_with('/') || relative.contains('\\') || relative.contains('\0') {
        return None;
    }
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// `name` in the folder `folder`.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The folder that `path` stands in; `None` for the root.
pub(super) fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        Some((parent, _)) => Some(parent),
        None if path.is_empty() => None,
        None => Some(""),
    }
}

/// Whether `path` is `folder` or stands below it.
pub(super) fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_resolved_from_the_file_it_stands_in() {
        assert_eq!(resolve("apps/hello", "../../lib/./x").as_deref(), Some("lib/x"));
        assert_eq!(resolve("", "apps//hello/").as_deref(), Some("apps/hello"));
        assert_eq!(resolve("apps", "..").as_deref(), Some(""));
    }

    #[test]
    fn a_path_that_leaves_the_repository_is_none() {
        for path in ["/etc", "../../../x", "apps/../../../../x", "a\\b"] {
            assert_eq!(resolve("apps/hello", path), None, "{path}");
        }
    }

    #[test]
    fn a_sibling_with_the_same_prefix_is_not_within() {
        assert!(is_within("apps/hello/src", "apps/hello"));
        assert!(is_within("apps/hello", ""));
        assert!(!is_within("apps/hello-2", "apps/hello"));
    }
}
