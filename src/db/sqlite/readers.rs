//! A few threads for reads whose cost nobody can bound beforehand, so that they never hold up a worker.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::connection::{self, Options};
use crate::error::{Error, Result};

type Job = Box<dyn FnOnce(&Options) + Send>;

/// The threads. They end when this is dropped.
pub(super) struct Readers {
    jobs: mpsc::Sender<Job>,
}

impl Readers {
    pub(super) fn start(options: &Arc<Options>, threads: usize) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for position in 0..threads.max(1) {
            let (options, queue) = (options.clone(), queue.clone());
            thread::Builder::new()
                .name(format!("sqlite-reader-{position}"))
                .spawn(move || serve(&options, &queue))
                .map_err(Error::internal)?;
        }
        Ok(Readers { jobs })
    }

    /// Runs `work` on one of the threads.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |options| {
            // A caller that has gone away wants no work done.
            if !reply.is_closed() {
                let _ = reply.send(connection::in_place(options, work));
            }
        });
        let gone = || Error::internal(anyhow::anyhow!("the reading threads of the database have ended"));
        self.jobs.send(job).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn serve(options: &Options, queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(job) = job else { return };
        // A job that panics drops its reply, which its caller reports; the thread lives on.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(options))).is_err() {
            tracing::error!("a read of the database panicked");
        }
    }
}
