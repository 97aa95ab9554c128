//! What takes longer than `make test` may, on the real lab; each suite prints its count.

mod busy;
#[path = "../lab/calling.rs"]
mod calling;
mod deadlines;
mod engine_loss;
mod full_disk;
mod interrupts;
mod kills;
mod official;
mod private_engine;
mod reattaching;
#[path = "../lab/running.rs"]
mod running;
mod topology;
mod upgrade;
