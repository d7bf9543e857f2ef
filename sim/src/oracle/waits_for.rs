//! waits-for: no task waits for itself through others, no eviction waits for the write lock or for a stripe, and nobody
//! waits for a sync under the write lock, for the evictor under any, or for anything under the state lock; nor for the
//! evictor because of a rotation that another has overtaken: that makes no segment, whatever is doomed.
//!
//! Asked after each step. Legal meanwhile: nothing. A rotation is known to be overtaken if it wanted the write lock
//! before the other one had made its segment. Sees locks that tell of themselves by points; does not see a wait for
//! anything else.

use super::scene::{ACTOR, GONE, Scene};
use super::{Finding, Oracle, View, When};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "waits-for",
    claim: "no cycle; no eviction waits for the write lock; nobody waits for a sync under it, for the evictor under any or where another has rotated, or for anything under the state lock",
    when: When::Step,
    check,
    bad_scene: || Scene::with(|scene| scene.locks.forbidden = Some((ACTOR, "write", GONE))),
};

fn check(view: &View<'_>) -> Option<Finding> {
    if let Some((waiter, lock, holder)) = view.locks.forbidden {
        let (waiter, holder) = (Some(waiter), Some(holder));
        let sentence = format!("{} waits for the {lock} lock, which {} holds", view.label(waiter), view.label(holder));
        return Some(Finding { race: format!("{} x {}: {lock}", view.kind(waiter), view.kind(holder)), sentence });
    }
    if let Some((task, lock, point)) = view.locks.held_at {
        let sentence = format!("{} gets to {point} while it holds the {lock} lock", view.label(Some(task)));
        return Some(Finding { race: format!("{}@{point} under {lock}", view.kind(Some(task))), sentence });
    }
    if let Some(task) = view.history.room.waits_overtaken {
        let sentence =
            format!("{} has waited for the evictor, though another has made the segment", view.label(Some(task)));
        return Some(Finding { race: format!("{}: overtaken", view.kind(Some(task))), sentence });
    }
    let task = view.locks.cycle?;
    let sentence = format!("{} waits, through others, for itself", view.label(Some(task)));
    Some(Finding { race: format!("{}: cycle", view.kind(Some(task))), sentence })
}

#[cfg(test)]
mod tests {
    use super::super::scene::{ring_to, save};
    use super::*;

    #[test]
    fn nobody_waits_for_the_evictor_whose_rotation_was_overtaken() {
        // the one that is gone rotates for the actor
        let accepts = |is_overtaken: bool, goes_on: bool| {
            let change = |scene: &mut Scene| {
                scene.history.rotates(GONE, ACTOR, false);
                if is_overtaken {
                    scene.history.save(save(3, 2, ring_to(4)));
                }
                scene.history.rotates(GONE, ACTOR, true);
                if goes_on {
                    scene.history.room.overtaken.remove(&ACTOR);
                }
                scene.history.awaited_evictor(ACTOR);
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(accepts(false, false) && accepts(true, true) && !accepts(true, false));
    }
}
