//! What a new application starts from.
//!
//! A template is a package that builds as it is. Its own name stands for the application's: rendering puts the new name
//! wherever the template's stands, in the manifest, the declaration and the words around them.

/// A template: its name, and its files by their paths in the application's folder.
type Template = (&'static str, &'static [(&'static str, &'static str)]);

macro_rules! template {
    ($name:literal) => {
        ($name, template!($name: "Cargo.toml" "README.md" "application.yaml" "src/main.rs"))
    };
    ($name:literal: $($path:literal)*) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $name, "/", $path)))),*]
    };
}

const TEMPLATES: &[Template] =
    &[template!("hello-world"), template!("led-blinker"), template!("sensor-reader"), template!("network-test")];

/// Why there are no files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No such template.
    #[error("there is no template `{0}`; there are {templates}", templates = names().collect::<Vec<_>>().join(", "))]
    Unknown(String),
    /// The name is not one that an application and its package can have.
    #[error(
        "`{0}` cannot be an application's name: a lower-case letter, then lower-case letters, digits and `-`, at most 63 characters"
    )]
    Name(String),
}

/// Names of the templates.
pub fn names() -> impl Iterator<Item = &'static str> {
    TEMPLATES.iter().map(|(name, _)| *name)
}

/// The files of a new application called `name`: their paths in the application's folder (`apps/<name>`), and texts.
///
/// # Errors
/// When there is no such template, or the name is none.
pub fn render(template: &str, name: &str) -> Result<Vec<(String, String)>, TemplateError> {
    let (own, files) = TEMPLATES
        .iter()
        .find(|(known, _)| *known == template)
        .ok_or_else(|| TemplateError::Unknown(template.to_owned()))?;
    if !is_name(name) {
        return Err(TemplateError::Name(name.to_owned()));
    }
    Ok(files.iter().map(|(path, text)| ((*path).to_owned(), text.replace(own, name))).collect())
}

fn is_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .chars()
            .all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendered_template_has_the_new_name_and_no_trace_of_its_own() {
        for template in names() {
            let files = render(template, "greeter-2").expect("it is a name");
            assert!(files.iter().any(|(path, text)| path == "Cargo.toml" && text.contains("name = \"greeter-2\"")));
            assert!(
                files.iter().any(|(path, text)| path == "application.yaml" && text.contains("path: apps/greeter-2"))
            );
            assert!(files.iter().all(|(_, text)| !text.contains(template)), "{template}");
        }
    }

    #[test]
    fn a_wrong_template_or_name_is_named() {
        assert!(render("hello", "x").expect_err("unknown").to_string().contains("hello-world"));
        for name in ["", "Hello", "1st", "a b", "a-", "../x", &"x".repeat(64)] {
            assert_eq!(render("hello-world", name), Err(TemplateError::Name(name.to_owned())));
        }
    }
}
