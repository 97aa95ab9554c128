//! What a shell is given: each script and page knows every verb, and bash really completes by its script.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory;
use clap_complete::Shell;
use harness::cli::args::Cli;
use harness::cli::shell::{completions, pages};
use rstest::rstest;

fn verbs() -> Vec<String> {
    Cli::command().get_subcommands().map(|verb| verb.get_name().to_string()).collect()
}

/// What bash says to these words, with its script sourced.
fn bash(script: &Path, line: &str) -> String {
    let run = Command::new("bash").args(["--norc", "-c", line, "bash"]).arg(script).output().expect("bash is there");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8_lossy(&run.stdout).trim().to_string()
}

#[rstest]
#[case::bash(Shell::Bash)]
#[case::zsh(Shell::Zsh)]
#[case::fish(Shell::Fish)]
#[case::elvish(Shell::Elvish)]
#[case::powershell(Shell::PowerShell)]
fn a_script_of_any_shell_knows_every_verb(#[case] shell: Shell) {
    let script = completions(shell);
    let words: BTreeSet<&str> = script.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    for verb in verbs() {
        assert!(words.contains(verb.as_str()), "{verb} is not in the script for {shell}");
    }
}

#[rstest]
#[case::a_verb(&["ru"], "run")]
#[case::a_flag(&["run", "--pause"], "--pause-after")]
#[case::a_verb_of_a_verb(&["field", "li"], "list")]
#[case::a_value(&["completions", "fi"], "fish")]
#[case::nothing_of_that_name(&["xyz"], "")]
fn bash_completes_by_its_script(#[case] words: &[&str], #[case] completed: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("meshproof.bash");
    std::fs::write(&script, completions(Shell::Bash)).expect("it can be written");
    bash(&script, "bash -n \"$1\"");
    // As readline does: the words so far, and the function that `complete -F` registered.
    let line = format!(
        "source \"$1\"; words=$(complete -p meshproof); [[ $words =~ -F\\ ([^\\ ]+) ]]; \
         COMP_WORDS=(meshproof {}); COMP_CWORD={}; \
         ${{BASH_REMATCH[1]}} meshproof \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
         echo \"${{COMPREPLY[*]}}\"",
        words.join(" "),
        words.len()
    );
    assert_eq!(bash(&script, &line), completed);
}

/// The sections of a page, each with the lines below its head.
fn sections(page: &str) -> Vec<(String, Vec<String>)> {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for line in page.lines() {
        match (line.strip_prefix(".SH "), sections.last_mut()) {
            (Some(head), _) => sections.push((head.trim_matches('"').to_string(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line.to_string()),
            (None, None) => {}
        }
    }
    sections
}

#[test]
fn there_is_a_page_for_every_verb_and_no_section_is_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("man1");
    let written = pages(&out).expect("they can be written");
    assert!(written.iter().all(|path| path.is_file()) && written.len() > verbs().len(), "{written:?}");
    let of_verbs = verbs().into_iter().map(|verb| format!("meshproof-{verb}.1"));
    for name in of_verbs.chain(["meshproof.1", "meshproof-field-run.1"].map(str::to_string)) {
        let page = std::fs::read_to_string(out.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let sections = sections(&page);
        let heads: Vec<&str> = sections.iter().map(|(head, _)| head.as_str()).collect();
        assert!(heads.starts_with(&["NAME", "SYNOPSIS", "DESCRIPTION"]), "{name}: {heads:?}");
        for (head, lines) in &sections {
            let text = lines.iter().any(|line| !line.starts_with('.') && !line.trim().is_empty());
            assert!(text, "{name}: section {head} is empty");
        }
    }
    let whole = std::fs::read_to_string(out.join("meshproof.1")).expect("it is there").replace("\\-", "-");
    for verb in verbs() {
        assert!(whole.contains(&format!("meshproof-{verb}(1)")), "{verb} is not on the page of the command");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_said() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let said = pages(&file.path().join("below")).expect_err("it is no folder");
    assert!(said.0[0].place == "--out", "{said}");
}

#[test]
fn a_verb_that_is_misspelt_is_answered_with_the_nearest() {
    use clap::Parser;
    let said = Cli::try_parse_from(["meshproof", "chek"]).expect_err("there is no such verb").to_string();
    assert!(said.contains("'check'"), "{said}");
}
