//! Puts the hash of the engine's sources into the binary, so that it can say which engine it was built from.

use std::path::Path;

#[path = "src/sources.rs"]
mod sources;

fn main() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine");
    println!("cargo:rerun-if-changed={}", engine.join("src").display());
    println!("cargo:rerun-if-changed=src/sources.rs");
    match sources::hash(&engine) {
        Ok(hash) => println!("cargo:rustc-env=SEGSIM_ENGINE={hash:016x}"),
        Err(error) => panic!("cannot hash the engine's sources in {}: {error}", engine.display()),
    }
}
