//! What images have in place of newlib's text functions does what a C library's do.

use std::env;
use std::path::Path;
use std::process::Command;

/// The functions that `library.c` defines.
const FUNCTIONS: [&str; 5] = ["qsort", "snprintf", "strcmp", "strlen", "vsnprintf"];

#[test]
fn the_small_library_does_what_a_large_one_does() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let compile = |source: &Path, object: &Path, renamed: bool| {
        let mut command = Command::new("cc");
        // Or the compiler would take its knowledge of these names for what they do.
        command.args(["-std=gnu99", "-O1", "-fno-builtin", "-w", "-c"]).arg(source).arg("-o").arg(object);
        if renamed {
            command.args(FUNCTIONS.map(|name| format!("-D{name}=small_{name}")));
        }
        assert!(command.status().expect("a C compiler is installed").success());
    };
    let (library, check) = (folder.join("library.o"), folder.join("check.o"));
    compile(&here.join("../../runtime/platform/cortex-m/library.c"), &library, true);
    compile(&here.join("tests/library/check.c"), &check, false);
    let program = folder.join("library-check");
    let linked = Command::new("cc").args([&library, &check]).arg("-o").arg(&program).status();
    assert!(linked.expect("a C compiler is installed").success());
    let output = Command::new(program).output().expect("it was just linked");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
