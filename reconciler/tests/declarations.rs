//! Reading and judging revisions of real repositories, without a cluster.

mod support;

use support::declare::{application, device, gateway, sourced};
use support::git::Fleet;
use wasmbed_reconciler::declarations::{Loaded, Reader};
use wasmbed_reconciler::plan::{Action, Kind, Reason};
use wasmbed_reconciler::preview::{Preview, PreviewRequest, preview, validate, validate_folder};
use wasmbed_reconciler::source::Repository;

fn good() -> Fleet {
    let fleet = Fleet::new();
    fleet
        .write("fleet/gateway.yaml", &gateway("gateway-1"))
        .write("fleet/devices.yaml", &format!("{}---\n{}", device("d1"), device("d2")))
        .write("fleet/apps/hello.yaml", &application("hello", &["d1"], 1));
    fleet
}

fn reader(fleet: &Fleet) -> Reader {
    Reader {
        repository: Repository::discover(&fleet.copy()).expect("a repository"),
        fleet: "f".to_owned(),
        namespace: Some("ns".to_owned()),
        path: "fleet".to_owned(),
    }
}

fn load(fleet: &Fleet, before: Option<&Loaded>) -> Loaded {
    let reader = reader(fleet);
    let head = reader.repository.resolve("HEAD").expect("a commit");
    reader.load(head.tree, before).expect("readable")
}

/// The errors of the head, as a person reads them.
fn errors(fleet: &Fleet) -> Vec<String> {
    fleet.commit("test");
    load(fleet, None).declarations().errors.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_one(errors: &[String], place: &str, words: &[&str]) {
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].starts_with(place), "{place}: {}", errors[0]);
    for word in words {
        assert!(errors[0].contains(word), "{word}: {}", errors[0]);
    }
}

#[test]
fn a_good_revision_declares_its_objects_by_kind_and_name() {
    let fleet = good();
    fleet
        .write("fleet/other.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
        .write("fleet/.hidden/bad.yaml", "{{")
        .write("outside.yaml", "{{")
        .commit("first");
    let loaded = load(&fleet, None);
    let declarations = loaded.declarations();
    assert!(declarations.errors.is_empty(), "{:?}", declarations.errors);
    let declared: Vec<String> = declarations.desired.keys().map(ToString::to_string).collect();
    assert_eq!(declared, ["Gateway/gateway-1", "Device/d1", "Device/d2", "Application/hello"]);
    let second = declarations.desired.values().nth(2).expect("d2");
    assert_eq!(second.place.to_string(), "fleet/devices.yaml:6");
}

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    let syntax = good();
    assert_one(&errors(syntax.write("fleet/bad.yaml", "a: [1,\nb: {\n")), "fleet/bad.yaml:", &[]);

    let field = good();
    let misspelt = device("d3").replace("gatewayId", "gatewayID");
    assert_one(
        &errors(field.write("fleet/d3.yaml", &misspelt)),
        "fleet/d3.yaml:4:",
        &["gatewayID", "did you mean `gatewayId`?"],
    );

    let duplicate = good();
    assert_one(
        &errors(duplicate.write("fleet/again.yaml", &device("d1"))),
        "fleet/devices.yaml:3:",
        &["declared twice", "fleet/again.yaml:1"],
    );

    let no_source = good();
    assert_one(
        &errors(no_source.write("fleet/apps/blink.yaml", &sourced("blink", "apps/blnk"))),
        "fleet/apps/blink.yaml:5:",
        &["no folder `apps/blnk`"],
    );

    let no_device = good();
    assert_one(
        &errors(no_device.write("fleet/apps/two.yaml", &application("two", &["d9"], 2))),
        "fleet/apps/two.yaml:6:",
        &["no Device `d9`", "did you mean"],
    );

    let no_gateway = good();
    let lost = device("d3").replace("gateway-1", "gateway-2");
    assert_one(&errors(no_gateway.write("fleet/d3.yaml", &lost)), "fleet/d3.yaml:4:", &["no Gateway `gateway-2`"]);
}

#[test]
fn a_link_out_of_the_tree_is_an_error_and_one_inside_is_not_followed() {
    let out = good();
    assert_one(&errors(out.link("fleet/devices", "/etc")), "fleet/devices:", &["leads out of the repository", "/etc"]);
    let up = good();
    assert_one(&errors(up.link("fleet/more.yaml", "../../secret.yaml")), "fleet/more.yaml:", &["leads out"]);
    let file = good();
    assert_one(&errors(file.link("fleet/more.yaml", "devices.yaml")), "fleet/more.yaml:", &["symbolic link"]);
    let folder = good();
    assert!(errors(folder.link("fleet/more", "apps")).is_empty());
}

#[test]
fn a_fleet_folder_that_is_missing_is_told() {
    let fleet = Fleet::new();
    assert_one(&errors(fleet.write("README", "x")), "fleet:", &["Fleet.spec.path"]);
}

#[test]
fn what_did_not_change_is_taken_over() {
    let fleet = good();
    fleet.commit("first");
    let first = load(&fleet, None);
    fleet.write("README.md", "words").commit("nothing declared");
    let second = load(&fleet, Some(&first));
    assert!(std::sync::Arc::ptr_eq(first.declarations(), second.declarations()), "not even assembled again");
    fleet.write("fleet/apps/hello.yaml", &application("hello", &["d2"], 1)).commit("another target");
    let third = load(&fleet, Some(&second));
    let changed: Vec<_> = third
        .declarations()
        .desired
        .iter()
        .filter(|(id, desired)| second.declarations().desired.get(id) != Some(desired))
        .map(|(id, _)| id.to_string())
        .collect();
    assert_eq!(changed, ["Application/hello"]);
}

#[test]
fn sources_that_vanish_under_an_unchanged_declaration_are_noticed() {
    let fleet = good();
    fleet
        .write("fleet/blink/src/main.rs", "pub fn main() {}\n")
        .write("fleet/apps/blink.yaml", &sourced("blink", "blink"))
        .commit("first");
    let first = load(&fleet, None);
    assert!(first.declarations().errors.is_empty(), "{:?}", first.declarations().errors);
    fleet.remove("fleet/blink/src/main.rs").commit("gone");
    let second = load(&fleet, Some(&first));
    assert_eq!(second.declarations().errors.len(), 1);
    fleet.git(&["revert", "--no-edit", "HEAD"]);
    assert!(load(&fleet, Some(&second)).declarations().errors.is_empty());
}

fn request(fleet: &Fleet) -> PreviewRequest {
    PreviewRequest {
        repository: fleet.copy(),
        head: "HEAD".to_owned(),
        base: None,
        path: "fleet".to_owned(),
        fleet: "f".to_owned(),
        namespace: None,
        prune: true,
    }
}

fn previewed(fleet: &Fleet) -> Preview {
    preview(&request(fleet)).expect("readable")
}

#[test]
fn a_preview_tells_what_a_commit_changes_and_why() {
    let fleet = good();
    fleet.write("fleet/blink/src/main.rs", "pub fn main() {}\n").write("fleet/blink.yaml", &sourced("blink", "blink"));
    fleet.commit("first");
    let first = previewed(&fleet);
    assert_eq!(first.changes.len(), 5);
    assert!(first.changes.iter().all(|change| (change.action, change.reason) == (Action::Create, Reason::Declared)));
    assert_eq!(first.builds[0].application, "blink");

    fleet.write("fleet/apps/hello.yaml", &application("hello", &["d2"], 1)).commit("another target");
    let second = previewed(&fleet);
    let changes: Vec<_> = second.changes.iter().map(|c| (c.action, c.kind, &*c.name, c.reason)).collect();
    assert_eq!(changes, [(Action::Update, Kind::Application, "hello", Reason::Changed)]);
    assert!(second.builds.is_empty(), "{:?}", second.builds);

    fleet.write("fleet/blink/src/main.rs", "pub fn main() { println!(\"x\"); }\n").commit("sources only");
    let third = previewed(&fleet);
    assert!(third.changes.is_empty());
    assert_eq!(third.builds[0].application, "blink");
}

#[test]
fn a_preview_prints_the_word_that_a_large_deletion_needs_and_sees_it_said() {
    let fleet = good();
    fleet.commit("first");
    fleet
        .write("fleet/devices.yaml", "")
        .write("fleet/apps/hello.yaml", &application("hello", &[], 1))
        .commit("no devices");
    let held = previewed(&fleet);
    let deletion = held.deletion.clone().expect("held");
    assert!(!held.is_applicable() && !deletion.allowed);
    assert!(deletion.why.contains("2 of 2 Devices"), "{}", deletion.why);
    fleet.git(&["commit", "--quiet", "--amend", "-m", &format!("no devices\n\nAllow-Deletion: {}", deletion.hash)]);
    assert!(previewed(&fleet).is_applicable());
}

#[test]
fn validation_names_the_same_errors_for_a_revision_and_for_a_folder() {
    let fleet = good();
    fleet.write("fleet/bad.yaml", &application("two", &["d9"], 2)).commit("bad");
    let of_revision = validate(&request(&fleet)).expect("readable");
    let of_folder = validate_folder(&fleet.copy().join("fleet"), None).expect("readable");
    assert_eq!(of_revision.errors.len(), 1);
    assert_eq!(of_revision.errors[0].file, "fleet/bad.yaml");
    assert_eq!(of_folder.errors[0].file, "bad.yaml");
    assert_eq!(of_folder.errors[0].finding, of_revision.errors[0].finding);
}
