//! legal-repairs: an open tells of exactly what there was to mend.
//!
//! Asked when an open is answered, of its repairs. Each has its cause in what the crash left: a doomed segment, a file that
//! no list names, a member or a row without its file; and each cause has its repair. So an engine that was drained finds
//! nothing at its next open. Whether what was left is legal is for legal-debris. Does not verify that the repairs were made
//! (recover-converges does).

use super::scene::{ACTOR, Scene, segment};
use super::{Finding, Oracle, View, When};
use crate::history::{Answer, Image};
use segment_engine::Repair;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "legal-repairs",
    claim: "an open has mended exactly what there was to mend",
    when: When::Answer,
    check,
    bad_scene: || {
        let repairs = vec![Repair::StrayFile { segment: segment(9) }];
        Scene::with(|scene| scene.answer = (ACTOR, Answer::Opened(repairs)))
    },
};

fn check(view: &View<'_>) -> Option<Finding> {
    let (task, Answer::Opened(repairs)) = view.answer? else {
        return None;
    };
    let due = due(&view.history.image);
    let label = view.label(Some(task));
    let found = |what: &str, repair: &Repair| {
        let sentence = format!("{label} {what} {}", tell(repair));
        Some(Finding { race: "open: repairs".to_string(), sentence })
    };
    if let Some(needless) = repairs.iter().find(|repair| !due.contains(repair)) {
        return found("mended what was sound:", needless);
    }
    due.iter().find(|due| !repairs.contains(due)).and_then(|missed| found("did not mend", missed))
}

/// What is to be mended.
fn due(image: &Image) -> Vec<Repair> {
    let resumed = image.doomed.iter().map(|segment| Repair::EvictionResumed { segment: *segment });
    let lost = image.lost.iter().map(|segment| Repair::LostSegment { segment: *segment });
    let strays = image.strays.iter().map(|segment| Repair::StrayFile { segment: *segment });
    let rows = image.rows_lost.iter().map(|(segment, rows)| Repair::LostArtifacts { segment: *segment, rows: *rows });
    resumed.chain(lost).chain(strays).chain(rows).collect()
}

fn tell(repair: &Repair) -> String {
    match repair {
        Repair::EvictionResumed { segment } => format!("segment {}, which is doomed", segment.as_u128()),
        Repair::StrayFile { segment } => format!("the file of segment {}, which is in no list", segment.as_u128()),
        Repair::LostSegment { segment } => format!("segment {}, which has no file", segment.as_u128()),
        Repair::LostArtifacts { segment, rows } => {
            format!("{rows} rows without bytes in segment {}", segment.as_u128())
        }
    }
}
