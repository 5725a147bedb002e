//! docs/permissions.md against what the chart renders: no right that has no row, and no row that is no right.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;
use wasmbed_control_plane_testing::{Programs, StartError};

use crate::pages::{Page, root};

const SYSTEM: &str = "wasmbed-system";
/// A tenant of the production values, with everything a tenant may have.
const TENANT: &str = "lab";

/// One verb on one resource.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Right {
    account: String,
    /// `T`, `S` or `cluster`.
    place: String,
    resource: String,
    verb: String,
    /// Whether it is for objects of certain names alone.
    named: bool,
}

#[test]
fn every_right_of_every_component_has_a_row_and_every_row_is_a_right() {
    let programs = match Programs::find() {
        Ok(programs) => programs,
        Err(why @ StartError::LeftOut) => {
            // Not by `eprintln!`: what that says in a test that passes, nobody sees.
            std::io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes()).unwrap();
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let objects = render(&programs);
    let granted = granted(&objects);
    let resources = granted.iter().map(|right| right.resource.trim_end_matches("/status").to_owned()).collect();
    let page = Page::read("docs/permissions.md");
    let (accounts, written) = written(&page, &resources);

    let is_of_tenant = |account: &String| account == "wasmbed-builder" || account.ends_with(&format!("-{TENANT}"));
    let names = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    let there = objects.iter().filter(|object| object["kind"] == "ServiceAccount").map(names).filter(is_of_tenant);
    assert_eq!(accounts, there.collect(), "a section for each ServiceAccount");
    let in_any_name = |right: &Right| Right { named: false, ..right.clone() };
    let missing: Vec<_> = granted.difference(&written).filter(|right| !written.contains(&in_any_name(right))).collect();
    assert!(missing.is_empty(), "docs/permissions.md has no row for: {missing:#?}");
    let beyond: Vec<_> = written.difference(&granted).filter(|right| !granted.contains(&in_any_name(right))).collect();
    assert!(beyond.is_empty(), "the chart does not grant what docs/permissions.md says: {beyond:#?}");
}

fn render(programs: &Programs) -> Vec<Value> {
    let chart = root().join("charts/wasmbed");
    let mut helm = Command::new(programs.tool("helm"));
    helm.args(["template", "wasmbed", "--namespace", SYSTEM, "--kube-version", "1.36.0"]).arg(&chart);
    let output = helm.arg("--values").arg(chart.join("ci/production-values.yaml")).output();
    let output = output.unwrap_or_else(|error| panic!("{helm:?}: {error}; `make kubernetes` builds helm"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap());
    documents.filter(|object| !object.is_null()).collect()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap())
}

/// What the rendered roles let the tenant's ServiceAccounts do.
fn granted(objects: &[Value]) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for binding in objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("RoleBinding")) {
        let (role, namespace) = (&binding["roleRef"], binding["metadata"].get("namespace"));
        let is_it = |object: &&Value| {
            let metadata = &object["metadata"];
            object["kind"] == role["kind"] && metadata["name"] == role["name"] && metadata.get("namespace") == namespace
        };
        let role = objects.iter().find(is_it).unwrap_or_else(|| panic!("{role} is bound and not there"));
        let place = match namespace.and_then(Value::as_str) {
            None => "cluster",
            Some(SYSTEM) => "S",
            Some(TENANT) => "T",
            Some(_) => continue,
        };
        let subjects = texts_of(&binding["subjects"], "name");
        for account in subjects.filter(|account| account.ends_with(&format!("-{TENANT}"))) {
            for rule in role["rules"].as_array().unwrap() {
                for (resource, verb) in texts(&rule["resources"])
                    .flat_map(|resource| texts(&rule["verbs"]).map(move |verb| (resource, verb)))
                {
                    rights.insert(Right {
                        account: account.to_owned(),
                        place: place.to_owned(),
                        resource: resource.to_owned(),
                        verb: verb.to_owned(),
                        named: rule.get("resourceNames").is_some(),
                    });
                }
            }
        }
    }
    rights
}

fn texts_of<'a>(list: &'a Value, entry: &'a str) -> impl Iterator<Item = &'a str> {
    list.as_array().unwrap().iter().map(move |object| object[entry].as_str().unwrap())
}

/// The ServiceAccounts that have a section of the page, and what its tables say they may.
fn written(page: &Page, resources: &BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<Right>) {
    let (mut accounts, mut rights) = (BTreeSet::new(), BTreeSet::new());
    let mut account = None;
    for (number, line) in page.prose() {
        if let Some(heading) = line.strip_prefix("## ") {
            let name = heading.split_once("ServiceAccount `").map(|(_, name)| name.trim_end_matches('`'));
            account = name.map(|name| name.strip_suffix("-T").map_or(name.to_owned(), |of| format!("{of}-{TENANT}")));
            accounts.extend(account.clone());
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (Some(account), ["", place @ ("T" | "S" | "cluster"), what, may, ..]) = (&account, cells.as_slice()) else {
            continue;
        };
        let (of, named) = resources_of(what, resources);
        assert!(!of.is_empty(), "{}:{number}: {what:?} names no resource that the chart grants", page.path);
        for (resource, verb) in of.iter().flat_map(|resource| verbs(may).map(move |verb| (resource.clone(), verb))) {
            let (account, place, verb) = (account.clone(), (*place).to_owned(), verb.to_owned());
            rights.insert(Right { account, place, resource, verb, named });
        }
    }
    (accounts, rights)
}

/// The resources that the second cell of a row means, and whether only those of certain names.
fn resources_of(what: &str, resources: &BTreeSet<String>) -> (Vec<String>, bool) {
    let named = what.contains('`')
        || ["named in the values", "that the values name", "these "].into_iter().any(|words| what.contains(words));
    let (status, what) = match what.strip_prefix("the status of ") {
        Some(rest) => ("/status", rest),
        None => ("", what.split(" of ").next().unwrap_or_default()),
    };
    let what = what.split('(').next().unwrap_or_default().to_lowercase();
    let words = what.split(|letter: char| !letter.is_ascii_lowercase() && letter != '`' && letter != '-');
    let plural = |word: &str| if word.ends_with('s') { word.to_owned() } else { format!("{word}s") };
    let known = words.map(plural).filter(|word| resources.contains(word)).map(|word| format!("{word}{status}"));
    (known.collect(), named)
}

fn verbs(may: &str) -> impl Iterator<Item = &str> {
    may.split(", ").flat_map(|verb| match verb {
        "read" => vec!["get", "list", "watch"],
        verb => vec![verb],
    })
}
