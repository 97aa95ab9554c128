//! Files of reports, put in place whole.

use std::io::{self, Write};
use std::path::Path;

/// Puts the text in the place of the file, so that a reader sees the old one or the new one and never a half.
///
/// # Errors
/// [`io::Error`] when the file cannot be written.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".report-").suffix(".tmp");
    // Temporary files are for their owner only; a CI job often publishes the report as another user.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
