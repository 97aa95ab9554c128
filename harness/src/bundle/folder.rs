//! Writes a bundle: files that a person can read before they give them to anybody.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Bundle, INDEX};
use crate::problem::Problem;

/// What the folder's README is called.
const README: &str = "README.md";

/// Whether a bundle may be written here: where there is nothing, or an empty folder.
///
/// # Errors
/// A [`Problem`] where something would be written over, or there is no way to the folder.
pub fn free(folder: &Path) -> Result<(), Problem> {
    let problem = |message: String, instead: &str| Problem::new("--out", message, instead);
    let shown = folder.display();
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = match folder.parent() {
                Some(above) if !above.as_os_str().is_empty() => above,
                _ => Path::new("."),
            };
            if above.is_dir() {
                return Ok(());
            }
            Err(problem(
                format!("there is no folder `{}` to make `{shown}` in", above.display()),
                "a folder that is there",
            ))
        }
        Err(error) => Err(problem(format!("`{shown}` cannot be looked at: {error}"), "a folder that you may write to")),
        Ok(found) if !found.is_dir() => {
            Err(problem(format!("`{shown}` is there, and is no folder"), "a folder that is not there, or is empty"))
        }
        Ok(_) => match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(problem(
                format!("`{shown}` is not empty, and nothing in it is written over"),
                "a folder that is not there, or is empty",
            )),
            Err(error) => Err(problem(format!("`{shown}` cannot be read: {error}"), "a folder that you may write to")),
        },
    }
}

/// Writes all of it, the index last; where that fails nothing of it stays. Returns the paths of the files.
///
/// # Errors
/// [`io::Error`] of what could not be written.
pub fn write(bundle: &Bundle, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let was_there = folder.exists();
    let mut written = Vec::new();
    let result = write_all(bundle, folder, &mut written);
    if let Err(error) = result {
        for path in written.iter().rev() {
            // Files first, then the folders that they were in, which are empty then.
            let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
        }
        if !was_there {
            let _ = fs::remove_dir(folder);
        }
        return Err(error);
    }
    written.retain(|path| path.is_file());
    Ok(written)
}

fn write_all(bundle: &Bundle, folder: &Path, written: &mut Vec<PathBuf>) -> io::Result<()> {
    if !folder.exists() {
        fs::create_dir(folder)?;
    }
    for (path, documents) in &bundle.files {
        let path = folder.join(path);
        if let Some(above) = path.parent().filter(|above| !above.exists()) {
            written.push(above.to_path_buf());
            fs::create_dir(above)?;
        }
        let texts: Vec<String> = documents.iter().map(yaml).collect::<io::Result<_>>()?;
        // A file without a document says that there is none of it.
        let text = if texts.is_empty() { "# There is none.\n".to_string() } else { texts.join("---\n") };
        put(&path, &text, written)?;
    }
    put(&folder.join(README), &readme(bundle), written)?;
    put(&folder.join(INDEX), &yaml(&serde_json::to_value(&bundle.index)?)?, written)
}

fn put(path: &Path, text: &str, written: &mut Vec<PathBuf>) -> io::Result<()> {
    written.push(path.to_path_buf());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

fn yaml(value: &serde_json::Value) -> io::Result<String> {
    serde_yaml_ng::to_string(value).map_err(io::Error::other)
}

fn readme(bundle: &Bundle) -> String {
    let index = &bundle.index;
    let anonymised = match index.anonymised {
        true => {
            "Namespaces of users, addresses, hosts and registries were replaced, each by the same word everywhere. Ids of clusters, \
             of the mesh\nand of the network were not."
        }
        false => "Names and addresses are as they are: `meshproof capture --anonymise` replaces them.",
    };
    let mut text = format!(
        "# A captured mesh\n\nmeshproof {} read these files on {}, and wrote nothing to the clusters. There is no token, key or \
         certificate in them;\nnames of nodes and pods are left out. {anonymised}\n\n    meshproof plan FOLDER    what would be \
         rebuilt of it, and what would not\n    meshproof run FOLDER     rebuilds it on this machine, and judges it\n\nRead them \
         before you give them to anybody. What you take out of a file, take out of `{INDEX}` too.\n\n| file | documents | holds |\n\
         | --- | --- | --- |\n| `{INDEX}` | 1 | versions, ids, numbers of nodes and proxies, this list |\n",
        index.meshproof, index.captured
    );
    for file in &index.files {
        let _ = writeln!(text, "| `{}` | {} | {} |", file.path, file.documents, file.holds);
    }
    if !index.not_read.is_empty() {
        let _ = writeln!(text, "\nWhat could not be read:");
        for not in &index.not_read {
            let _ = writeln!(text, "- {}: {}", not.what, not.why.lines().next().unwrap_or_default());
        }
    }
    text
}
