//! The threads of a search: they make runs, and one takes in what came of them.
//!
//! Runs are handed out in chunks, so many ahead, and taken in in that order. So which runs there are does not depend on
//! how many threads make them, or on which is faster.

use super::{Item, Path, Ran, Search};
use crate::choice::{Deviation, Guide};
use crate::known::Known;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Runs that are handed out together. The first of them is made twice.
const CHUNK: usize = 32;

/// Chunks under way.
const AHEAD: usize = 32;

/// How a search ended.
#[derive(Debug)]
pub enum Ended {
    /// Nothing is left to do.
    Complete {
        /// States that were gone on from a second time, and came to the same.
        audited: usize,
    },
    /// This run has failed.
    Failed(Box<[Deviation]>, Ran),
    /// A run did not repeat.
    Unrepeatable(Box<[Deviation]>),
    /// Two states that were taken for equal are not.
    Unequal(Path, Path),
    /// It was stopped, and can go on.
    Stopped,
}

#[derive(Clone)]
enum Task {
    Search(Arc<Vec<Item>>),
    Audit(Path, Path),
}

enum Done<E> {
    Search(Vec<(Ran, bool)>),
    Audit(bool),
    Failed(E),
    /// The thread has panicked.
    Left,
}

/// Makes what is left of a search, on so many threads, each with a worker of its own. `run` makes one run; its last
/// argument is `true` for a second one, which may do nothing different but what must not matter. `between` is called now
/// and then with the search as it is, to tell of it and to save it. A set `stop` ends it early.
///
/// # Errors
/// The first error of a worker, or of `between`.
pub fn exhaust<W, E: Send>(
    search: &mut Search,
    jobs: usize,
    stop: &AtomicBool,
    mut between: impl FnMut(&Search) -> Result<(), E>,
    worker: impl Fn() -> Result<W, E> + Sync,
    run: impl Fn(&mut W, Guide, bool) -> Result<Ran, E> + Sync,
) -> Result<Ended, E> {
    let (task_sender, tasks) = channel::<(usize, Task)>();
    let (done_sender, done) = channel();
    let tasks = Mutex::new(tasks);
    let known = search.bounds.joins.then(|| search.known.clone());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let done_sender = done_sender.clone();
            let (tasks, known, worker, run) = (&tasks, known.as_ref(), &worker, &run);
            scope.spawn(move || {
                let _leaving = Leaving(&done_sender);
                let mut worker = worker();
                while let Some((number, task)) = next(tasks) {
                    let done = match &mut worker {
                        Ok(worker) => made(worker, &task, known, run).unwrap_or_else(Done::Failed),
                        Err(_) => break,
                    };
                    if done_sender.send((number, done)).is_err() {
                        return;
                    }
                }
                if let Err(error) = worker {
                    let _ = done_sender.send((0, Done::Failed(error))); // unless nobody listens any more
                }
            });
        }
        drop(done_sender);
        let mut lead = Lead { search, task_sender, done, number: 0 };
        let ended = lead.runs(stop, &mut between)?;
        match ended {
            None => lead.audits(stop),
            Some(ended) => Ok(ended),
        }
    })
}

/// Tells when a thread panics: the scope passes that on as soon as nobody waits for this thread any more.
struct Leaving<'a, E>(&'a Sender<(usize, Done<E>)>);

impl<E> Drop for Leaving<'_, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send((0, Done::Left)); // unless nobody listens any more
        }
    }
}

fn next<T>(tasks: &Mutex<Receiver<T>>) -> Option<T> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Does a task.
fn made<W, E>(
    worker: &mut W,
    task: &Task,
    known: Option<&Arc<RwLock<Known>>>,
    run: impl Fn(&mut W, Guide, bool) -> Result<Ran, E>,
) -> Result<Done<E>, E> {
    match task {
        Task::Search(items) => {
            let mut all = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                let guide = Guide { deviations: item.deviations.clone(), ..Guide::default() };
                // to its end, where it is made twice: what is known grows meanwhile
                let is_twice = index == 0;
                let known = known.filter(|_| !is_twice).cloned();
                let ran = run(worker, Guide { known, ..guide.clone() }, false)?;
                let repeats = !is_twice || run(worker, guide, true)? == ran;
                all.push((ran, repeats));
            }
            Ok(Done::Search(all))
        }
        Task::Audit(one, other) => {
            let [one, other] = [one, other].map(|path| Guide {
                deviations: path.deviations.clone(),
                trace_from: Some(path.at),
                ..Guide::default()
            });
            let (one, other) = (run(worker, one, false)?, run(worker, other, true)?);
            let found = |ran: &Ran| -> Vec<(String, String)> {
                ran.violations.iter().map(|found| (found.oracle.clone(), found.sentence.clone())).collect()
            };
            Ok(Done::Audit(one.trace_hash == other.trace_hash && found(&one) == found(&other)))
        }
    }
}

/// The thread that takes in what the others have made.
struct Lead<'a, E> {
    search: &'a mut Search,
    task_sender: Sender<(usize, Task)>,
    done: Receiver<(usize, Done<E>)>,
    /// Of the next task.
    number: usize,
}

impl<E> Lead<'_, E> {
    /// Makes the runs; `None` when nothing is left.
    fn runs(
        &mut self,
        stop: &AtomicBool,
        between: &mut impl FnMut(&Search) -> Result<(), E>,
    ) -> Result<Option<Ended>, E> {
        // those that an earlier part of this search had under way
        for items in self.search.under_way.clone() {
            self.hand_out(Task::Search(items));
        }
        let mut early = BTreeMap::new();
        loop {
            while self.search.under_way.len() < AHEAD {
                let items = self.search.take(CHUNK);
                if items.is_empty() {
                    break;
                }
                let items = Arc::new(items);
                self.search.under_way.push_back(items.clone());
                self.hand_out(Task::Search(items));
            }
            if self.search.under_way.is_empty() {
                between(self.search)?;
                return Ok(None);
            }
            let first = self.number - self.search.under_way.len();
            let made = loop {
                if let Some(made) = early.remove(&first) {
                    break made;
                }
                let Ok((number, done)) = self.done.recv() else { return Ok(Some(Ended::Stopped)) };
                match done {
                    Done::Search(made) => _ = early.insert(number, made),
                    Done::Failed(error) => return Err(error),
                    Done::Left => return Ok(Some(Ended::Stopped)),
                    Done::Audit(_) => unreachable!("nobody has asked for one yet"),
                }
            };
            let items = self.search.under_way.pop_front().expect("it is not empty");
            self.search.counts.repeated += 1; // the first of each chunk
            for (item, (ran, repeats)) in items.iter().zip(made) {
                if !(self.search.add(item, &ran) && repeats) {
                    return Ok(Some(Ended::Unrepeatable(item.deviations.clone())));
                }
                if !ran.violations.is_empty() {
                    return Ok(Some(Ended::Failed(item.deviations.clone(), ran)));
                }
            }
            between(self.search)?;
            if stop.load(Ordering::Relaxed) {
                return Ok(Some(Ended::Stopped));
            }
        }
    }

    /// Goes on from some known states all the same.
    fn audits(&mut self, stop: &AtomicBool) -> Result<Ended, E> {
        let first = self.number;
        let pair = |(edge, other): (&u128, &Path)| Some((self.search.firsts.get(edge)?.clone(), other.clone()));
        let audits: Vec<(Path, Path)> = self.search.audits.iter().filter_map(pair).collect();
        for (one, other) in &audits {
            self.hand_out(Task::Audit(one.clone(), other.clone()));
        }
        for _ in 0..audits.len() {
            let Ok((number, done)) = self.done.recv() else { return Ok(Ended::Stopped) };
            match done {
                Done::Audit(true) => {}
                Done::Audit(false) => {
                    let (one, other) = audits[number - first].clone();
                    return Ok(Ended::Unequal(one, other));
                }
                Done::Failed(error) => return Err(error),
                Done::Left => return Ok(Ended::Stopped),
                Done::Search(_) => unreachable!("all are taken in"),
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Complete { audited: audits.len() })
    }

    fn hand_out(&mut self, task: Task) {
        // nobody takes it when all have panicked: then nothing comes back either
        let _ = self.task_sender.send((self.number, task));
        self.number += 1;
    }
}
