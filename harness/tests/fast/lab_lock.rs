//! The lock of a lab.

use std::process::Command;

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

#[test]
fn a_lock_is_free_at_once_whatever_is_started_meanwhile() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home { state: folder.path().to_path_buf(), cache: folder.path().to_path_buf() };
    std::fs::create_dir_all(home.lab("a")).expect("a folder");
    std::thread::scope(|threads| {
        let started = threads.spawn(|| (0..150).all(|_| Command::new("true").status().is_ok_and(|end| end.success())));
        while !started.is_finished() {
            drop(LabLock::take(&home, "a").expect("nobody has it"));
        }
        assert!(started.join().expect("it ends"), "`true` can be started");
    });
}
