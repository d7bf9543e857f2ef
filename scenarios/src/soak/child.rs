//! The child: an engine on a real directory and many callers that never stop. It tells what it does until it is killed.
#![allow(clippy::disallowed_methods, reason = "real tasks on the production environment")]

use crate::error::{Error, Result};
use crate::observed::Observed;
use crate::soak::contents::{self, Draws, KEYS, key};
use crate::soak::telling::Teller;
use crate::soak::wire::{Answer, Mend, Told};
use bytes::Bytes;
use segment_engine::{Body, Engine, Error as EngineError, Limits, LocalEnv, Put, RingLimits};
use segment_sim::verdict::Verdict;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a segment: two of the largest contents, so that rotations are frequent.
const SEGMENT_BYTES: u64 = 1 << 20;

/// What the engine is opened with: everything small, so that everything happens often.
pub const LIMITS: Limits = Limits {
    io_bytes: 64 << 10,
    stripes: 4,
    batch_rows: 4,
    ..Limits::new(RingLimits { old: 2, current: 2, new: 2 }, SEGMENT_BYTES)
};

/// Callers at once.
const WORKERS: u64 = 16;

/// Threads that run them, whatever the machine has: more than one, so that they meet.
const THREADS: usize = 4;

/// Of this many operations: puts, half of them streamed, gets, rotations and evictions; the rest are pressure passes.
const OPERATIONS: u64 = 100;
const PUTS: u64 = 75;
const GETS: u64 = 18;
const ROTATIONS: u64 = 3;
const EVICTIONS: u64 = 3;

/// One put in so many puts the content that the key always has now and then: it may be there already.
const SAME_CONTENT_IN: u64 = 8;

/// One put in so many is dropped within so many microseconds, if it has not ended by then.
const DROPPED_IN: u64 = 16;
const DROPPED_MICROS: u64 = 5_000;

/// Bytes that a streamed body gives at once, at most.
const PIECE_BYTES: usize = 96 << 10;

/// After an error of the disk a caller waits so long, and before each read where it only reads.
const PAUSE: Duration = Duration::from_millis(1);

/// Pressure shrinks the ring to this many segments.
const RELIEVED_SEGMENTS: u64 = 3;

/// Be the child of a soak: work in a data directory, and tell, until killed
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The seed of the soak
    #[arg(long, value_name = "S")]
    seed: u64,
    /// Which child it is, from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    life: u32,
}

/// Works until killed.
///
/// # Errors
/// What the engine says, if it cannot be opened. Later errors are told.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_time().build();
    let runtime = runtime.map_err(Error::io("start threads for", &arguments.dir))?;
    let teller = Teller::new(arguments.life);
    let first_words = teller.clone();
    let done = runtime.block_on(live(arguments, teller));
    if let Err(error) = &done {
        let how = format!("the open ended with: {error}");
        let is_of_disk = matches!(error, Error::Harness(error) if is_of_disk(error));
        first_words.tell(&if is_of_disk { Told::NotOpened(how) } else { Told::Failed(how) });
    }
    done
}

async fn live(arguments: &Arguments, teller: Teller) -> Result<Verdict> {
    teller.tell(&Told::Opening);
    let env = Observed::new(LocalEnv::open(&arguments.dir)?, teller.clone());
    teller.tell(&Told::Recovering);
    let engine = Arc::new(Engine::open(env, LIMITS).await?);
    for repair in engine.repairs() {
        teller.tell(&Told::Mended(Mend::from(repair)));
    }
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let draws = Draws::new(arguments.seed, "worker", &[u64::from(arguments.life), worker]);
            let (engine, teller) = (engine.clone(), teller.clone());
            let worker = Worker { engine, teller, seed: arguments.seed, draws, is_fenced: false };
            tokio::spawn(worker.work())
        })
        .collect();
    for worker in workers {
        if worker.await.is_err() {
            teller.tell(&Told::Failed("a caller panicked".to_string()));
        }
    }
    Ok(Verdict::Fail)
}

/// A caller.
struct Worker {
    engine: Arc<Engine<Observed<Teller>>>,
    teller: Teller,
    seed: u64,
    draws: Draws,
    /// Writes are fenced: it only reads from now on.
    is_fenced: bool,
}

impl Worker {
    /// Works until something fails that no failing device explains.
    async fn work(mut self) {
        loop {
            let operation = self.draws.below(OPERATIONS);
            let is_get = self.is_fenced || (PUTS..PUTS + GETS).contains(&operation);
            let (name, done) = if is_get {
                ("a get", self.get().await)
            } else if operation < PUTS {
                ("a put", self.put().await)
            } else if operation < PUTS + GETS + ROTATIONS {
                ("a rotation", self.engine.rotate(self.engine.active()).await.map(drop))
            } else if operation < PUTS + GETS + ROTATIONS + EVICTIONS {
                ("an eviction", self.evict().await)
            } else {
                ("a pressure pass", self.engine.relieve(RELIEVED_SEGMENTS * SEGMENT_BYTES).await.map(drop))
            };
            match done {
                Ok(()) if self.is_fenced => self.teller.tell(&Told::ReadOn),
                Ok(()) => {}
                Err(error @ EngineError::Io { .. }) if is_get => {
                    self.teller.tell(&Told::Unread(format!("{name} ended with: {error}")));
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) if !is_get && is_of_disk(&error) => {
                    self.teller.tell(&Told::Refused(format!("{name} ended with: {error}")));
                    // reads go on
                    self.is_fenced = is_for_good(&error);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    self.teller.tell(&Told::Failed(format!("{name} ended with: {error}")));
                    return;
                }
            }
        }
    }

    fn key(&mut self) -> u32 {
        u32::try_from(self.draws.below(KEYS.into())).unwrap_or(0)
    }

    async fn put(&mut self) -> segment_engine::Result<()> {
        let (number, operation) = (self.key(), self.teller.operation());
        let which = if self.draws.below(SAME_CONTENT_IN) == 0 { 0 } else { operation };
        let (is_streamed, is_dropped) = (self.draws.below(2) == 0, self.draws.below(DROPPED_IN) == 0);
        let patience = Duration::from_micros(self.draws.below(DROPPED_MICROS));
        let bytes = contents::bytes(self.seed, number, which);
        let content = contents::content(Some(which), &bytes);
        self.teller.tell(&Told::Put { operation, key: number, content });
        let key = key(number);
        let put = async {
            if is_streamed {
                self.engine.put_stream(&key, content.length, Pieces { left: bytes.clone(), whole: bytes }).await
            } else {
                self.engine.put(&key, bytes).await
            }
        };
        let put = if is_dropped { tokio::time::timeout(patience, put).await.ok() } else { Some(put.await) };
        let answer = match put {
            Some(Ok(Put::Stored)) => Answer::Stored,
            Some(Ok(Put::AlreadyHere)) => Answer::Here,
            Some(Err(EngineError::Evicted { .. })) => Answer::Evicted,
            Some(Err(EngineError::DiskFull { .. })) => Answer::Full,
            Some(Err(error)) => {
                let answer = if stores_nothing(&error) { Answer::Refused } else { Answer::Unknown };
                self.teller.tell(&Told::Answered { operation, answer });
                return Err(error);
            }
            None => Answer::Unknown,
        };
        self.teller.tell(&Told::Answered { operation, answer });
        Ok(())
    }

    async fn get(&mut self) -> segment_engine::Result<()> {
        if self.is_fenced {
            tokio::time::sleep(PAUSE).await;
        }
        let key = key(self.key());
        // the checksum is the engine's to check; an answer is of some moment, and the simulation knows of which
        self.engine.get(&key).await.map(drop)
    }

    async fn evict(&mut self) -> segment_engine::Result<()> {
        let latest = self.engine.ring_state().snapshot();
        let members = latest.ring.members();
        let at = usize::try_from(self.draws.below(members.len() as u64)).unwrap_or(0);
        match members.get(at) {
            Some(victim) => self.engine.evict(victim.segment).await.map(drop),
            None => Ok(()),
        }
    }
}

/// Whether a failing device explains the error.
fn is_of_disk(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Io { .. }
            | EngineError::Catalog { .. }
            | EngineError::Unsynced(_)
            | EngineError::Fenced
            | EngineError::Crowded { .. }
    )
}

/// Whether nothing is written any more after it.
fn is_for_good(error: &EngineError) -> bool {
    match error {
        EngineError::Catalog { .. } | EngineError::Fenced => true,
        EngineError::Unsynced(first) => is_for_good(first),
        _ => false,
    }
}

/// Whether a put that ended so has stored nothing, as its documentation has it.
fn stores_nothing(error: &EngineError) -> bool {
    match error {
        EngineError::Catalog { .. } => false,
        EngineError::Unsynced(first) => matches!(**first, EngineError::Io { .. }),
        _ => true,
    }
}

/// A body that comes in pieces.
struct Pieces {
    whole: Bytes,
    left: Bytes,
}

impl Body for Pieces {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        // others go on between two pieces, as with a network
        tokio::task::yield_now().await;
        let piece = self.left.split_to(self.left.len().min(PIECE_BYTES));
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    fn restart(&mut self) -> bool {
        self.left = self.whole.clone();
        true
    }
}
