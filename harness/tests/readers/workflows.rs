//! Workflows as actionlint reads them, the use of the action with its inputs among them.

use std::path::Path;
use std::process::{Command, Output};

use super::place::reader;

fn lint(folder: &Path, files: &[&str]) -> Output {
    // Without shellcheck and pyflakes, which a machine may have or not.
    let mut command = Command::new(reader("bin/actionlint"));
    command.args(["-shellcheck=", "-pyflakes=", "-no-color"]).args(files).current_dir(folder);
    command.output().expect("actionlint can be started")
}

#[test]
fn actionlint_finds_nothing_in_the_workflows() {
    let output = lint(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn actionlint_knows_the_inputs_and_outputs_of_the_action() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let wrong = "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n    - uses: ./.github/actions/meshproof\n      \
                 id: one\n      with:\n        istoi: 1.31.1\n    - run: echo \"$V\"\n      env:\n        \
                 V: ${{ steps.one.outputs.verdit }}\n";
    let folder = tempfile::tempdir().expect("a folder");
    let workflows = folder.path().join(".github/workflows");
    let actions = folder.path().join(".github/actions/meshproof");
    std::fs::create_dir_all(&workflows).expect("a folder");
    std::fs::create_dir_all(&actions).expect("a folder");
    // actionlint takes the folder with a repository in it for the project.
    std::fs::create_dir(folder.path().join(".git")).expect("a folder");
    std::fs::write(workflows.join("wrong.yaml"), wrong).expect("a file");
    let action = repository.join(".github/actions/meshproof/action.yml");
    std::fs::copy(action, actions.join("action.yml")).expect("a copy");
    let output = lint(folder.path(), &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("input \"istoi\" is not defined in action"), "{said}");
    assert!(said.contains("property \"verdit\" is not defined"), "{said}");
}
