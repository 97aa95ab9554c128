//! Reports as their readers see them: a browser, readers of JUnit, the linter of workflows. `kind/readers` gets these; a test that
//! finds its reader missing fails.

mod browser;
mod junit;
mod pages;
mod place;
#[path = "../fast/report/story.rs"]
#[allow(dead_code, reason = "the fast tests tell more of it")]
mod story;
mod workflows;
