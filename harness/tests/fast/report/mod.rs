//! Reporters are folds: what they must say of a run is claimed here of made-up runs.

mod diff;
mod exit;
mod files;
mod github;
mod history;
mod json;
mod jsonl;
mod junit;
mod plan;
mod rerun;
mod story;
mod summary;
mod terminal;
mod trace;
mod view;
