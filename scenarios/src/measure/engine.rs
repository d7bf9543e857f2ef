//! The engine's turns: puts into a new data directory, then gets of what was put.

use crate::error::Result;
use crate::measure::artifacts::{Artifacts, key};
use crate::measure::counted::{Counter, Syncs};
use crate::measure::turn::{Bound, Turn, tasks};
use crate::observed::Observed;
use segment_engine::limits::SEGMENT_BYTES;
use segment_engine::{Engine, Limits, LocalEnv, RingLimits};
use std::path::Path;
use std::sync::Arc;

/// No turn writes as much as this ring holds: nothing is evicted.
const RING: RingLimits = RingLimits { old: 32, current: 32, new: 32 };

/// An engine on a new directory.
pub struct Subject {
    engine: Arc<Engine<Observed<Counter>>>,
    counter: Counter,
    artifacts: Artifacts,
}

impl Subject {
    /// Opens it, uses it, and closes it also where the use ends in an error: whatever of it still wrote would stand in the way
    /// of who removes the directory. Must be called from a runtime.
    ///
    /// # Errors
    /// Those of the use, and what the engine says.
    pub async fn used<T>(
        directory: &Path,
        artifacts: Artifacts,
        using: impl AsyncFnOnce(&Subject) -> Result<T>,
    ) -> Result<T> {
        let subject = Subject::open(directory, artifacts).await?;
        let used = using(&subject).await;
        let closed = subject.close().await;
        used.and_then(|used| closed.map(|()| used))
    }

    async fn open(directory: &Path, artifacts: Artifacts) -> Result<Subject> {
        let counter = Counter::default();
        let env = Observed::new(LocalEnv::open(directory)?, counter.clone());
        let engine = Engine::open(env, Limits::new(RING, SEGMENT_BYTES)).await?;
        Ok(Subject { engine: Arc::new(engine), counter, artifacts })
    }

    /// Puts artifacts of `bytes`; and the syncs that this took.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn puts(&self, writers: usize, bytes: usize, bound: Bound) -> Result<(Turn, Syncs)> {
        let before = self.counter.syncs();
        let (engine, artifacts) = (self.engine.clone(), self.artifacts.clone());
        let put = move |number| {
            let (engine, artifact) = (engine.clone(), artifacts.artifact(number, bytes));
            async move {
                engine.put(&key(number), artifact).await?;
                Ok(())
            }
        };
        let turn = tasks(writers, bound, put).await?;
        let after = self.counter.syncs();
        Ok((turn, Syncs { data: after.data - before.data, catalog: after.catalog - before.catalog }))
    }

    /// Gets the artifacts `0..there`, again and again.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn gets(&self, readers: usize, bytes: usize, there: u64, bound: Bound) -> Result<Turn> {
        let engine = self.engine.clone();
        let get = move |number| {
            let engine = engine.clone();
            async move {
                let got = engine.get(&key(number % there)).await?;
                assert_eq!(got.map(|artifact| artifact.len()), Some(bytes), "what was put is got");
                Ok(())
            }
        };
        tasks(readers, bound, get).await
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine<Observed<Counter>>> {
        &self.engine
    }

    async fn close(self) -> Result<()> {
        if let Some(engine) = Arc::into_inner(self.engine) {
            engine.close().await?;
        }
        Ok(())
    }
}
