//! A runtime and a thread that live as long as the process.
//!
//! Sockets belong to the reactor they were made on, and `PR_SET_PDEATHSIG` fires when the *thread* that
//! forked ends. A test's own runtime and thread are too short-lived for both as soon as tests share a
//! federation.

use std::future::Future;
use std::process::{Child, Command};
use std::sync::{LazyLock, mpsc};
use std::{io, thread};

use tokio::runtime::{Builder, Runtime};

#[allow(clippy::expect_used, reason = "without a runtime there is no testbed")]
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("testbed")
        .enable_all()
        .build()
        .expect("the testbed's runtime")
});

type SpawnRequest = (Command, mpsc::Sender<io::Result<Child>>);

static SPAWNER: LazyLock<mpsc::Sender<SpawnRequest>> = LazyLock::new(|| {
    let (tx, rx) = mpsc::channel::<SpawnRequest>();
    thread::spawn(move || {
        for (mut command, reply) in rx {
            // Nobody left to take the child: it goes with the process.
            let _ = reply.send(command.spawn());
        }
    });
    tx
});

/// Runs a future on the testbed's own runtime.
pub(crate) fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    RUNTIME.spawn(future)
}

/// Starts a process from the thread that lives as long as this process.
pub(crate) fn spawn_process(command: Command) -> io::Result<Child> {
    let (tx, rx) = mpsc::channel();
    SPAWNER.send((command, tx)).map_err(io::Error::other)?;
    rx.recv().map_err(io::Error::other)?
}
