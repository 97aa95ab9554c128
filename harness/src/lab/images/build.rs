//! Building what is missing, in the order of needs: one recipe that compiles at a time, and one other beside it.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, interval};

use super::{IMAGES, ImageError, Present, Site, finished, store, upkeep};
use crate::budget::Budgets;
use crate::event::{Event, Recorder};
use crate::lab::engine::Engine;
use crate::lab::host::{self, GIB};
use crate::lab::recipe::Wanted;
use crate::problem::{Problems, all_of};
use crate::stray;
use crate::tool::{Tool, ToolError};
use crate::wait::pause;

/// Disk that the build of one recipe takes, on average and with the compilers' caches; the measured sum is 17 GiB.
const DISK: u64 = 4 * GIB / 3;

/// A disk with less than this is full: what a failed write leaves free is seldom nothing.
const FULL: u64 = 64 << 20;

/// What all builds of one call share.
#[derive(Debug, Clone)]
pub(super) struct Workshop<'a> {
    pub cache: &'a Path,
    pub root: &'a Path,
    pub engine: &'a Engine,
    pub recorder: &'a Recorder,
    pub budgets: &'a Budgets,
    /// The command that goes on with this build.
    pub again: String,
}

/// Held while something is built or removed; the system frees it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct CacheLock {
    file: File,
}

impl Drop for CacheLock {
    fn drop(&mut self) {
        // As for the lock of a lab: a process that is just being started has the file open too.
        let _ = self.file.unlock();
    }
}

/// Takes the cache's lock if nobody has it, else says which process has.
pub(super) fn try_lock(cache: &Path) -> Result<Result<CacheLock, String>, ImageError> {
    let path = cache.join("images.lock");
    fs::create_dir_all(cache).map_err(ImageError::files("make", cache))?;
    let open = File::options().create(true).read(true).write(true).truncate(false).open(&path);
    let file = open.map_err(ImageError::files("open", &path))?;
    match file.try_lock() {
        Ok(()) => {
            // Only for who finds it taken: without, that one is told less.
            let _ = file.set_len(0);
            let _ = (&file).write_all(std::process::id().to_string().as_bytes());
            Ok(Ok(CacheLock { file }))
        }
        Err(TryLockError::WouldBlock) => Ok(Err(format!("process {}", fs::read_to_string(&path).unwrap_or_default()))),
        Err(TryLockError::Error(source)) => Err(ImageError::files("lock", path)(source)),
    }
}

impl<'a> Workshop<'a> {
    /// What builds of this site share.
    pub fn of(site: &Site<'a>) -> Self {
        let Site { root, engine, recorder, budgets, .. } = *site;
        let again = site.picked.command("meshproof images build");
        Workshop { cache: &site.home.cache, root, engine, recorder, budgets, again }
    }

    /// Waits until no other meshproof builds, and says so.
    pub async fn lock(&self) -> Result<CacheLock, ImageError> {
        let began = Instant::now();
        let mut told = None;
        loop {
            let holder = match try_lock(self.cache)? {
                Ok(lock) => {
                    if told.is_some() {
                        finished(self.recorder, "another meshproof is done with them", None, began);
                    }
                    // A recipe of a killed meshproof would go on writing where this one begins.
                    stray::end(self.cache).await.all(self.cache)?;
                    return Ok(lock);
                }
                Err(holder) => holder,
            };
            if told.is_none() {
                let title = "Another meshproof builds images".to_string();
                self.recorder.emit(Event::LabStarted { id: IMAGES.to_string(), title });
            }
            if told.as_ref() != Some(&holder) {
                let what = "another meshproof that builds them".to_string();
                self.recorder.emit(Event::Waiting { scope: IMAGES.to_string(), what, last: holder.clone() });
                told = Some(holder.clone());
            }
            if began.elapsed() > *self.budgets.image_build() {
                return Err(ImageError::Busy { holder, cache: self.cache.to_path_buf(), waited: began.elapsed() });
            }
            pause(Duration::from_millis(500)).await;
        }
    }

    /// Builds what is missing, and returns it with what is present.
    pub async fn build(
        &self,
        missing: &[&Wanted],
        mut present: BTreeMap<String, Present>,
    ) -> Result<BTreeMap<String, Present>, ImageError> {
        self.prepared(missing)?;
        let mut missing = missing.to_vec();
        let mut running = FuturesUnordered::new();
        let mut busy: Vec<bool> = Vec::new();
        let mut failed = None;
        loop {
            missing.retain(|one| {
                let ready = one.recipe.needs.iter().all(|need| present.contains_key(need));
                // After a failure what runs may end, as it need not be done again; nothing new begins.
                let start = ready && failed.is_none() && !busy.contains(&one.compiles());
                if start {
                    busy.push(one.compiles());
                    let needs = one.recipe.needs.iter().map(|need| (need.clone(), present[need].folder.clone()));
                    running.push(self.one(one, needs.collect()));
                }
                !start
            });
            let Some((one, result)) = running.next().await else { break };
            busy.retain(|compiles| *compiles != one.compiles());
            match result {
                Ok(built) => {
                    present.insert(one.recipe.name.clone(), built);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(present), Err)
    }

    /// Refuses to begin what would fail for want of a program, of rights or of disk; all of it at once.
    fn prepared(&self, missing: &[&Wanted]) -> Result<(), Problems> {
        let mut problems = Problems::new();
        let mut absent: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for one in missing {
            for program in one.programs.iter().filter(|program| !on_path(program)) {
                absent.entry(program).or_default().push(&one.recipe.name);
            }
        }
        for (program, recipes) in absent {
            let instead = match program {
                "go" | "cargo" => format!("install {}, and call again", if program == "go" { "Go" } else { "Rust" }),
                _ => "let `kind/engine tools` install what recipes use, or install it by hand".to_string(),
            };
            let message = format!("`{program}` is not on PATH, and {} need it", recipes_named(&recipes));
            problems.push("the host", message, instead);
        }
        let rooted: Vec<&str> = missing.iter().filter(|one| one.root).map(|one| one.recipe.name.as_str()).collect();
        if !rooted.is_empty() && !is_root() {
            let message = format!("{} make Debian roots, which takes root", recipes_named(&rooted));
            problems.push("the host", message, format!("sudo -E {}", self.again));
        }
        let disk = [(self.cache.to_path_buf(), DISK * missing.len() as u64)];
        problems.0.extend(host::disk_problems(&disk, |path| host::disk_of(path).ok()));
        problems.or(())
    }

    async fn one<'b>(
        &self,
        wanted: &'b Wanted,
        needs: BTreeMap<String, PathBuf>,
    ) -> (&'b Wanted, Result<Present, ImageError>) {
        let began = Instant::now();
        let id = format!("image-{}", wanted.recipe.name);
        self.recorder.emit(Event::LabStarted { id: id.clone(), title: wanted.recipe.title.clone() });
        let result = self.attempt(wanted, &id, &needs).await.map_err(|error| self.or_full(error));
        let (detail, error) = match &result {
            Ok(built) => (upkeep::bytes(built.manifest.bytes), None),
            Err(error) => (String::new(), Some(crate::check::verdict::chain(error))),
        };
        let detail = wanted.image().filter(|_| error.is_none()).unwrap_or(detail);
        self.recorder.emit(Event::LabFinished { id, detail, error, seconds: began.elapsed().as_secs_f64() });
        (wanted, result)
    }

    /// Says so where the disk is full: then what a recipe says of it is a riddle at best.
    fn or_full(&self, error: ImageError) -> ImageError {
        match host::disk_of(self.cache) {
            Ok(disk) if disk.free < FULL => {
                ImageError::Full { cache: self.cache.to_path_buf(), free: disk.free, source: Box::new(error) }
            }
            _ => error,
        }
    }

    async fn attempt(
        &self,
        wanted: &Wanted,
        id: &str,
        needs: &BTreeMap<String, PathBuf>,
    ) -> Result<Present, ImageError> {
        let began = Instant::now();
        let folder = store::artefact(self.cache, wanted);
        let work = store::works(self.cache).join(wanted.id());
        let out = store::works(self.cache).join(format!("{}.out", wanted.id()));
        let log = store::logs(self.cache).join(format!("{}.log", wanted.id()));
        for old in [&folder, &out] {
            if old.exists() {
                fs::remove_dir_all(old).map_err(ImageError::files("remove", old))?;
            }
        }
        for new in [&store::artefacts(self.cache), &work, &out, &store::logs(self.cache)] {
            fs::create_dir_all(new).map_err(ImageError::files("make", new))?;
        }
        let log_file = File::create(&log).map_err(ImageError::files("write", &log))?;
        let mut tool = Tool::new(wanted.folder.join("build"))
            .env("OUT", out.to_string_lossy())
            .env("WORK", work.to_string_lossy())
            .env("REPO", self.root.to_string_lossy())
            .works_for(self.cache)
            .limit(self.budgets.image_build());
        for (need, folder) in needs {
            tool = tool.env(format!("IN_{}", variable(need)), folder.to_string_lossy());
        }
        for (key, value) in &wanted.versions {
            tool = tool.env(format!("V_{}", variable(key)), value);
        }
        if let Some(image) = wanted.image() {
            tool = tool.env("IMAGE", image);
        }
        let last = self.watch(tool, id, log_file).await;
        last.map_err(|(error, last)| ImageError::Build {
            recipe: wanted.recipe.name.clone(),
            how: match error {
                ToolError::Failed { status, .. } => format!("ended with {status}"),
                ToolError::TimedOut { limit, .. } => format!("did not end within {} s", limit.as_secs()),
                ToolError::Start { ref source, .. } => format!("could not be started: {source}"),
            },
            last: last.join("\n"),
            log,
            again: self.again.clone(),
        })?;
        let manifest = store::seal(&out, wanted, began.elapsed().as_secs_f64(), self.engine).await?;
        fs::rename(&out, &folder).map_err(ImageError::files("move into place", &out))?;
        // Scratch files of a finished build serve nobody; `prune` finds them if they stay.
        let _ = fs::remove_dir_all(&work);
        Ok(Present { folder, image: wanted.image(), manifest })
    }

    /// Runs a recipe, writes its log, and shows its progress once a second.
    async fn watch(&self, tool: Tool, id: &str, mut log: File) -> Result<(), (ToolError, Vec<String>)> {
        let progress = Arc::new(Mutex::new(Progress::default()));
        let heard = Arc::clone(&progress);
        let run = tool.run_with(move |line| {
            // A log that cannot be written must not end the build: its end tells whether the disk is full.
            let _ = writeln!(log, "{line}");
            heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).hear(line);
        });
        tokio::pin!(run);
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let progress = || progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loop {
            tokio::select! {
                result = &mut run => {
                    return result.map(|_| ()).map_err(|error| (error, progress().last.iter().cloned().collect()));
                }
                _ = tick.tick() => {
                    let news = progress().news.take();
                    if let Some(last) = news {
                        let what = "its build".to_string();
                        self.recorder.emit(Event::Waiting { scope: id.to_string(), what, last });
                    }
                }
            }
        }
    }
}

/// How far a recipe is, by its lines.
#[derive(Debug, Default)]
struct Progress {
    last: VecDeque<String>,
    news: Option<String>,
    packages: Option<usize>,
    compiled: usize,
}

impl Progress {
    fn hear(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        self.last.push_back(line.to_string());
        if self.last.len() > 8 {
            self.last.pop_front();
        }
        let announced = line.strip_prefix("go build: ").and_then(|rest| rest.strip_suffix(" packages"));
        if let Some(count) = announced.and_then(|count| count.parse().ok()) {
            (self.packages, self.compiled) = (Some(count), 0);
        }
        self.news = Some(match self.packages {
            // What Go's cache knows is not compiled, so this is an upper bound.
            Some(packages) if !line.contains([' ', ':']) => {
                self.compiled += 1;
                format!("compiled {} of at most {packages} packages, now {line}", self.compiled)
            }
            _ => line.to_string(),
        });
    }
}

fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn recipes_named(names: &[&str]) -> String {
    if names.len() == 1 { format!("recipe {}", names[0]) } else { format!("recipes {}", all_of(names)) }
}

fn on_path(program: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| {
        fs::metadata(folder.join(program)).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
