//! Unpacks an archive that somebody else made, into memory alone and within limits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use crate::problem::Problem;

/// How much of an archive is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive once it is unpacked, all files together.
    pub unpacked: u64,
    /// Bytes of one file that is read.
    pub file: u64,
    /// Files.
    pub files: usize,
}

/// Enough for a cluster of some thousand pods.
pub const LIMITS: Limits = Limits { unpacked: 8 << 30, file: 512 << 20, files: 200_000 };

/// The files of a `.tar.gz` of which `wanted` says that they are read, by their paths.
///
/// Nothing is written, whatever the archive says of places; the other files are passed over.
///
/// # Errors
/// A [`Problem`] with what is wrong with the archive.
pub fn unpack(
    path: &Path,
    limits: Limits,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
    let place = path.display().to_string();
    let instead = "the bug-report.tar.gz that `istioctl bug-report` wrote";
    let problem = |message: String| Problem::new(place.clone(), message, instead);
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::FileTooLarge => {
            problem(format!("it is larger than {} GiB once it is unpacked", limits.unpacked >> 30))
        }
        _ => problem(format!("it cannot be read as a .tar.gz: {error}")),
    };
    if !path.is_file() {
        let message = if path.exists() { "is no file" } else { "is not there" };
        return Err(problem(message.to_string()));
    }
    let file = File::open(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
    let unpacked = Counted { inner: MultiGzDecoder::new(file), left: limits.unpacked };
    let mut archive = tar::Archive::new(unpacked);
    let (mut files, mut count) = (BTreeMap::new(), 0);
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        count += 1;
        if count > limits.files {
            return Err(problem(format!("it has more than {} files", limits.files)));
        }
        let name = entry.path().map_err(unreadable)?.into_owned();
        let shown = name.display().to_string();
        let inside = name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return Err(problem(format!(
                "its file `{shown}` would lie outside the archive; no bug report has such a one"
            )));
        }
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            _ => return Err(problem(format!("`{shown}` in it is a link or a device; no bug report has such a one"))),
        }
        if !wanted(&shown) {
            continue;
        }
        if entry.size() > limits.file {
            return Err(problem(format!("`{shown}` in it is larger than {} MiB", limits.file >> 20)));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(unreadable)?;
        files.insert(shown, bytes);
    }
    if count == 0 {
        return Err(problem("it holds nothing".to_string()));
    }
    Ok(files)
}

/// A reader that ends with an error after so many bytes.
struct Counted<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use rstest::rstest;
    use tar::{Builder, EntryType, Header};

    use super::{LIMITS, Limits, unpack};

    const SMALL: Limits = Limits { unpacked: 64 << 10, file: 8 << 10, files: 8 };

    /// An archive of these files, each with its path, its type and its length.
    fn archive(files: &[(&str, EntryType, usize)]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, kind, length) in files {
            let mut header = Header::new_gnu();
            // Written by hand: the library refuses to write what a hostile archive has.
            header.as_gnu_mut().expect("a header").name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(*length as u64);
            header.set_cksum();
            builder.append(&header, &*vec![b'x'; *length]).expect("it is written");
        }
        builder.into_inner().and_then(GzEncoder::finish).expect("an archive")
    }

    fn unpacked(bytes: &[u8], limits: Limits) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.tar.gz");
        std::fs::write(&path, bytes).expect("it is written");
        let files = unpack(&path, limits, |name| name != "b");
        let there: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
        assert_eq!(there.len(), 1, "nothing was written beside the archive");
        files.map(|files| files.into_keys().collect()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn only_wanted_files_are_read() {
        let bytes =
            archive(&[("a", EntryType::Regular, 3), ("b", EntryType::Regular, 3), ("c/d", EntryType::Regular, 0)]);
        assert_eq!(unpacked(&bytes, LIMITS), Ok(vec!["a".to_string(), "c/d".to_string()]));
    }

    #[rstest]
    #[case::above_itself(&[("../a", EntryType::Regular, 1)], "outside the archive")]
    #[case::from_the_root(&[("/etc/a", EntryType::Regular, 1)], "outside the archive")]
    #[case::a_link(&[("a", EntryType::Symlink, 0)], "a link or a device")]
    #[case::a_hard_link(&[("a", EntryType::Link, 0)], "a link or a device")]
    #[case::a_device(&[("a", EntryType::Char, 0)], "a link or a device")]
    #[case::a_large_file(&[("a", EntryType::Regular, 9 << 10)], "larger than")]
    #[case::a_large_file_that_is_not_wanted(&[("b", EntryType::Regular, 100 << 10)], "once it is unpacked")]
    #[case::many_files(&[("a", EntryType::Regular, 0); 9], "more than 8 files")]
    #[case::nothing(&[], "holds nothing")]
    fn a_hostile_archive_is_refused(#[case] files: &[(&str, EntryType, usize)], #[case] why: &str) {
        let said = unpacked(&archive(files), SMALL).unwrap_err();
        assert!(said.contains(why), "{said}");
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![0; 16 << 20]).expect("it is written");
        let bytes = encoder.finish().expect("an archive");
        assert!(bytes.len() < 32 << 10, "{} bytes", bytes.len());
        assert!(unpacked(&bytes, SMALL).is_err());
    }

    #[rstest]
    #[case::no_archive(b"hello".to_vec())]
    #[case::empty(Vec::new())]
    #[case::cut(archive(&[("a", EntryType::Regular, 4 << 10)])[..40].to_vec())]
    fn what_is_no_archive_is_said(#[case] bytes: Vec<u8>) {
        let said = unpacked(&bytes, LIMITS).unwrap_err();
        assert!(said.contains("cannot be read as a .tar.gz") && said.contains("istioctl bug-report"), "{said}");
    }

    #[test]
    fn an_archive_that_is_not_there_is_said() {
        let problem = unpack(Path::new("/nowhere/a.tar.gz"), LIMITS, |_| true).unwrap_err();
        assert_eq!((problem.place.as_str(), problem.message.as_str()), ("/nowhere/a.tar.gz", "is not there"));
    }
}
