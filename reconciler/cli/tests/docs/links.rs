//! Where links lead.

use super::pages::{self, Page};

/// The links of a page to files or headings of this repository that are not there.
pub(crate) fn broken(page: &Page) -> Vec<String> {
    let folder = pages::root().join(&page.path).parent().unwrap().to_owned();
    let leads_nowhere = |target: &str| {
        if target.contains("://") || target.starts_with("mailto:") {
            return false;
        }
        let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
        let path = if file.is_empty() { pages::root().join(&page.path) } else { folder.join(file) };
        match anchor {
            None => !path.exists(),
            Some(anchor) => !std::fs::read_to_string(&path).is_ok_and(|text| anchors(&text).any(|it| it == anchor)),
        }
    };
    page.links()
        .into_iter()
        .filter(|(_, target)| leads_nowhere(target))
        .map(|(line, target)| format!("{}:{line}: {target}", page.path))
        .collect()
}

/// What the headings of a page are called in links, as GitHub and most others name them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let heading = |line: &str| Some(line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase());
    let name = |heading: String| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    text.lines().filter_map(heading).map(name)
}

#[test]
fn a_heading_is_named_as_in_links() {
    let names: Vec<String> = anchors("# Trust and keys\ntext\n## `wasmbed up`, twice\n").collect();
    assert_eq!(names, ["trust-and-keys", "wasmbed-up-twice"]);
}
