//! The chart's custom resource definitions are those of this crate.
//!
//! `UPDATE=1 cargo test -p wasmbed-api --test crds_of_the_chart` writes them anew, as `wasmbed crds` prints them.

use std::path::PathBuf;

use wasmbed_api::crds_yaml;

fn chart() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../charts/wasmbed/crds/wasmbed.yaml")
}

#[test]
fn the_chart_has_the_definitions_of_the_kinds() {
    let ours = crds_yaml();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(chart(), &ours).expect("the chart can be written");
        return;
    }
    let theirs = std::fs::read_to_string(chart()).expect("the chart has its definitions");
    assert!(
        theirs == ours,
        "charts/wasmbed/crds/wasmbed.yaml is not what the kinds are; see the head of this test, and tell in CHANGELOG.md \
         that definitions are to be applied before an upgrade"
    );
}
