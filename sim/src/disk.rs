//! The simulated segment directory: operations queue with the conductor and land when a step says so.
//!
//! What of them a power loss leaves is kept in [`crate::files`]. An operation that fails may have had a part of its effect.

use crate::conductor::{Conductor, ERRNO_FULL, Failure, Landing, OperationTraits, Pulse};
use crate::confined::Confined;
use crate::decision::{Question, below};
use crate::files::Inode;
use crate::history::{History, Measured, is_doomed};
use crate::interference::Kind;
use crate::site::has_kind;
use crate::vocabulary::FREE_TOLD;
use bytes::Bytes;
use segment_engine::disk::{Disk, ShortWrite};
use segment_engine::manifest::Manifest;
use segment_engine::{Error, Result, SegmentId};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// One unlink of this many that fail has happened all the same.
const UNLINKED_ALL_THE_SAME: u64 = 4;

/// One of this many leaves the file stuck: every other of the same segment fails while any caller or worker goes on.
const STUCK: u64 = 8;

/// And one of this many leaves every segment so.
const ALL_STUCK: u64 = 16;

/// Fewer than this many of them fail in any case: an evictor that gives up leaves the segment doomed for ever.
const STUCK_TRIES: u64 = 16;

/// A directory of one run.
#[derive(Clone)]
pub struct SimDisk {
    conductor: Conductor,
    history: Arc<Confined<History>>,
}

impl SimDisk {
    /// A directory whose files are those of `history`.
    pub fn new(conductor: Conductor, history: Arc<Confined<History>>) -> SimDisk {
        SimDisk { conductor, history }
    }

    /// Takes down which segment the operation is about that is handed in next, if that is kept.
    fn touch(&self, point: &'static str, segment: SegmentId) {
        if let Some(lineage) = &mut self.history.borrow_mut().lineage {
            lineage.touched.extend(self.conductor.coming(point).map(|site| (site, segment)));
        }
    }

    /// A rotation that has looked at what is doomed goes on: takes down how much that was.
    fn goes_on(&self) {
        let is_rotation = |pulse: Pulse<'_>| pulse.current().filter(|task| has_kind(pulse.label(*task), "rotation"));
        if let Some(task) = self.conductor.look(is_rotation) {
            let mut history = self.history.borrow_mut();
            let doomed = history.saved().map_or(0, |saved| saved.ring.doomed().iter().map(|doomed| doomed.bytes).sum());
            history.room.doomed_looked_at.entry(task).or_insert(doomed);
        }
    }

    /// A refresh that reads the first bytes of an artifact has a range for the copy: takes down what is free.
    fn may_copy(&self, segment: SegmentId, offset: u64) {
        let is_refresh = |pulse: Pulse<'_>| pulse.current().filter(|task| has_kind(pulse.label(*task), "refresh"));
        if let Some(task) = self.conductor.look(is_refresh) {
            let mut history = self.history.borrow_mut();
            let begins = |manifest: &Manifest| (manifest.segment, manifest.offset) == (segment, offset);
            let length = history.rows.iter().map(|row| row.manifest).find(begins).map(|manifest| manifest.length);
            if length.is_some() {
                history.copies(task, length);
            }
        }
    }

    /// Hands in an operation that has its effect or none.
    async fn submit<T: Send + 'static>(
        &self,
        point: &'static str,
        (verb, segment): (&'static str, Option<SegmentId>),
        effect: impl FnOnce(&mut History) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if let Some(segment) = segment {
            self.touch(point, segment);
        }
        let history = self.history.clone();
        let effect = move |landing: Landing| {
            let mut history = history.borrow_mut();
            match landing.failure() {
                None => effect(&mut history),
                Some(failure) => Err(refused(&mut history, verb, segment, failure)),
            }
        };
        self.conductor.submit(point, OperationTraits::USUAL, effect).await
    }
}

impl SimDisk {
    /// Hands in an operation on a segment's file. It opens that when it lands, or has it open already, as the plan says; then
    /// an unlink in between takes the name and not the file.
    async fn on_file<T: Send + 'static>(
        &self,
        point: &'static str,
        traits: OperationTraits,
        segment: SegmentId,
        effect: impl FnOnce(&mut History, Option<Inode>, Landing) -> T + Send + 'static,
    ) -> T {
        self.touch(point, segment);
        let is_open = self.conductor.foresee(point, Question::Open).is_some_and(|draw| draw & 1 == 0);
        let history = self.history.clone();
        let open = if is_open { history.borrow_mut().files.open(segment) } else { None };
        let effect = move |landing: Landing| {
            let mut history = history.borrow_mut();
            let inode = history.files.find(segment, open);
            let done = effect(&mut history, inode, landing);
            if let Some(open) = open {
                history.files.close(open);
            }
            done
        };
        self.conductor.submit(point, traits, effect).await
    }
}

impl Disk for SimDisk {
    async fn create(&self, segment: SegmentId) -> Result<()> {
        self.touch("DiskCreate", segment);
        self.history.borrow_mut().begin_file();
        self.goes_on();
        let (history, creator) = (self.history.clone(), self.conductor.current());
        let effect = move |landing: Landing| {
            let mut history = history.borrow_mut();
            if let Landing::Failed(failure) = landing
                && failure.draw & 1 == 0
            {
                return Err(refused(&mut history, "create", Some(segment), failure));
            }
            history.changes += 1;
            if let Some(creator) = creator {
                history.answerable.insert(segment, creator);
            }
            if !history.files.insert(segment) {
                return Err(failed("create", Some(segment), io::ErrorKind::AlreadyExists.into()));
            }
            match landing.failure() {
                None => Ok(()),
                Some(failure) => Err(refused(&mut history, "create", Some(segment), failure)),
            }
        };
        self.conductor.submit("DiskCreate", OperationTraits::USUAL, effect).await
    }

    async fn sync_directory(&self) -> Result<()> {
        let history = self.history.clone();
        let mark = history.borrow_mut().files.mark();
        let effect = move |landing: Landing| {
            let mut history = history.borrow_mut();
            let Landing::Failed(failure) = landing else {
                history.files.sync_directory(mark);
                return Ok(());
            };
            let dropped = history.files.fail_sync_directory(mark, |change| failure.draw >> (change % 64));
            history.interference.add(Kind::DroppedEntry, dropped);
            Err(refused(&mut history, "sync", None, failure))
        };
        self.conductor.submit("DiskSyncDirectory", OperationTraits::USUAL, effect).await
    }

    async fn write_at(&self, segment: SegmentId, offset: u64, bytes: Bytes) -> std::result::Result<(), ShortWrite> {
        let (conductor, writer) = (self.conductor.clone(), self.conductor.current());
        {
            let (mut history, bytes) = (self.history.borrow_mut(), bytes.len() as u64);
            history.room.writing.extend(writer.map(|writer| (writer, bytes)));
            history.moves(bytes);
            history.written_while_closed += if history.evictor.is_closing { bytes } else { 0 };
        }
        let effect = move |history: &mut History, inode: Option<Inode>, landing| {
            history.room.writing.retain(|task, _| Some(*task) != writer);
            let is_late = writer.is_some_and(|writer| conductor.look(|pulse| !pulse.is_alive(writer)));
            let Some(inode) = inode else {
                history.retries.puts_too_late += 1;
                history.put_wrote(writer, None);
                let error = failed("write", Some(segment), io::ErrorKind::NotFound.into());
                return Err(ShortWrite { written: 0, error });
            };
            if bytes.is_empty() && !matches!(landing, Landing::Failed(_)) {
                return Ok(()); // no system call: the file keeps its length, and nothing can fail
            }
            let (whole, free) = (bytes.len() as u64, history.free_bytes());
            let (length, refusal) = match landing {
                Landing::Failed(Failure { errno, draw }) => {
                    (below(draw, whole + 1).min(free), Some(io::Error::from_raw_os_error(errno)))
                }
                // a disk takes what it has room for, and refuses the rest
                Landing::Done | Landing::Rotten(_) => {
                    (whole.min(free), (free < whole).then(|| io::ErrorKind::StorageFull.into()))
                }
                Landing::Cut(draw) => (below(draw, whole + 1).min(free), None),
            };
            // nobody will find it there
            history.retries.puts_too_late += u64::from(!history.files.contains(segment));
            if length > 0 {
                history.files.write_to(inode, offset as usize, &bytes[..length as usize]);
                history.write_over(segment, offset, length);
                history.room.written += length;
                history.room.written_late += if is_late { length } else { 0 };
            }
            *history.room.refused_late.entry(segment).or_default() += if is_late { whole - length } else { 0 };
            history.put_wrote(writer, refusal.is_none().then_some(length));
            let Some(source) = refusal else {
                history.interference.add(Kind::CutWrite, u64::from(0 < length && length < whole));
                *history.writes.entry(segment).or_default() += u64::from(length > 0);
                return Ok(());
            };
            history.interference.add(Kind::ShortWrite, u64::from(length > 0 && length < whole));
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                history.room.writes_refused += 1;
                if let Some(begun) = writer.and_then(|writer| history.begun.get_mut(&writer)) {
                    begun.is_refused = true;
                }
                history.interference.add(Kind::FullDisk, 1);
            } else {
                history.errors.all += 1;
            }
            Err(ShortWrite { written: length, error: failed("write", Some(segment), source) })
        };
        self.on_file("DiskWrite", OperationTraits { fills: true, ..OperationTraits::USUAL }, segment, effect).await
    }

    async fn read_at(&self, segment: SegmentId, offset: u64, length: usize) -> Result<Bytes> {
        self.may_copy(segment, offset);
        self.history.borrow_mut().moves(length as u64);
        let task = self.conductor.current();
        let effect = move |history: &mut History, inode: Option<Inode>, landing| {
            if let Landing::Failed(failure) = landing {
                if length > 0 {
                    history.rot.refuse(task, segment, offset);
                }
                return Err(refused(history, "read", Some(segment), failure));
            }
            let Some(inode) = inode else {
                history.retries.reads_lost += 1;
                return Err(failed("read", Some(segment), io::ErrorKind::NotFound.into()));
            };
            if let Landing::Rotten(draw) = landing {
                history.flip_bit(segment, inode, offset, length as u64, draw);
            }
            if let Some(task) = task {
                history.rot.read(task, segment, offset, length as u64);
            }
            let file = history.files.contents(inode).expect("an open file is there");
            read(file, offset, length).map_err(|source| failed("read", Some(segment), source))
        };
        self.on_file("DiskRead", OperationTraits { rots: length > 0, ..OperationTraits::USUAL }, segment, effect).await
    }

    async fn len(&self, segment: SegmentId) -> Result<u64> {
        let effect = move |history: &mut History| {
            let length = history.files.bytes(segment).map(|file| file.len() as u64);
            length.ok_or_else(|| failed("stat", Some(segment), io::ErrorKind::NotFound.into()))
        };
        self.submit("DiskLen", ("stat", Some(segment)), effect).await
    }

    /// Nothing: whoever joins during a wait might as well have joined before it, and the plan has the sync come late.
    async fn gather(&self, _segment: SegmentId) {}

    async fn sync_file(&self, segment: SegmentId) -> Result<()> {
        let mark = {
            let mut history = self.history.borrow_mut();
            history.begin_sync(Some(segment));
            history.files.mark()
        };
        let effect = move |history: &mut History, inode: Option<Inode>, landing| {
            history.end_sync(Some(segment));
            let Some(inode) = inode else {
                // a put of no bytes has written nothing, and waits for the sync all the same
                let empty = history.putting.iter().filter(|put| put.bytes == 0).count() as u64;
                history.retries.puts_too_late += history.writes.get(&segment).copied().unwrap_or_default() + empty;
                return Err(failed("sync", Some(segment), io::ErrorKind::NotFound.into()));
            };
            let Landing::Failed(failure) = landing else {
                history.files.sync(inode, mark);
                history.syncs.succeeded.insert(segment);
                return Ok(());
            };
            let dropped = history.files.fail_sync(inode, mark, |change| failure.draw >> (change % 64));
            history.interference.add(Kind::DroppedPages, dropped);
            history.syncs.failed.insert(segment);
            Err(refused(history, "sync", Some(segment), failure))
        };
        self.on_file("DiskSync", OperationTraits::USUAL, segment, effect).await
    }

    async fn free_bytes(&self) -> Result<i64> {
        self.goes_on();
        let task = self.conductor.current();
        let written_before = self.history.borrow_mut().room.written;
        let effect = move |history: &mut History| {
            let measured = Measured {
                left: history.left(),
                written_before,
                written_meanwhile: 0,
                log_bytes: history.room.log_bytes,
                open_bytes: history.files.used_by_unlinked(),
                disk_bytes: history.room.disk_bytes,
                unlinked: history.unlinkers.len(),
                holes_gone: history.files.holes_gone(),
                gone_heard: history.room.gone_heard,
                written_late: history.room.written_late,
            };
            history.room.measured.extend(task.map(|task| (task, measured)));
            if let Some(begun) = task.and_then(|task| history.begun.get_mut(&task)) {
                begun.is_refused = false;
                begun.rounds += 1;
            }
            Ok(history.left())
        };
        let left = self.submit("DiskFree", ("stat", None), effect).await;
        // it is an answer of a moment ago: others have gone on since
        self.conductor.reach(FREE_TOLD).await;
        let mut history = self.history.borrow_mut();
        let written = history.room.written - written_before;
        if let Some(measured) = task.and_then(|task| history.room.measured.get_mut(&task)) {
            measured.written_meanwhile = written;
        }
        drop(history);
        left
    }

    async fn unlink(&self, segment: SegmentId) -> Result<()> {
        self.touch("DiskUnlink", segment);
        let (history, conductor, task) = (self.history.clone(), self.conductor.clone(), self.conductor.current());
        let stuck = {
            let evictor = &mut self.history.borrow_mut().evictor;
            evictor.unlink(segment, conductor.now_ms());
            evictor.is_stuck(segment, || conductor.look(|pulse| pulse.is_busy()))
        };
        // a guided run would have to know that its steps depend on whether anybody goes on
        let may_get_stuck = !conductor.is_guided();
        let effect = move |landing: Landing| {
            let mut history = history.borrow_mut();
            history.changes += 1;
            let failure = landing.failure();
            if failure.is_none_or(|failure| !stuck && below(failure.draw, UNLINKED_ALL_THE_SAME) == 0) {
                if failure.is_some() && history.files.contains(segment) {
                    let used = history.files.used(segment);
                    history.room.gone_unheard.insert(segment, used);
                }
                history.files.remove(segment);
                history.unlinkers.extend(task.map(|task| (segment, task)));
            }
            let is_doomed = history.saved().is_some_and(|saved| is_doomed(saved, segment));
            let Some(Failure { errno, draw }) = failure else {
                history.room.gone_heard += history.room.gone_unheard.remove(&segment).unwrap_or_default();
                if is_doomed {
                    history.evictor.unlinked(conductor.look(|pulse| pulse.step()));
                }
                return Ok(());
            };
            history.evictor.unlinks_failed += 1;
            let is_alive = task.is_some_and(|task| conductor.look(|pulse| pulse.is_alive(task)));
            history.evictor.dooms_failed += u64::from(is_doomed && is_alive);
            if is_doomed {
                history.evictor.refuse(segment);
                // what an open has tried the evictor tries again at once
                let failed_ms = Some((segment, conductor.now_ms())).filter(|_| !history.is_recovering);
                history.evictor.failed_ms.extend(failed_ms);
            } else {
                history.strays_left.insert(segment);
            }
            if is_doomed && may_get_stuck && !stuck && below(draw, STUCK) == STUCK - 1 {
                let one = Some(segment).filter(|_| below(draw, ALL_STUCK) < ALL_STUCK - 1);
                history.evictor.stuck.insert(one, draw % STUCK_TRIES);
                history.interference.add(Kind::StuckFile, 1);
            }
            Err(failed("unlink", Some(segment), io::Error::from_raw_os_error(errno)))
        };
        let traits = OperationTraits { slow: true, fails: true, stuck, ..OperationTraits::USUAL };
        self.conductor.submit("DiskUnlink", traits, effect).await
    }

    async fn list(&self) -> Result<Vec<SegmentId>> {
        self.submit("DiskList", ("list", None), |history| Ok(history.files.iter().collect())).await
    }
}

/// What a real file of these bytes would answer.
fn read(file: &[u8], offset: u64, length: usize) -> io::Result<Bytes> {
    if length == 0 {
        return Ok(Bytes::new()); // no system call
    }
    // the system counts offsets with a sign
    let end = offset.checked_add(length as u64).filter(|end| i64::try_from(*end).is_ok());
    let end = end.ok_or(io::ErrorKind::InvalidInput)?;
    let bytes = file.get(offset as usize..end as usize).map(Bytes::copy_from_slice);
    bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The error of an operation that the plan makes fail.
fn refused(history: &mut History, verb: &'static str, segment: Option<SegmentId>, failure: Failure) -> Error {
    history.errors.all += 1;
    history.errors.full += u64::from(failure.errno == ERRNO_FULL);
    failed(verb, segment, io::Error::from_raw_os_error(failure.errno))
}

fn failed(operation: &'static str, segment: Option<SegmentId>, source: io::Error) -> Error {
    let path = PathBuf::from(segment.map_or("segments".to_string(), SegmentId::file_name));
    Error::Io { operation, path, source }
}
