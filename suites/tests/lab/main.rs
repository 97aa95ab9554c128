//! The real lab, end to end: made, judged, broken by hand, mended, interrupted, killed, cleaned up and removed.
//!
//! These tests need a Docker engine and the images (`make test-lab` sees to both); without, they fail. They run one at
//! a time: two labs at once would measure the host and not the mesh.

mod bad_days;
mod breaking;
mod bringing;
mod bystander;
mod calling;
mod capturing;
mod green;
mod lost_lab;
mod reading;
mod running;
mod timeline;
mod upgrade;
