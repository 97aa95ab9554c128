//! What takes longer than `make test` may, on the real lab; each suite prints its count.

// Shared with the lab's tests; not all of it is of use here.
#[allow(dead_code)]
#[path = "../lab/calling.rs"]
mod calling;
mod topology;
