//! meshproof's harness: brings up the lab, installs the mesh as the guide says, runs the checks that it is handed, and
//! reports. It knows no check by name; the catalogue is in the crate `suites`.

pub mod brought;
pub mod budget;
pub mod bundle;
pub mod check;
pub mod cli;
pub mod context;
pub mod diagnose;
pub mod event;
pub mod exit;
pub mod explain;
pub mod field;
pub mod inspect;
pub mod install;
pub mod lab;
pub mod matrix;
pub mod mesh;
pub mod milestone;
pub mod per_cluster;
pub mod plan;
pub mod problem;
pub mod reading;
pub mod report;
pub mod role;
pub mod run;
pub mod sabotage;
pub mod scenario;
pub mod select;
pub mod stray;
pub mod tls;
pub mod tool;
pub mod topology;
pub mod traffic;
pub mod usage;
pub mod versions;
pub mod wait;

/// meshproof's version, with the commit that it was built from where that is known.
pub fn version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), env!("MESHPROOF_COMMIT"))
}
