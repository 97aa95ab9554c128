//! The real lab, end to end: made, judged, broken by hand, mended, interrupted, killed, cleaned up and removed.
//!
//! These tests need a Docker engine and the images (`make test-lab` sees to both); without, they fail. Two run at a time:
//! most of a round is waiting, and a verdict has to hold beside another lab, too.

mod account;
mod action;
mod bad_days;
mod breaking;
mod bringing;
mod bystander;
mod calling;
mod capturing;
mod green;
mod lost_lab;
mod reading;
mod reports;
mod running;
mod timeline;
mod upgrade;
mod workflows;
