//! A thread for each processor, each with a runtime and accept loops of its own: a connection stays where it was accepted, and
//! no request wakes another thread.

use std::io;
use std::sync::Arc;
use std::thread;

use super::accept::{BootService, Door};
use super::listen::Listener;
use crate::observe;
use crate::pulse::Pulse;

/// Serves these listeners on a thread for each of these pulses, each of which takes connections from all of them, until the
/// door is closed and the last connection has ended. A thread that is held up is missed by its pulse.
///
/// # Errors
/// When a thread, its runtime or its share of a socket cannot be had.
pub fn spawn<S: BootService>(
    threads: &[Pulse],
    door: &Arc<Door>,
    listeners: &[Listener],
    service: &S,
) -> io::Result<()> {
    for (number, pulse) in threads.iter().enumerate() {
        let shares = listeners.iter().map(Listener::share);
        let shares = shares.collect::<io::Result<Vec<_>>>()?;
        let (door, service, pulse) = (Arc::clone(door), service.clone(), pulse.clone());
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
            tokio::select! {
                () = pulse.clone().beat() => {}
                () = door.ended() => pulse.rest(),
            }
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
