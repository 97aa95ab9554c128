//! The only file that starts a process.
//!
//! Every tool runs in its own process group, so that Ctrl-C reaches meshproof alone and it can end them in order.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// So long a tool that took too long may take to end when it is asked.
const IN_ORDER: Duration = Duration::from_secs(2);

/// A tool that could not be run, failed, or took too long.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The program could not be started.
    #[error("cannot start `{command}`")]
    Start {
        /// The command line, to paste.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ended with an error. What it says of that goes first: a command line is long, and reports begin with the first line.
    #[error("{}`{command}` ended with {status}", if error.is_empty() { String::new() } else { format!("{error}\n") })]
    Failed {
        /// The command line, to paste.
        command: String,
        /// Exit status.
        status: String,
        /// What it says of its error, in a few lines.
        error: String,
        /// Exit code, if it ended by itself.
        code: Option<i32>,
    },
    /// It did not end in time and was stopped.
    #[error("did not end within {} s: `{command}`; its last lines: {last}", limit.as_secs())]
    TimedOut {
        /// The command line, to paste.
        command: String,
        /// The limit.
        limit: Duration,
        /// The last lines that it printed.
        last: String,
    },
}

/// A command line that is about to run.
#[derive(Debug, Clone)]
pub struct Tool {
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    dir: Option<PathBuf>,
    input: Option<Vec<u8>>,
    limit: Duration,
    marked: bool,
}

/// What a tool printed.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Tool {
    /// A call of `program`, with a limit of two minutes unless another is set.
    pub fn new(program: impl AsRef<Path>) -> Self {
        Tool {
            program: program.as_ref().to_path_buf(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            input: None,
            limit: Duration::from_secs(120),
            marked: false,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item = S>, S: Into<String>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Names the folder that it works for. If meshproof is killed, or gives the call up, [`crate::stray::end`] finds it by
    /// that and ends it in order; without, a call that is given up is asked to end and not waited for.
    pub fn works_for(mut self, folder: &Path) -> Self {
        self.marked = true;
        self.env.extend(crate::stray::marks(folder));
        self
    }

    /// Runs it in this folder.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_path_buf());
        self
    }

    /// Feeds it this standard input; without, it has none.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Stops it after `limit`.
    pub fn limit(mut self, limit: impl Into<Duration>) -> Self {
        self.limit = limit.into();
        self
    }

    /// The command line as one would type it.
    pub fn line(&self) -> String {
        let mut words = vec![quote(&self.program.to_string_lossy())];
        words.extend(self.args.iter().map(|arg| quote(arg)));
        words.join(" ")
    }

    /// Runs it to its end and returns what it printed.
    ///
    /// # Errors
    /// [`ToolError`] when it cannot start, fails or takes too long.
    pub async fn run(self) -> Result<Output, ToolError> {
        self.run_with(|_| {}).await
    }

    /// As [`Tool::run`], telling `line` every line of standard output and standard error as it comes.
    ///
    /// # Errors
    /// [`ToolError`] when it cannot start, fails or takes too long.
    pub async fn run_with(self, mut line: impl FnMut(&str)) -> Result<Output, ToolError> {
        let command_line = self.line();
        tracing::debug!(command = %command_line, "running");
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        let mut child = command.spawn().map_err(|source| ToolError::Start { command: command_line.clone(), source })?;
        let group = Group { id: group_of(&child), marked: self.marked };
        let stdin = child.stdin.take();
        let input = self.input;
        let feed = async move {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A tool that ends before it has read everything says why by itself.
                let _ = stdin.write_all(&input).await;
            }
        };
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let mut output = Output::default();
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<(bool, String)>(64);
        let ended = tokio::time::timeout(self.limit, async {
            let collect = async {
                while let Some((is_stdout, text)) = receiver.recv().await {
                    line(text.trim_end_matches('\n'));
                    let kept = if is_stdout { &mut output.stdout } else { &mut output.stderr };
                    kept.push_str(&text);
                }
            };
            let (_, _, _, _, status) = tokio::join!(
                feed,
                collect,
                pump(stdout, true, sender.clone()),
                pump(stderr, false, sender),
                child.wait()
            );
            status
        })
        .await;
        match ended {
            Ok(Ok(status)) if status.success() => {
                group.disarm();
                Ok(output)
            }
            Ok(Ok(status)) => Err(ToolError::Failed {
                command: command_line,
                status: status.to_string(),
                error: error_lines(&output),
                code: status.code(),
            }),
            Ok(Err(source)) => Err(ToolError::Start { command: command_line, source }),
            Err(_) => {
                group.signal(Signal::TERM);
                // What does not end when it is asked must not go on behind the error.
                if tokio::time::timeout(IN_ORDER, child.wait()).await.is_err() {
                    group.signal(Signal::KILL);
                }
                Err(ToolError::TimedOut { command: command_line, limit: self.limit, last: last_lines(&output) })
            }
        }
    }
}

/// A process group that is asked to end when its call is given up, so that nothing goes on in the background.
struct Group {
    id: Option<Pid>,
    marked: bool,
}

fn group_of(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // The group may be gone already; that is what was wanted.
            let _ = kill_process_group(id, signal);
        }
    }

    fn disarm(mut self) {
        self.id = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.marked {
            self.signal(Signal::TERM);
        }
    }
}

async fn pump(from: impl AsyncRead + Unpin, is_stdout: bool, to: tokio::sync::mpsc::Sender<(bool, String)>) {
    let mut reader = BufReader::new(from);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        // A tool may print megabytes without a line end: read those in pieces.
        let read = (&mut reader).take(1 << 20).read_until(b'\n', &mut bytes).await;
        match read {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let _ = to.send((is_stdout, String::from_utf8_lossy(&bytes).into_owned())).await;
            }
        }
    }
}

/// So many lines of a tool go into an error.
const LINES: usize = 6;

/// The lines in which a tool says what goes wrong.
fn said(output: &Output) -> Vec<&str> {
    let text = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    text.lines().filter(|line| !line.trim().is_empty()).collect()
}

fn last_lines(output: &Output) -> String {
    let lines = said(output);
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// What a tool says of its error. Some greet with a banner, and some say more after the error than the error. Of several
/// errors the last goes first, for it is the nearest to the cause: kind says that kubeadm failed, and then why.
fn error_lines(output: &Output) -> String {
    let lines = said(output);
    let is_error = |line: &&str| line.trim_start().to_lowercase().starts_with("error");
    let Some(last) = lines.iter().rposition(is_error) else { return last_lines(output) };
    let mut chosen = vec![lines[last]];
    chosen.extend(lines[..last].iter().filter(|line| is_error(line)).take(LINES - 1));
    let after = without_stack(&lines[last + 1..]);
    chosen.extend(&after[(after.len() + chosen.len()).saturating_sub(LINES).min(after.len())..]);
    chosen.join("\n")
}

/// These lines without a stack trace as Go prints it: functions, each with the place in its file below it.
fn without_stack<'l>(lines: &[&'l str]) -> Vec<&'l str> {
    let is_place = |line: &&str| {
        line.starts_with('\t') && line.rsplit_once(':').is_some_and(|(_, number)| number.parse::<u32>().is_ok())
    };
    let is_of_stack = |at: usize| lines[at..].iter().take(2).any(is_place);
    (0..lines.len()).filter(|at| !is_of_stack(*at)).map(|at| lines[at]).collect()
}

/// A word as a shell would need it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
