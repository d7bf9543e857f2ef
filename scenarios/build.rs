//! Puts the hashes of the engine's and of the harness's sources into the binary, so that it can say what it was built from.

use std::path::Path;

#[path = "src/sources.rs"]
mod sources;

fn main() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for part in ["engine/src"].iter().chain(&sources::HARNESS) {
        println!("cargo:rerun-if-changed={}", workspace.join(part).display());
    }
    let hashes =
        [("SEGSIM_ENGINE", sources::hash(&workspace.join("engine"))), ("SEGSIM_HARNESS", sources::harness(&workspace))];
    for (name, hash) in hashes {
        match hash {
            Ok(hash) => println!("cargo:rustc-env={name}={hash:016x}"),
            Err(error) => panic!("cannot hash the sources in {}: {error}", workspace.display()),
        }
    }
}
