//! Where the readers are.

use std::path::{Path, PathBuf};

/// A file that `kind/readers` has got.
pub fn reader(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/readers").join(name);
    assert!(path.exists(), "{} is not there; `make readers` gets it", path.display());
    path
}

#[test]
fn what_the_readers_are_is_there() {
    for name in ["junit-10.xsd", "axe.min.js", "bin/actionlint", "python/bin/python"] {
        reader(name);
    }
}
