//! What needs neither engine nor lab, as one program: each program is linked anew, which takes longer than its tests.

mod args;
mod bundle;
mod catalogue;
mod diagnose;
mod golden;
mod images;
mod inspect;
mod install;
mod kind;
mod lab_lock;
mod log;
mod matrix;
mod remotes;
mod report;
mod said;
mod scenario;
mod scenario_files;
mod schema;
mod select;
mod shell;
mod tally;
mod topology;
mod topology_host;
mod versions;
mod wait;
mod workflows;
