//! Whether memory, RocksDB and the directory agree on a segment, whether it is legal that they do not, and what it is called
//! otherwise.
//!
//! A segment stands in three places: in the ring that readers see (memory), in RocksDB (the saved ring, and rows that name
//! it), and in the directory. The rules are those of the oracles no-resurrection, no-phantom, no-dangling, views-agree and
//! no-orphan. It decides on what the harness took down after one step, and on nothing that came later; it looks between steps
//! only, and at no bytes: contents are bytes-match's.

use segment_sim::lineage::{Listed, Standing, Views};
use serde::{Deserialize, Serialize};

/// Whether memory, RocksDB and the directory agree on a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// They do.
    Agrees,
    /// They do not, and that is legal: somebody is on the way to mend it.
    InFlight,
    /// It had left the ring and is in it again.
    Resurrected,
    /// It has a file that nobody will ever look for.
    Orphaned,
    /// The ring names it, and there is nothing behind it.
    Phantom,
    /// A row names it, and its bytes are not there or will not be.
    Dangling,
}

impl Class {
    /// Whether something is wrong.
    pub fn is_illegal(self) -> bool {
        self > Class::InFlight
    }

    /// It in words.
    pub fn word(self) -> &'static str {
        match self {
            Class::Agrees => "agrees",
            Class::InFlight => "in flight",
            Class::Resurrected => "resurrected",
            Class::Orphaned => "orphaned",
            Class::Phantom => "phantom",
            Class::Dangling => "dangling",
        }
    }
}

/// Whether memory, RocksDB and the directory agree on a segment, and why.
pub fn class(views: &Views, standing: &Standing, label: impl Fn(usize) -> String) -> (Class, String) {
    use Listed::{Doomed, Member, Nowhere};
    let Standing { memory, catalog, file_bytes, rows, .. } = *standing;
    let told = |class, why: &str| (class, why.to_string());
    // the plan took its file while nothing had the directory open: the next open has to find out
    let is_to_be_found = standing.is_removed_by_plan && views.is_recovering;
    if is_to_be_found && file_bytes.is_none() && (catalog == Member || rows > 0) {
        return told(Class::InFlight, "the plan has removed its file, and the next open has to find out");
    }
    if standing.is_cut_by_plan && views.is_recovering && standing.has_row_past_end {
        return told(Class::InFlight, "the plan has cut its file short, and the next open has to find out");
    }
    if catalog == Member && standing.has_left {
        let file = if file_bytes.is_none() { ", and its file is gone" } else { "" };
        return (Class::Resurrected, format!("it had left the ring and is in it again{file}"));
    }
    if catalog == Nowhere && file_bytes.is_some() && standing.has_joined && !standing.has_left {
        let rows = if rows > 0 { ", and rows name it" } else { "" };
        let why = format!("a save that did not know of it dropped it from the ring, and its file stays{rows}");
        return (Class::Orphaned, why);
    }
    if rows > 0 {
        let what = match file_bytes {
            None => "it has no file",
            Some(_) if catalog == Nowhere => "no list names it",
            Some(_) if standing.has_late_row && !views.is_recovering => "it had left the ring before the row came",
            Some(_) if standing.has_row_past_end => "its file ends before the row does",
            Some(_) => "",
        };
        if !what.is_empty() {
            return (Class::Dangling, format!("a row names it, and {what}"));
        }
    }
    if catalog == Member && file_bytes.is_none() {
        return told(Class::Phantom, "the saved ring names it, and it has no file");
    }
    match (views.published, catalog, file_bytes) {
        (_, Nowhere, Some(_)) => stray(views, standing, label),
        (_, Doomed, Some(_)) => told(Class::InFlight, "it is doomed, and its file is still to be unlinked"),
        (_, Doomed, None) => told(Class::InFlight, "its file is gone, and it is still to be taken off the list"),
        (Some(_), _, _) if memory != catalog && views.is_publishing => {
            told(Class::InFlight, "the ring is saved and about to be published")
        }
        (Some(_), Nowhere, None) if memory == Member => told(Class::Phantom, "readers see it, and no save names it"),
        (Some(_), Member, _) if memory != Member => {
            told(Class::Orphaned, "it is in the saved ring, and readers do not see it")
        }
        _ => told(Class::Agrees, ""),
    }
}

/// A file that no list names.
fn stray(views: &Views, standing: &Standing, label: impl Fn(usize) -> String) -> (Class, String) {
    match standing.owner {
        Some((owner, true)) if standing.has_joined => {
            (Class::InFlight, format!("its file is still to go; {} answers for it", label(usize::from(owner.0))))
        }
        Some((owner, true)) => {
            (Class::InFlight, format!("its file is made; {} is to put it into the ring", label(usize::from(owner.0))))
        }
        _ if views.is_recovering => (Class::InFlight, "the crash left its file; the next open removes it".to_string()),
        _ if views.has_failed => (Class::InFlight, "an operation failed; the next open removes its file".to_string()),
        _ => (Class::Orphaned, "it has a file, no list names it, and nobody answers for it".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_engine::SegmentId;
    use segment_sim::site::TaskId;

    fn views() -> Views {
        Views {
            step: 9,
            published: Some(3),
            saved: 3,
            is_publishing: false,
            has_failed: false,
            is_recovering: false,
            standings: Vec::new(),
        }
    }

    /// A member with a file and no rows.
    fn member() -> Standing {
        Standing {
            segment: SegmentId::from_u128(2),
            memory: Listed::Member,
            catalog: Listed::Member,
            file_bytes: Some(0),
            rows: 0,
            has_row_past_end: false,
            has_late_row: false,
            has_joined: true,
            has_left: false,
            owner: None,
            is_removed_by_plan: false,
            is_cut_by_plan: false,
        }
    }

    fn nowhere() -> Standing {
        Standing { memory: Listed::Nowhere, catalog: Listed::Nowhere, ..member() }
    }

    fn called(views: &Views, standing: &Standing) -> Class {
        class(views, standing, |lane| format!("task {lane}")).0
    }

    #[test]
    fn a_member_with_its_file_and_what_is_quite_gone_agree() {
        assert_eq!(called(&views(), &member()), Class::Agrees);
        let gone = Standing { file_bytes: None, has_left: true, ..nowhere() };
        assert_eq!(called(&views(), &gone), Class::Agrees);
        let filled = Standing { file_bytes: Some(9), rows: 3, ..member() };
        assert_eq!(called(&views(), &filled), Class::Agrees);
    }

    #[test]
    fn a_member_that_had_left_is_resurrected_with_or_without_its_file() {
        let back = Standing { has_left: true, ..member() };
        assert_eq!(called(&views(), &back), Class::Resurrected);
        assert_eq!(called(&views(), &Standing { file_bytes: None, ..back }), Class::Resurrected);
    }

    #[test]
    fn a_file_that_a_stale_save_dropped_is_orphaned_at_once() {
        let dropped = Standing { owner: Some((TaskId(1), true)), rows: 1, ..nowhere() };
        assert_eq!(called(&views(), &dropped), Class::Orphaned);
    }

    #[test]
    fn a_new_file_is_in_flight_while_its_maker_goes_on_and_then_orphaned() {
        let made = Standing { has_joined: false, owner: Some((TaskId(1), true)), ..nowhere() };
        let (class, why) = class(&views(), &made, |lane| format!("task {lane}"));
        assert_eq!((class, why.as_str()), (Class::InFlight, "its file is made; task 1 is to put it into the ring"));
        let left = Standing { owner: Some((TaskId(1), false)), ..made };
        assert_eq!(called(&views(), &left), Class::Orphaned);
        assert_eq!(called(&Views { is_recovering: true, ..views() }, &left), Class::InFlight);
        assert_eq!(called(&Views { has_failed: true, ..views() }, &left), Class::InFlight);
    }

    #[test]
    fn a_member_without_a_file_is_a_phantom_unless_the_plan_took_it_and_the_open_is_to_come() {
        let phantom = Standing { file_bytes: None, ..member() };
        assert_eq!(called(&views(), &phantom), Class::Phantom);
        let taken = Standing { is_removed_by_plan: true, ..phantom };
        assert_eq!(called(&Views { is_recovering: true, published: None, ..views() }, &taken), Class::InFlight);
        assert_eq!(called(&views(), &taken), Class::Phantom);
        // readers see a member that no save names
        let unsaved = Standing { catalog: Listed::Nowhere, file_bytes: None, has_left: true, ..member() };
        assert_eq!(called(&views(), &unsaved), Class::Phantom);
    }

    #[test]
    fn a_row_without_its_bytes_or_of_a_segment_in_no_list_dangles() {
        let row = Standing { rows: 1, ..member() };
        let doomed = Standing { memory: Listed::Doomed, catalog: Listed::Doomed, has_left: true, ..row };
        for dangling in [
            Standing { file_bytes: None, ..row },
            Standing { has_row_past_end: true, ..row },
            Standing { has_left: true, rows: 1, ..nowhere() },
            Standing { has_late_row: true, ..doomed },
            Standing { file_bytes: None, ..doomed },
        ] {
            assert_eq!(called(&views(), &dangling), Class::Dangling, "{dangling:?}");
        }
        assert_eq!(called(&views(), &doomed), Class::InFlight);
        let cut = Standing { has_row_past_end: true, is_cut_by_plan: true, ..row };
        assert_eq!(called(&Views { is_recovering: true, ..views() }, &cut), Class::InFlight, "the open is to come");
        assert_eq!(called(&views(), &cut), Class::Dangling);
    }

    #[test]
    fn what_is_doomed_or_about_to_be_published_is_legally_in_flight() {
        let doomed = Standing { memory: Listed::Doomed, catalog: Listed::Doomed, has_left: true, ..member() };
        assert_eq!(called(&views(), &doomed), Class::InFlight);
        assert_eq!(called(&views(), &Standing { file_bytes: None, ..doomed }), Class::InFlight);
        let saved = Standing { memory: Listed::Nowhere, ..member() };
        assert_eq!(called(&Views { is_publishing: true, ..views() }, &saved), Class::InFlight);
        assert_eq!(called(&views(), &saved), Class::Orphaned);
    }
}
