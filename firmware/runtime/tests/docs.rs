//! The documentation says what the runtime does.

use wasmbed_runtime::{IMPORTS, LINE_BYTES, PAYLOAD_BYTES, PROBE_TIMEOUT, SDK_MODULE, TOPIC_BYTES, WASI_MODULE};

const PAGE: &str = include_str!("../../../docs/runtime.md");

/// The imports in the table after that module's name: name and signature.
fn documented(module: &str) -> Vec<(&str, &str)> {
    let (_, after) = PAGE.split_once(&format!("From `{module}`")).expect("the page names the module");
    after
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            Some((cells.next()?.strip_prefix('`')?.strip_suffix('`')?, cells.next()?.trim_matches('`')))
        })
        .collect()
}

#[test]
fn the_page_lists_every_import_and_no_other() {
    for module in [SDK_MODULE, WASI_MODULE] {
        let offered: Vec<_> = IMPORTS
            .iter()
            .filter(|import| import.module == module)
            .map(|import| (import.name, import.signature))
            .collect();
        assert_eq!(documented(module), offered);
    }
}

#[test]
fn the_page_tells_the_fixed_limits() {
    assert!(PAGE.contains(&format!("a line of log: {LINE_BYTES} bytes")));
    assert!(PAGE.contains(&format!("a topic: {TOPIC_BYTES} bytes")));
    assert_eq!(PAYLOAD_BYTES, 1024);
    assert!(PAGE.contains("a payload: 1,024 bytes"));
    assert!(PAGE.contains(&format!("of at most {} seconds", PROBE_TIMEOUT.as_secs())));
}
