//! A healthy mesh is green on a machine of which every core is kept busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::calling::Lab;

const ROUNDS: u32 = 5;

#[test]
fn a_healthy_mesh_is_green_with_every_core_kept_busy() {
    let lab = Lab::fresh("t-busy");
    assert_eq!(lab.call("up", &[]), 0);
    assert_eq!(lab.call("install", &[]), 0);
    let busy = Busy::on_every_core();
    for round in 1..=ROUNDS {
        let exit = lab.call("check", &[]);
        assert_eq!(exit, 0, "round {round} with {} threads busy: {:#?}", busy.threads.len(), lab.verdicts());
    }
    println!("busy: {ROUNDS} of {ROUNDS} checks green with {} threads that never rest", busy.threads.len());
    drop(busy);
    lab.down();
    assert_eq!(lab.remains(), Vec::<String>::new());
}

/// Threads that never rest, until this is dropped.
struct Busy {
    on: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    fn on_every_core() -> Busy {
        let on = Arc::new(AtomicBool::new(true));
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let spin = |on: Arc<AtomicBool>| {
            std::thread::spawn(move || {
                while on.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..cores).map(|_| spin(on.clone())).collect();
        Busy { on, threads }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.on.store(false, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked keeps nobody busy.
            let _ = thread.join();
        }
    }
}
