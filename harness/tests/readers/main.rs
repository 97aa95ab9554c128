//! Reports as their readers see them: a browser, readers of JUnit, the linter of workflows. `kind/readers` gets these; a test that
//! finds its reader missing fails.

mod place;
mod workflows;
