//! What a caller does to the subject, call by call, and what it tells of it.

use crate::workload::{IO_BYTES, Operation, SEGMENT_BYTES, content};
use bytes::Bytes;
use segment_engine::disk::Disk;
use segment_engine::ring::Eviction;
use segment_engine::{Body, Engine, Env, Error, Put, Reader, Result, Ring, RingState, Rotation, SegmentId};
use segment_sim::history::{Answer, Key};
use segment_sim::world::{SimEnv, Teller};
use std::io;
use std::sync::Arc;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The subject, as a caller has it.
#[derive(Clone)]
pub(crate) enum Act {
    /// The ring alone, and its surroundings.
    RingState(Arc<SimEnv>, Arc<RingState<SimEnv>>),
    /// All of it.
    Engine(Arc<Engine<SimEnv>>),
}

impl Act {
    /// Does the operations one after the other, and tells what came of each.
    pub async fn perform(&self, operations: &[Operation], teller: &Teller) {
        for operation in operations {
            if let Operation::Sleep(duration_ms) = operation {
                teller.sleeps(u64::from(*duration_ms)).await;
                continue;
            }
            teller.begins();
            let answer = match self {
                Act::RingState(env, ring) => on_ring_state(env, ring, *operation, teller).await,
                Act::Engine(engine) => on_engine(engine, *operation, teller).await,
            };
            teller.tell(answer.unwrap_or_else(|error| match error {
                Error::Evicted { key } => Answer::GaveUp(key[0]),
                Error::DiskFull { length } => Answer::NoRoom(length),
                Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Answer::Full,
                error => Answer::failed(&error),
            }));
        }
    }
}

async fn on_ring_state(
    env: &SimEnv,
    ring: &RingState<SimEnv>,
    operation: Operation,
    teller: &Teller,
) -> Result<Answer> {
    match operation {
        Operation::Push | Operation::Rotate => {
            let segment = env.segment_id();
            env.disk().create(segment).await?;
            ring.mutate(|ring| ring.push(segment, SEGMENT_BYTES)).await?;
            Ok(Answer::Pushed(segment))
        }
        Operation::EvictSegment(_) | Operation::EvictPlace(_) => {
            let segment = victim(&ring.snapshot().ring, operation);
            teller.evicts(segment);
            Ok(evicted(ring.mutate(|ring| ring.doom(segment)).await?, segment))
        }
        Operation::Relieve(segments) => {
            let target = u64::from(segments) * SEGMENT_BYTES;
            let victims = ring.mutate(|ring| ring.doom_oldest_until(target)).await?;
            Ok(Answer::Relieved { target_bytes: target, victims })
        }
        Operation::Put(..)
        | Operation::PutStream(..)
        | Operation::Get(_)
        | Operation::GetStream(_)
        | Operation::Contains(_)
        | Operation::Sleep(_)
        | Operation::Take(_)
        | Operation::Leave(_) => {
            unreachable!("the ring state alone holds no artifacts")
        }
    }
}

async fn on_engine(engine: &Engine<SimEnv>, operation: Operation, teller: &Teller) -> Result<Answer> {
    match operation {
        Operation::Push | Operation::Rotate => loop {
            if let Rotation::Rotated(segment) = engine.rotate(engine.active()).await? {
                return Ok(Answer::Pushed(segment));
            }
        },
        Operation::EvictSegment(_) | Operation::EvictPlace(_) => {
            let segment = victim(&engine.ring_state().snapshot().ring, operation);
            teller.evicts(segment);
            Ok(evicted(engine.evict(segment).await?, segment))
        }
        Operation::Relieve(segments) => {
            let target_bytes = u64::from(segments) * SEGMENT_BYTES;
            Ok(Answer::Relieved { target_bytes, victims: engine.relieve(target_bytes).await? })
        }
        Operation::Put(key, number) => {
            let bytes = content(number);
            let (content, since) = teller.puts(key, &bytes, false);
            let is_new = engine.put(&[key], bytes.into()).await? == Put::Stored;
            Ok(Answer::Put { is_new, key, content, since })
        }
        Operation::PutStream(key, number) => {
            let bytes = Bytes::from(content(number));
            let (content, since) = teller.puts(key, &bytes, true);
            let put = engine
                .put_stream(&[key], bytes.len() as u64, Pieces { bytes, position: 0, teller: teller.clone() })
                .await?;
            Ok(Answer::Put { is_new: put == Put::Stored, key, content, since })
        }
        Operation::Get(key) => {
            let since = teller.reads(false);
            let content = engine.get(&[key]).await?.map(|bytes| xxh3_64(&bytes));
            content.inspect(|content| teller.has_read(key, *content));
            Ok(Answer::Read { key, content, since })
        }
        Operation::GetStream(key) => {
            let since = teller.reads(true);
            let content = match engine.read(&[key]).await? {
                Some(reader) => match in_pieces(reader, key, teller).await {
                    Err(Error::Evicted { .. }) => return Ok(Answer::CutOff { key, since }),
                    content => Some(content?),
                },
                None => None,
            };
            Ok(Answer::Read { key, content, since })
        }
        Operation::Contains(key) => {
            let since = teller.reads(false);
            Ok(Answer::Contains { key, found: engine.contains(&[key]).await?, since })
        }
        Operation::Sleep(_) => unreachable!("it is no call"),
        Operation::Take(bytes) => {
            teller.takes_room(u64::from(bytes));
            Ok(Answer::Others)
        }
        Operation::Leave(bytes) => {
            teller.leaves_room(u64::from(bytes));
            Ok(Answer::Others)
        }
    }
}

/// Reads piece by piece, and takes its time with each; returns the hash of all.
async fn in_pieces(mut reader: Reader<SimEnv>, key: Key, teller: &Teller) -> Result<u64> {
    let (mut hash, mut read) = (Xxh3::new(), 0);
    while let Some(piece) = reader.next().await? {
        hash.update(&piece);
        read += piece.len() as u64;
        if read == reader.length() {
            teller.has_read(key, hash.digest());
            teller.took_piece().await;
            return Ok(hash.digest()); // who has it all does not ask whether there is more
        }
        teller.took_piece().await;
    }
    teller.has_read(key, hash.digest());
    Ok(hash.digest())
}

/// A body of small pieces that can be had again.
struct Pieces {
    bytes: Bytes,
    position: usize,
    teller: Teller,
}

impl Body for Pieces {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.teller.awaits_body().await;
        let end = self.bytes.len().min(self.position + IO_BYTES / 2);
        let piece = self.bytes.slice(self.position..end);
        self.position = end;
        Ok((!piece.is_empty()).then_some(piece))
    }

    fn restart(&mut self) -> bool {
        self.position = 0;
        true
    }
}

/// The segment that an eviction is about, as its caller sees the ring before.
fn victim(ring: &Ring, operation: Operation) -> SegmentId {
    match operation {
        Operation::EvictPlace(place) => ring.members()[place as usize % ring.members().len()].segment,
        Operation::EvictSegment(number) => SegmentId::from_u128(u128::from(number)),
        _ => unreachable!("it has no victim of its own"),
    }
}

fn evicted(eviction: Eviction, segment: SegmentId) -> Answer {
    match eviction {
        Eviction::Doomed => Answer::Evicted(segment),
        Eviction::NotInRing => Answer::Absent(segment),
        Eviction::Active => Answer::RefusedActive(segment),
    }
}
