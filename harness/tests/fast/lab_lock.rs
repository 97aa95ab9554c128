//! The lock of a lab. A binary of its own: a process that another test starts would share the lock for a moment.

use harness::lab::{Home, LabLock};

#[test]
fn a_lock_is_held_once_and_goes_with_its_lab() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home { state: folder.path().to_path_buf(), cache: folder.path().to_path_buf() };
    let lock = LabLock::take(&home, "a").expect("it is free");
    let problem = LabLock::take(&home, "a").expect_err("it is taken");
    assert!(problem.message.contains(&std::process::id().to_string()), "{problem}");
    LabLock::take(&home, "b").expect("another name is free");
    std::fs::create_dir_all(home.lab("a")).expect("a folder");
    drop(lock);
    let path = folder.path().join("labs/a.lock");
    assert!(path.is_file(), "the lab is still there");
    let lock = LabLock::take(&home, "a").expect("it is free again");
    std::fs::remove_dir(home.lab("a")).expect("it is empty");
    drop(lock);
    assert!(!path.exists(), "nothing of the lab is left");
}
