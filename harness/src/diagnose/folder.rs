//! The folder of diagnostics: files of bounded size, without secrets, and an index that says what each one is.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::hints::Hint;
use super::redact;

/// Largest file, in bytes; a longer text loses its middle.
pub const FILE_LIMIT: usize = 1 << 20;

/// Largest sum of all files, in bytes.
pub const TOTAL_LIMIT: usize = 20 << 20;

/// A longer line is cut inside.
const LINE: usize = 2000;

/// A folder that is being filled.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    file_limit: usize,
    left: usize,
    files: Vec<File>,
    missing: Vec<String>,
    texts: Vec<(String, String)>,
}

#[derive(Debug)]
struct File {
    path: String,
    title: String,
    bytes: usize,
    cut: usize,
}

impl Folder {
    /// A folder with these limits for one file and for all; it is made with its first file.
    pub fn new(root: &Path, file_limit: usize, total_limit: usize) -> Folder {
        Folder {
            root: root.to_path_buf(),
            file_limit,
            left: total_limit,
            files: Vec::new(),
            missing: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Writes a file, without secrets and not longer than it may be.
    pub fn write(&mut self, path: &str, title: &str, text: &str) {
        if self.left == 0 {
            self.miss(path, "the files before it are as large as all may be together");
            return;
        }
        let clean = redact::text(text);
        let kept = cut(&clean, self.file_limit.min(self.left));
        let bytes = kept.len();
        match self.put(path, &kept) {
            Ok(()) => {
                // Not to the byte: the remark that something was cut comes on top.
                self.left = self.left.saturating_sub(bytes);
                let cut = if bytes == clean.len() { 0 } else { clean.len() };
                self.files.push(File { path: path.to_string(), title: title.to_string(), bytes, cut });
                self.texts.push((path.to_string(), kept));
            }
            Err(error) => self.miss(path, &error.to_string()),
        }
    }

    /// Notes what could not be had, and why.
    pub fn miss(&mut self, what: &str, why: &str) {
        let why = redact::text(why);
        self.missing.push(format!("{what}: {}", why.lines().next().unwrap_or_default()));
    }

    /// The texts as they were written, by file.
    pub fn texts(&self) -> &[(String, String)] {
        &self.texts
    }

    /// Writes the index and says how many files there are and what is missing, in the order of their names.
    pub fn close(mut self, head: &str, hints: &[Hint]) -> (usize, Vec<String>) {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        self.missing.sort();
        let index = self.index(head, hints);
        let written = match self.put("README.md", &redact::text(&index)) {
            Ok(()) => 1,
            Err(error) => {
                self.miss("README.md", &error.to_string());
                0
            }
        };
        (self.files.len() + written, self.missing)
    }

    fn put(&self, path: &str, text: &str) -> std::io::Result<()> {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
        std::fs::write(path, text)
    }

    fn index(&self, head: &str, hints: &[Hint]) -> String {
        let mut text = format!("# Diagnostics\n\n{}\n", head.trim_end());
        text.push_str("\n## What it looks like\n\n");
        if hints.is_empty() {
            text.push_str("No symptom that meshproof knows stands in these files.\n");
        }
        for hint in hints {
            let Hint { id, symptom, meaning, reference, look, .. } = hint;
            let _ = write!(text, "- **{symptom}**\n  {meaning}\n  Seen in {}:\n", hint.places());
            let _ = write!(
                text,
                "  `{}`\n  Reference: {reference}\n  Look closer: `{look}`\n  Explained by: `meshproof explain {id}`\n",
                hint.line.replace('`', "'")
            );
        }
        if !self.missing.is_empty() {
            text.push_str("\n## What could not be had\n\n");
            for line in &self.missing {
                let _ = writeln!(text, "- {line}");
            }
        }
        text.push_str("\n## Files\n\n| file | what it is | bytes |\n| --- | --- | --- |\n");
        for File { path, title, bytes, cut } in &self.files {
            let size = if *cut == 0 { bytes.to_string() } else { format!("{bytes} of {cut}, cut in the middle") };
            let _ = writeln!(text, "| [{path}]({path}) | {title} | {size} |");
        }
        text
    }
}

/// At most `limit` bytes of a text and a remark in its middle: less of its head than of its tail, where a log says how
/// it ended. It is cut between lines where lines are short.
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_string();
    }
    let boundary = |at: usize| (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let tail = boundary(text.len() - (limit - limit / 3));
    let tail = match text[tail..].find('\n') {
        Some(length) if length < LINE.min(limit / 8) => tail + length + 1,
        _ => tail,
    };
    let head = (0..=limit / 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let head = match text[..head].rfind('\n') {
        Some(end) if head - end < LINE.min(limit / 8) => end,
        _ => head,
    };
    format!("{}\n[... {} bytes are cut out here ...]\n{}", &text[..head], tail - head, &text[tail..])
}
