//! The last lines of a run, on one screen: where the time went, what was judged, what broke first and what to do about it,
//! where the files are, and at the very end the verdict.

use super::Manner;
use super::style::{COLOURS, Colour, INDENT, line};
use crate::report::counts;
use crate::report::files::Beside;
use crate::report::rerun::{IN_REPORT, Rerun};
use crate::report::summary::Summary;
use crate::report::text::{UNBROKEN, cut, one_line, seconds, wrap};
use crate::report::times::Span;
use crate::report::trouble::Trouble;

/// How many lines there are on a screen as a rule, the last for the prompt.
const SCREEN: usize = 23;

/// So many things of the critical path are named: those that took longest.
const LONGEST: usize = 5;

/// What the last lines tell beyond the events.
#[derive(Debug, Default)]
pub struct Around<'a> {
    /// The folder of folders of runs.
    pub runs: &'a str,
    /// What lies beside the reports; without, they are in the folder of the run with all that it left.
    pub beside: Option<&'a Beside>,
    /// The flags by which the run got its scenario, as typed; none where they are not known.
    pub flags: Option<&'a str>,
    /// What a person can do with what is left of the lab: a verb and a command each.
    pub left: Vec<(&'static str, String)>,
    /// Characters in a line.
    pub width: usize,
}

/// The lines of the summary, in the order in which they are read from the prompt upwards: the verdict is the last.
pub fn lines(summary: &Summary, around: &Around<'_>, manner: Manner) -> Vec<String> {
    let page = Page { manner, width: around.width.max(INDENT.len() + 20) };
    let mut head = vec![String::new()];
    head.extend(page.text("Took", Colour::Cyan, &time(summary)));
    head.extend(critical_path(summary).into_iter().flat_map(|path| page.text("Decided by", Colour::Cyan, &path)));
    if summary.judges() {
        head.extend(page.text("Judged", Colour::Cyan, &counts::verdicts(summary)));
    }
    let trouble = summary.first_broken();
    let mut tail = Vec::new();
    if trouble.is_some() {
        let Rerun { explain, again } = Rerun::of(summary, around.flags);
        tail.extend(explain.map(|command| page.command("Explain", &command)));
        tail.extend(again.map(|command| page.command("Judge again", &command.with_scenario(IN_REPORT))));
    }
    tail.extend(around.left.iter().map(|(verb, command)| page.command(verb, command)));
    tail.extend(files(summary, around, &page));
    tail.extend(finish(summary, &page));
    let length = |line: &String| line.chars().count() - if line.starts_with('\x1b') { COLOURS } else { 0 };
    let rows = |lines: &[String]| lines.iter().map(|line| length(line).div_ceil(page.width).max(1)).sum::<usize>();
    let room = SCREEN.saturating_sub(rows(&head) + rows(&tail));
    let broken = trouble.map(|trouble| broken(&trouble, room, &page)).unwrap_or_default();
    head.into_iter().chain(broken).chain(tail).collect()
}

/// How lines are set.
struct Page {
    manner: Manner,
    width: usize,
}

impl Page {
    /// A verb and a text in as many lines as it takes.
    fn text(&self, verb: &str, colour: Colour, text: &str) -> Vec<String> {
        let mut lines = wrap(text, self.width - INDENT.len()).into_iter();
        let first = line(self.manner, verb, colour, &lines.next().unwrap_or_default());
        std::iter::once(first).chain(lines.map(|line| format!("{INDENT}{line}"))).collect()
    }

    /// A command on a line of its own, however long: it is there to be copied.
    fn command(&self, verb: &str, command: &str) -> String {
        line(self.manner, verb, Colour::Cyan, &one_line(command))
    }

    /// A text below a verb, in so many lines at most; what is cut has been told with its verdict.
    fn below(&self, text: &str, most: usize) -> Vec<String> {
        let room = self.width - INDENT.len();
        let mut lines = wrap(&one_line(text), room);
        if lines.len() > most {
            lines.truncate(most);
            lines.iter_mut().skip(most.saturating_sub(1)).for_each(|line| *line = cut(&format!("{line} …"), room));
        }
        lines.into_iter().map(|line| format!("{INDENT}{line}")).collect()
    }
}

fn broken(trouble: &Trouble, room: usize, page: &Page) -> Vec<String> {
    let title = one_line(&trouble.title);
    let title = if title.is_empty() { title } else { format!("{UNBROKEN} {title}") };
    let mut lines = page.text("Broken first", Colour::Red, &format!("{}{title}", one_line(&trouble.id)));
    // The cause goes before what may follow from it.
    let texts = trouble.cause.lines().next().into_iter().chain(trouble.advice.iter().map(String::as_str));
    for text in texts {
        let left = room.saturating_sub(lines.len());
        lines.extend(page.below(text, left.min(4)));
    }
    lines
}

fn time(summary: &Summary) -> String {
    let rows = summary.times.rows(summary.elapsed);
    let parts: Vec<String> = rows.iter().map(|(part, took)| took_by(part.name(), *took)).collect();
    match parts.is_empty() {
        true => seconds(summary.elapsed),
        false => format!("{}: {}", seconds(summary.elapsed), parts.join(", ")),
    }
}

/// What took how long, on one line whatever stands around it.
fn took_by(what: &str, took: f64) -> String {
    format!("{what} {}", seconds(took)).replace(' ', UNBROKEN)
}

/// What decided how long the run took: of the critical path those things that took longest, in its order.
fn critical_path(summary: &Summary) -> Option<String> {
    let path = summary.times.critical_path();
    let mut by_length: Vec<&Span> = path.iter().collect();
    by_length.sort_by(|a, b| b.seconds().total_cmp(&a.seconds()));
    let shortest = by_length.iter().take(LONGEST).next_back()?.seconds().max(0.05);
    let long: Vec<String> = path
        .iter()
        .filter(|span| span.seconds() >= shortest)
        .map(|span| took_by(&one_line(&span.id), span.seconds()))
        .collect();
    let others = path.len() - long.len();
    let more = if others == 0 { String::new() } else { format!(", and {others} shorter") };
    (path.len() > 1 && !long.is_empty()).then(|| format!("{}{more}", long.join(" > ")))
}

/// Where the reports are, the one for people first.
fn files(summary: &Summary, around: &Around<'_>, page: &Page) -> Vec<String> {
    let Some(head) = &summary.head else { return Vec::new() };
    let own = || format!("{}/{}", around.runs, head.run);
    let folder = around.beside.map_or_else(own, |beside| beside.folder.display().to_string());
    let mut names = crate::report::files::FILES.iter().map(|file| file.name).chain(["junit.xml", "events.jsonl"]);
    let first = names.next().unwrap_or_default();
    let diagnosed = summary.diagnosed.iter().filter(|_| around.beside.is_none_or(|beside| beside.diagnostics));
    let diagnosed = diagnosed.map(|one| format!("{}/", one_line(&one.folder)));
    let beside: Vec<String> = names.map(str::to_string).chain(diagnosed).collect();
    let mut lines = vec![page.command("Report", &format!("{folder}/{first}"))];
    lines.extend(page.below(&format!("beside it: {}", beside.join(", ")), 3));
    lines
}

fn finish(summary: &Summary, page: &Page) -> Vec<String> {
    match &summary.finished {
        Some(finish) => {
            let colour = if finish.exit == 0 { Colour::Green } else { Colour::Red };
            let lab = match finish.lab_kept {
                true if summary.is_brought() => "; what was made is kept",
                true => "; the lab is kept",
                false => "",
            };
            page.text("Finished", colour, &format!("exit {}: {}{lab}", finish.exit, one_line(&finish.meaning)))
        }
        None => page.text("Died", Colour::Red, "the run ended without saying how: it was killed, or it goes on"),
    }
}
