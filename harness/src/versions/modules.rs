//! Go modules, asked for by the machine's own `go` and its settings: which versions are served, and what is in them.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use crate::budget::Budgets;
use crate::problem::Problem;
use crate::tool::{Tool, ToolError};

/// What an HTTP server says of a module that it does not have, in the words of `go`.
const NOT_SERVED: [&str; 6] =
    ["403 Forbidden", "404 Not Found", "410 Gone", "unknown revision", "invalid version", "not found:"];

/// A folder in which `go` is asked.
#[derive(Debug)]
pub struct Modules<'a> {
    folder: tempfile::TempDir,
    budgets: &'a Budgets,
    /// Modules that the checksum database is not asked for, beside the machine's own.
    pub nosumdb: Vec<String>,
}

/// A version of a module, as `go list -m -json` tells it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Module {
    /// Its path.
    pub path: String,
    /// Its version; a pseudo-version for a commit without a tag of its own.
    #[serde(default)]
    pub version: String,
    /// When it was made.
    pub time: Option<Timestamp>,
    /// Versions with a tag, where they were asked for.
    #[serde(default)]
    pub versions: Vec<String>,
    /// Its files, once they are here.
    pub dir: Option<PathBuf>,
    /// Why it cannot be had.
    pub error: Option<ModuleError>,
}

/// Why a module cannot be had: `go` says it in an object or in plain words.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum ModuleError {
    /// In an object.
    Object {
        /// The words.
        #[serde(rename = "Err")]
        err: String,
    },
    /// In plain words.
    Plain(String),
}

impl Module {
    /// Reads what `go` printed: one JSON object after the other.
    ///
    /// # Errors
    /// [`serde_json::Error`] for what is none.
    pub fn parse(text: &str) -> Result<Vec<Module>, serde_json::Error> {
        serde_json::Deserializer::from_str(text).into_iter().collect()
    }

    /// When its commit was made: a pseudo-version says it better than its proxy, which may name another time.
    pub fn made(&self) -> Option<Timestamp> {
        commit_time(&self.version).or(self.time)
    }

    /// Why it cannot be had, in one line.
    pub fn why(&self) -> Option<String> {
        let why = match self.error.as_ref()? {
            ModuleError::Object { err } => err,
            ModuleError::Plain(text) => text,
        };
        // It begins with what it is about, which stands beside it wherever it is shown.
        let why = why.strip_prefix(&format!("{}@{}: ", self.path, self.version)).unwrap_or(why);
        Some(why.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// When the commit of a pseudo-version was made: `v0.0.0-20260916195427-190ae921b848`.
pub fn commit_time(version: &str) -> Option<Timestamp> {
    let (before, commit) = version.split_once('+').map_or(version, |(version, _)| version).rsplit_once('-')?;
    let digits = before.rsplit(['-', '.']).next()?;
    let is_commit = commit.len() == 12 && commit.chars().all(|c| c.is_ascii_hexdigit());
    if !is_commit || digits.len() != 14 {
        return None;
    }
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp())
}

/// A requirement that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lack {
    /// The module.
    pub module: String,
    /// The version that is required.
    pub version: String,
    /// Whether it is served, and only the checksum database does not know it.
    pub unverified: bool,
}

/// The requirements that `go` says it cannot have, each once; nothing of what failed for another reason, such as a network
/// that is down.
pub fn lacks(said: &str) -> Vec<Lack> {
    let mut lacks: Vec<Lack> = said.lines().filter_map(lack).collect();
    lacks.sort();
    lacks.dedup();
    lacks
}

fn lack(line: &str) -> Option<Lack> {
    if !NOT_SERVED.iter().any(|words| line.contains(words)) {
        return None;
    }
    let unverified = line.contains(": verifying ");
    // A file of a module names its version too, and goes on after it.
    let named = |word: &&str| word.ends_with(':') && word.contains("@v") && !word.starts_with("http");
    let mut parts = line.split_whitespace().filter(named).filter_map(|word| word.trim_end_matches(':').split_once('@'));
    let (module, version) = parts.find(|(_, version)| !version.contains(['/', ':']))?;
    Some(Lack { module: module.to_string(), version: version.to_string(), unverified })
}

/// The first reason that `go` gives, in one line.
pub fn reason(said: &str) -> String {
    let mut lines = said.lines().filter(|line| !line.contains(": downloading ") && line.contains(": "));
    lines.next().unwrap_or("go does not say why").trim().to_string()
}

/// The one of these that stands best for a required commit: the same under another name; else the first after it, for what
/// was added stays; else the last before it.
pub fn stand_in(required: Timestamp, served: &[Module]) -> Option<&Module> {
    let timed = || served.iter().filter(|module| module.error.is_none()).filter_map(|one| Some((one.made()?, one)));
    // A pseudo-version says its time to the second.
    let after = timed().filter(|(time, _)| time.as_second() >= required.as_second()).min_by_key(|(time, _)| *time);
    after.or_else(|| timed().max_by_key(|(time, _)| *time)).map(|(_, module)| module)
}

impl<'a> Modules<'a> {
    /// A new folder to ask in.
    ///
    /// # Errors
    /// A [`Problem`] when it cannot be made.
    pub fn new(budgets: &'a Budgets) -> Result<Modules<'a>, Problem> {
        let folder = tempfile::tempdir().map_err(|error| {
            Problem::new("the host", format!("no folder for temporary files: {error}"), "free some disk, or set TMPDIR")
        })?;
        Ok(Modules { folder, budgets, nosumdb: Vec::new() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `go` there.
    ///
    /// # Errors
    /// [`ToolError`], together with all that it said.
    pub async fn go(&self, args: &[&str]) -> Result<String, (ToolError, String)> {
        let mut tool = Tool::new("go").args(args.iter().copied()).dir(self.folder()).limit(self.budgets.resolve());
        if !self.nosumdb.is_empty() {
            let own = std::env::var("GONOSUMDB").unwrap_or_default();
            let all: Vec<&str> = self.nosumdb.iter().map(String::as_str).chain(own.split(',')).collect();
            tool = tool.env("GONOSUMDB", all.join(",").trim_end_matches(','));
        }
        let mut said = String::new();
        let run = tool.run_with(|line| {
            said.push_str(line);
            said.push('\n');
        });
        match run.await {
            Ok(output) => Ok(output.stdout),
            Err(error) => Err((error, said)),
        }
    }

    /// Versions of modules, each as `MODULE@VERSION`; one that cannot be had says why.
    ///
    /// # Errors
    /// A [`Problem`] when `go` cannot be asked.
    pub async fn list(&self, wanted: &[String]) -> Result<Vec<Module>, Problem> {
        let mut args = vec!["list", "-m", "-e", "-json"];
        args.extend(wanted.iter().map(String::as_str));
        let text = self.go(&args).await.map_err(|(error, _)| asking(&error))?;
        Module::parse(&text).map_err(|error| unreadable("go list -m -json", &error))
    }

    /// One version of a module.
    ///
    /// # Errors
    /// A [`Problem`] when `go` cannot be asked.
    pub async fn one(&self, wanted: &str) -> Result<Module, Problem> {
        let mut found = self.list(&[wanted.to_string()]).await?;
        found.pop().ok_or_else(|| Problem::new("go list -m -json", format!("it says nothing of {wanted}"), UPDATE))
    }

    /// Versions of a module that are served, with their times: `more` and the latest, and those with a tag from the newest
    /// down to `since`. A proxy need not list all that it serves.
    ///
    /// # Errors
    /// A [`Problem`] when `go` cannot be asked.
    pub async fn served(&self, module: &str, since: Timestamp, more: &str) -> Result<Vec<Module>, Problem> {
        let text = self.go(&["list", "-m", "-e", "-versions", "-json", module]).await;
        let text = text.map_err(|(error, _)| asking(&error))?;
        let tagged = Module::parse(&text).map_err(|error| unreadable("go list -m -versions", &error))?;
        let mut served = self.list(&[format!("{module}@{more}"), format!("{module}@latest")]).await?;
        for version in tagged.iter().flat_map(|module| &module.versions).rev() {
            let one = self.one(&format!("{module}@{version}")).await?;
            let before = one.made().is_some_and(|made| made < since);
            served.push(one);
            if before {
                break;
            }
        }
        Ok(served)
    }

    /// Has `go` find all packages of these programs, with these modules (`MODULE VERSION`) in place of what is required.
    ///
    /// # Errors
    /// A [`Problem`] when `go` cannot be asked; else what it said of what it does not have.
    pub async fn packages(
        &self,
        module: &str,
        version: &str,
        replace: &[String],
        programs: &[&str],
    ) -> Result<Result<(), String>, Problem> {
        let go = self.go(&["env", "GOVERSION"]).await.map_err(|(error, _)| asking(&error))?;
        let go = go.trim().trim_start_matches("go").split([' ', '-']).next().unwrap_or_default().to_string();
        let mut gomod = format!("module meshproof.local/versions\n\ngo {go}\n\nrequire {module} {version}\n");
        for (name, version) in replace.iter().filter_map(|line| line.split_once(' ')) {
            gomod += &format!("replace {name} => {name} {version}\n");
        }
        let written = std::fs::write(self.folder().join("go.mod"), gomod);
        written.map_err(|error| Problem::new("the host", format!("cannot write go.mod: {error}"), "free some disk"))?;
        match self.go(&[&["list", "-mod=mod", "-deps", "-f", ""], programs].concat()).await {
            Ok(_) => Ok(Ok(())),
            Err((ToolError::Failed { .. }, said)) => Ok(Err(said)),
            Err((error, _)) => Err(asking(&error)),
        }
    }

    /// Fetches a module, and says where its files are.
    ///
    /// # Errors
    /// A [`Problem`] when it cannot be had.
    pub async fn fetch(&self, wanted: &str) -> Result<PathBuf, Problem> {
        let place = format!("go mod download {wanted}");
        // It prints what is wrong, too, and fails.
        let text = match self.go(&["mod", "download", "-json", wanted]).await {
            Ok(text) => text,
            Err((error @ ToolError::Start { .. }, _)) => return Err(asking(&error)),
            Err((_, said)) => said,
        };
        let parsed = Module::parse(&text).map_err(|error| unreadable("go mod download -json", &error))?;
        let module = parsed.into_iter().next();
        if let Some(dir) = module.as_ref().and_then(|module| module.dir.clone()) {
            return Ok(dir);
        }
        let why = module.and_then(|module| module.why()).unwrap_or_else(|| "go does not say why".to_string());
        let instead = if why.contains("verifying ") {
            "a version that the checksum database knows; or, if you trust your module proxy, GONOSUMDB for this module"
        } else {
            "a version that your module proxy serves (`go env GOPROXY`): `go list -m -versions` names those with a tag"
        };
        Err(Problem::new(place, why, instead))
    }
}

const UPDATE: &str = "see whether `go` and its settings are well: `go env`, `go version`";

/// What keeps `go` from being asked.
pub fn asking(error: &ToolError) -> Problem {
    let instead = match error {
        ToolError::Start { .. } => "install Go, and call again",
        _ => UPDATE,
    };
    Problem::new("go", crate::check::verdict::chain(error), instead)
}

fn unreadable(place: &str, error: &serde_json::Error) -> Problem {
    Problem::new(place, format!("what it printed cannot be read: {error}"), UPDATE)
}
