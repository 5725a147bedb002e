//! What the builder lets a module import is what the runtime offers, name by name and type by type.

use std::collections::BTreeSet;

/// `(ii)I` for `(i32, i32) -> i64`, as the runtime writes signatures.
fn signature(parameters: &[impl ToString], results: &[impl ToString]) -> String {
    let letters = |types: &[String]| types.iter().map(|name| if name == "i32" { 'i' } else { 'I' }).collect::<String>();
    let names = |types: Vec<String>| {
        assert!(
            types.iter().all(|name| name == "i32" || name == "i64"),
            "{types:?}: another type needs another letter"
        );
        letters(&types)
    };
    let parameters = names(parameters.iter().map(ToString::to_string).collect());
    let results = names(results.iter().map(ToString::to_string).collect());
    format!("({parameters}){results}")
}

#[test]
fn the_builder_allows_what_the_runtime_offers() {
    let allowed: BTreeSet<_> = wasmbed_builder::imports::IMPORTS
        .iter()
        .map(|import| (import.module, import.name, signature(import.parameters, import.results)))
        .collect();
    let offered: BTreeSet<_> = wasmbed_runtime::IMPORTS
        .iter()
        .map(|import| (import.module, import.name, import.signature.to_owned()))
        .collect();
    assert!(allowed.len() > 20);
    assert_eq!(allowed, offered);
}
