//! bounds: what the engine does again and again has an end, and what it does at once a size.
//!
//! Asked after each step. A put begins again less often than the engine tries it at most; a commit of the evictor
//! deletes no more entries of the index, and nobody reads or writes more bytes at once, than the limits say. Legal
//! meanwhile: nothing. Does not verify the bounds on waiting for the evictor; honest does.

use super::scene::Scene;
use super::{Finding, Oracle, View, When};
use segment_engine::limits::PUT_ATTEMPTS_MAX;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "bounds",
    claim: "a put begins again only so often, an eviction deletes only so many rows at once, and a read or write has only so many bytes",
    when: When::Step,
    check,
    bad_scene: || Scene::with(|scene| scene.history.retries.puts_most = u64::from(PUT_ATTEMPTS_MAX)),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let (retries, rows, rows_max) =
        (view.history.retries.puts_most, view.history.evictor.rows_most, view.history.evictor.batch_rows);
    if retries >= u64::from(PUT_ATTEMPTS_MAX) {
        let sentence = format!("a put began again {retries} times, and is tried {PUT_ATTEMPTS_MAX} times at most");
        return Some(Finding { race: "put: tried for ever".to_string(), sentence });
    }
    let (io_most, io_bytes) = (view.history.io_most, view.history.io_bytes);
    if io_most > io_bytes {
        let sentence = format!("{io_most} bytes are read or written at once, and {io_bytes} are the most");
        return Some(Finding { race: "io: too much at once".to_string(), sentence });
    }
    let sentence = || format!("the evictor deleted {rows} entries in one commit, and {rows_max} are the most");
    (rows > rows_max).then(|| Finding { race: "evictor: too much at once".to_string(), sentence: sentence() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_as_large_as_the_limits_say_at_most() {
        let asked =
            |rows| Scene::with(|scene| (scene.history.evictor.rows_most, scene.history.evictor.batch_rows) = (rows, 2));
        assert!(asked(2).ask(&ORACLE).is_none() && asked(3).ask(&ORACLE).is_some());
        let moves = |bytes| Scene::with(|scene| (scene.history.io_most, scene.history.io_bytes) = (bytes, 80));
        assert!(moves(80).ask(&ORACLE).is_none() && moves(81).ask(&ORACLE).is_some());
    }
}
