//! Places the image, and compiles the applications it runs: workloads from Rust, hostile ones from WebAssembly text.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

const MEMORY: &str = "MEMORY {
    FLASH : ORIGIN = 0x00000000, LENGTH = 4M
    RAM : ORIGIN = 0x20000000, LENGTH = 4M
}
";

/// As the builder links applications: a small stack, and with what the runtime needs to know where a program's memory ends, so that it
/// gets no more.
const LINK: &[&str] = &["-zstack-size=2048", "--export=__heap_base", "--export=__data_end"];

fn main() {
    let out = env::var("OUT_DIR").expect("Cargo sets it");
    let out = Path::new(&out);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=wasm");
    println!("cargo:rerun-if-changed=wat");
    println!("cargo:rerun-if-changed=src/workloads.rs");

    fs::write(out.join("memory.x"), MEMORY).expect("the folder is Cargo's");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rustc-link-arg=--nmagic");

    println!("cargo:rustc-check-cfg=cfg(pages)");
    for (source, name) in [("mix", "mix"), ("mix", "mix_pages"), ("fib", "fib"), ("sensor", "sensor")] {
        let mut rustc = Command::new(env::var_os("RUSTC").expect("Cargo sets it"));
        rustc
            .args(["--edition", "2024", "--crate-type", "cdylib", "--target", "wasm32-unknown-unknown"])
            .args(["-C", "opt-level=3", "-C", "panic=abort", "-C", "lto=fat", "-C", "strip=symbols"])
            .arg("-o")
            .arg(out.join(name).with_extension("wasm"))
            .arg(format!("wasm/{source}.rs"));
        if source != name {
            rustc.args(["--cfg", "pages"]);
        }
        for argument in LINK {
            rustc.arg("-C").arg(format!("link-arg={argument}"));
        }
        let status = rustc.status().expect("the compiler starts");
        assert!(status.success(), "wasm/{source}.rs does not compile: is the target wasm32-unknown-unknown installed?");
    }
    for file in fs::read_dir("wat").expect("the folder is here") {
        let path = file.expect("it can be read").path();
        let module = wat::parse_file(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let name = path.file_name().expect("it has one");
        fs::write(out.join(name).with_extension("wasm"), module).expect("the folder is Cargo's");
    }
}
