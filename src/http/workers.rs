//! A thread for each processor, each with a runtime and accept loops of its own: a connection stays where it was accepted, and
//! no request wakes another thread.

use std::io;
use std::sync::Arc;
use std::thread;

use super::accept::{BootService, Door};
use super::listen::Listener;
use crate::observe;

/// Serves these listeners on as many threads, each of which takes connections from all of them, until the door is closed and
/// the last connection has ended.
///
/// # Errors
/// When a thread, its runtime or its share of a socket cannot be had.
pub fn spawn<S: BootService>(
    threads: usize,
    door: &Arc<Door>,
    listeners: &[Listener],
    service: &S,
) -> io::Result<()> {
    for number in 0..threads.max(1) {
        let shares = listeners.iter().map(Listener::share);
        let shares = shares.collect::<io::Result<Vec<_>>>()?;
        let (door, service) = (Arc::clone(door), service.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(observe::flush)
            .build()?;
        let serve = async move {
            for share in shares {
                match share.listen() {
                    Ok(listener) => {
                        tokio::spawn(Arc::clone(&door).serve(listener, service.clone()));
                    }
                    // The other threads still serve.
                    Err(error) => tracing::error!("a thread cannot listen: {error}"),
                }
            }
            door.ended().await;
        };
        thread::Builder::new()
            .name(format!("http-{number}"))
            .spawn(move || {
                observe::gather();
                runtime.block_on(serve);
                observe::flush();
            })?;
    }
    Ok(())
}
