//! A run explained on a terminal: its race as a graph of lanes, the rings, the lineage, and where the twin parts.

use super::class::Class;
use super::lanes::{Happened, Lane, Moment};
use super::lineage::{At, Segment, Stretch};
use super::spans::{Doing, Span};
use super::twin::Twin;
use super::{Explained, Told};
use segment_sim::verdict::Verdict;
use std::fmt::{self, Write};

/// Lanes that are drawn: what is in later ones is told and has no line.
const LANES_MAX: usize = 32;

/// The width of the rule between two lives of the process, and of the list of the lanes.
const COLUMNS: usize = 100;

/// The whole of it. `is_all` shows every moment and every lane, and not the race alone; and of each segment also where it is
/// legal that the three do not agree.
pub fn text(explained: &Explained, is_all: bool) -> String {
    let mut text = String::new();
    write(&mut text, explained, is_all).expect("writing to a string does not fail");
    text
}

fn write(text: &mut String, explained: &Explained, is_all: bool) -> fmt::Result {
    let Explained { verdict, sentence, run, twin, plan, unreached, .. } = explained;
    writeln!(text, "{}  {sentence}", verdict.word())?;
    for line in plan {
        writeln!(text, "{line}")?;
    }
    for site in unreached {
        writeln!(text, "not reached: {site}")?;
    }
    for violation in &run.violations {
        writeln!(text, "{} at step {}: {}", violation.oracle, violation.step, violation.sentence)?;
    }
    writeln!(text)?;
    let parts = match twin {
        Twin::Beside { parts_at, .. } => Some(parts_at.0),
        Twin::Alone { .. } => None,
    };
    write_graph(text, run, is_all, parts)?;
    writeln!(text)?;
    write_rings(text, run)?;
    writeln!(text)?;
    write_lineage(text, run, is_all)?;
    match twin {
        Twin::Beside { without, run: beside, parts_at } => {
            writeln!(text, "\ntwin  passes without {without:?}")?;
            let at = |told: &Told, place: usize| match told.moments.get(place) {
                Some(moment) => format!("step {}: {}", moment.step, words(moment)),
                None => "its end".to_string(),
            };
            writeln!(text, "  they part here at {}", at(run, parts_at.0))?;
            writeln!(text, "       in the twin at {}", at(beside, parts_at.1))?;
        }
        Twin::Alone { why } if *verdict == Verdict::Fail => writeln!(text, "\ntwin  none: {why}")?,
        Twin::Alone { .. } => {}
    }
    writeln!(text, "\n{}", explained.command)
}

/// What happened at a moment, with its site.
pub fn words(moment: &Moment) -> String {
    let Moment { site, what, says, .. } = moment;
    let how = match what {
        Happened::Passed => "goes on",
        Happened::Noted => "noted",
        Happened::Landed => "landed",
        Happened::Cloned | Happened::Held | Happened::Failed | Happened::Committed | Happened::Dropped => "",
        Happened::Crashed | Happened::Finished | Happened::Panicked => "",
    };
    [site.as_str(), how, says].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn write_graph(text: &mut String, run: &Told, is_all: bool, parts: Option<usize>) -> fmt::Result {
    let has_brief = run.moments.iter().any(|moment| moment.is_brief);
    let is_shown = |moment: &Moment| is_all || !has_brief || moment.is_brief;
    let mut lanes: Vec<usize> =
        (0..run.lanes.len()).filter(|lane| run.moments.iter().any(|m| m.lane == *lane && is_shown(m))).collect();
    let unseen = lanes.len().saturating_sub(LANES_MAX);
    lanes.truncate(LANES_MAX);
    let width = lanes.iter().map(|lane| run.label(*lane).chars().count()).max().unwrap_or(0);
    write_heads(text, run, &lanes, unseen)?;
    let mut hidden = 0;
    let mut ends = (2..).zip(&run.ends).peekable();
    for (place, moment) in run.moments.iter().enumerate() {
        while let Some((life, (step, how))) = ends.next_if(|(_, (step, _))| *step < moment.step) {
            write_hidden(text, &mut hidden, run, &lanes, *step)?;
            write_end(text, *step, how, life)?;
        }
        if !is_shown(moment) {
            hidden += 1;
            continue;
        }
        write_hidden(text, &mut hidden, run, &lanes, moment.step)?;
        let graph: String = lanes.iter().map(|lane| format!("{} ", glyph(run, *lane, moment))).collect();
        let race = if moment.is_race { "*" } else { " " };
        let point = if moment.point == "end" { "" } else { moment.site.split_once('@').map_or("", |(_, at)| at) };
        let label = run.label(moment.lane);
        let says = if moment.says.is_empty() { how(moment.what) } else { &moment.says };
        let found = if moment.found.is_empty() { String::new() } else { format!("  !! {}", moment.found.join(", ")) };
        let parted = if parts == Some(place) { "  <- the twin parts here" } else { "" };
        let line = format!("{:>6} {race}{graph} {label:<width$}  {point:<14} {says}{found}{parted}", moment.step);
        writeln!(text, "{}", line.trim_end())?;
    }
    for (life, (step, how)) in ends {
        write_hidden(text, &mut hidden, run, &lanes, *step)?;
        write_end(text, *step, how, life)?;
    }
    write_hidden(text, &mut hidden, run, &lanes, run.steps)?;
    writeln!(text, "        o moment  * of the race  | there  H held by the plan  : waits for a lock  # holds one")
}

fn how(what: Happened) -> &'static str {
    match what {
        Happened::Noted => "noted",
        Happened::Landed => "landed",
        _ => "",
    }
}

fn write_hidden(text: &mut String, hidden: &mut usize, run: &Told, lanes: &[usize], step: u64) -> fmt::Result {
    if *hidden > 0 {
        let graph: String = lanes.iter().map(|lane| format!("{} ", line_at(run, *lane, step))).collect();
        writeln!(text, "        {graph} .. {hidden} more")?;
        *hidden = 0;
    }
    Ok(())
}

/// Whose line is which: the lanes with their numbers, and these above the lines, the tens above the ones.
fn write_heads(text: &mut String, run: &Told, lanes: &[usize], unseen: usize) -> fmt::Result {
    let mut row = String::new();
    let heads = (1..).zip(lanes).map(|(number, lane)| format!("{number} {}", run.label(*lane)));
    let rest = (unseen > 0).then(|| format!("{unseen} more have no line"));
    for head in heads.chain(rest) {
        if !row.is_empty() && 8 + row.len() + 2 + head.len() > COLUMNS {
            writeln!(text, "        {row}")?;
            row.clear();
        }
        row += if row.is_empty() { "" } else { "  " };
        row += &head;
    }
    if !row.is_empty() {
        writeln!(text, "        {row}")?;
    }
    let digits = |of: fn(usize) -> Option<usize>| {
        let digit = |number| of(number).map_or("  ".to_string(), |digit| format!("{digit} "));
        (1..=lanes.len()).map(digit).collect::<String>().trim_end().to_string()
    };
    if lanes.len() > 9 {
        writeln!(text, "        {}", digits(|number| Some(number / 10).filter(|tens| *tens > 0)))?;
    }
    writeln!(text, "        {}", digits(|number| Some(number % 10)))
}

/// The rule where a life of the process ends and the next one begins.
fn write_end(text: &mut String, step: u64, how: &str, life: usize) -> fmt::Result {
    let words = format!("{step:>6} ---- {how}, life {life} ");
    writeln!(text, "{words:-<COLUMNS$}")
}

fn glyph(run: &Told, lane: usize, moment: &Moment) -> char {
    match moment.lane == lane {
        true if moment.is_race => '*',
        true => 'o',
        false => line_at(run, lane, moment.step),
    }
}

/// What a lane's line looks like just before a step.
fn line_at(run: &Told, lane: usize, step: u64) -> char {
    let Lane { from, to, .. } = &run.lanes[lane];
    if step <= *from || to.is_some_and(|to| to < step) {
        return ' ';
    }
    let over = |span: &&Span| span.lane == lane && span.from < step && step <= span.to;
    let doing = run.spans.iter().filter(over).map(|span| span.kind);
    match doing.max() {
        Some(Doing::Held) => 'H',
        Some(Doing::LockWait) => ':',
        Some(Doing::Locks) => '#',
        _ => '|',
    }
}

fn write_rings(text: &mut String, run: &Told) -> fmt::Result {
    writeln!(text, "rings")?;
    let who = |lane: Option<usize>| lane.map_or("", |lane| run.label(lane));
    let width = run.saves.iter().map(|save| who(save.lane).chars().count()).max().unwrap_or(0);
    for save in &run.saves {
        let base = match (save.is_left_by_crash, save.is_stale) {
            (true, _) => "left by the crash".to_string(),
            (_, true) => format!("on {} STALE", save.base),
            _ => String::new(),
        };
        let changes: Vec<String> = save.changes.iter().map(super::rings::Change::words).collect();
        let line = format!(
            "{:>6}  {:<width$}  version {} {base:<10} {}  {}",
            save.step,
            who(save.lane),
            save.version,
            save.line(),
            changes.join(", ")
        );
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

fn write_lineage(text: &mut String, run: &Told, is_all: bool) -> fmt::Result {
    let heads =
        ["segment", "created", "sealed", "in ring", "doomed", "rows del", "unlink", "unlinked", "disk", "RocksDB"];
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>8}")).collect();
        format!("  {}", cells.join(" ")).trim_end().to_string()
    };
    writeln!(text, "lineage (by step)")?;
    writeln!(text, "{}", line(&heads.map(str::to_string)))?;
    for segment in &run.segments {
        writeln!(text, "{}", line(&cells(segment)))?;
    }
    for segment in &run.segments {
        let is_shown = |class: Class| class.is_illegal() || is_all && class != Class::Agrees;
        let stretches = segment.stretches.iter().enumerate().filter(|(_, stretch)| is_shown(stretch.class));
        let words: Vec<String> = stretches.map(|(place, _)| stood(segment, place)).collect();
        if !words.is_empty() {
            writeln!(text, "  segment {} {}", segment.number, words.join("; "))?;
        }
    }
    Ok(())
}

/// How a segment stood in one of its stretches, and from when to when.
fn stood(segment: &Segment, place: usize) -> String {
    let Stretch { from, to, class, why } = &segment.stretches[place];
    let (is, steps) = match place + 1 == segment.stretches.len() {
        true if from == to => ("is", "at the end".to_string()),
        true => ("is", format!("from step {from} to the end")),
        false if from == to => ("was", format!("at step {from}")),
        false => ("was", format!("from step {from} to {to}")),
    };
    format!("{is} {} {steps}: {why}", class.word())
}

/// A segment's row: the steps of each thing that befell it.
fn cells(segment: &Segment) -> [String; 10] {
    let steps = |at: &[At]| at.iter().map(|at| at.step.to_string()).collect::<Vec<_>>().join(",");
    let before = |at: &[At]| match (segment.was_there, steps(at)) {
        (true, later) if later.is_empty() => "before".to_string(),
        (true, later) => format!("before,{later}"),
        (false, later) => later,
    };
    let rocksdb = match (segment.in_rocksdb.as_str(), segment.rows) {
        ("", 0) => "-".to_string(),
        (list, 0) => list.to_string(),
        (list, rows) => format!("{list} {rows}r"),
    };
    let failed = segment.unlink_failed.iter().map(|at| format!("{}x", at.step));
    let unlinks = segment.unlink_begun.iter().map(|at| at.step.to_string()).chain(failed).collect::<Vec<_>>().join(",");
    [
        segment.number.to_string(),
        before(&segment.created),
        steps(&segment.sealed),
        before(&segment.in_ring),
        steps(&segment.doomed),
        steps(&segment.rows_deleted),
        unlinks,
        steps(&segment.unlinked),
        segment.on_disk.map_or("-".to_string(), |bytes| format!("{bytes} B")),
        rocksdb,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(step: u64, is_brief: bool) -> Moment {
        let [site, point] = ["put#1@Start", "Start"].map(str::to_string);
        Moment { step, site, point, is_brief, ..Moment::default() }
    }

    #[test]
    fn a_rule_stands_where_a_life_of_the_process_ends_also_between_moments_that_are_not_shown() {
        let lane = Lane { label: "put#1".to_string(), parent: None, from: 0, to: None, end: String::new() };
        let moments = [(1, true), (2, false), (3, true), (4, false), (6, false)].map(|(step, is)| moment(step, is));
        let [power, kill] = ["the power fails at put#1@Start", "the process is killed"].map(str::to_string);
        let ends = vec![(2, power), (5, kill.clone()), (7, kill)];
        let run = Told { steps: 7, lanes: vec![lane], moments: moments.into(), ends, ..Told::default() };
        let mut text = String::new();
        write_graph(&mut text, &run, false, None).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let is = |line: &str| line.split_whitespace().next().unwrap_or_default().to_string();
        assert_eq!(lines.iter().map(|line| is(line)).collect::<Vec<_>>(), EXPECTED, "{text}");
        let rules: Vec<&&str> = lines.iter().filter(|line| line.contains("----")).collect();
        assert!(rules[0].starts_with("     2 ---- the power fails at put#1@Start, life 2 ----"), "{text}");
        assert!(rules[1].contains(", life 3 -") && rules[2].contains(", life 4 -"), "{text}");
        assert!(rules.iter().all(|rule| rule.len() == COLUMNS), "{text}");
    }

    #[test]
    fn each_lane_has_its_number_over_its_line() {
        let lane = |label: String| Lane { label, parent: None, from: 0, to: None, end: String::new() };
        let run = Told { lanes: (1..=12).map(|number| lane(format!("rotate#{number}"))).collect(), ..Told::default() };
        let heads = |lanes: &[usize]| {
            let mut text = String::new();
            write_heads(&mut text, &run, lanes, 12 - lanes.len()).unwrap();
            text
        };
        assert_eq!(heads(&[2, 0]), "        1 rotate#3  2 rotate#1  10 more have no line\n        1 2\n");
        let text = heads(&(0..12).collect::<Vec<_>>());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].len() <= COLUMNS && lines[1].ends_with("12 rotate#12"), "{text}");
        assert_eq!(lines[2], format!("{}1 1 1", " ".repeat(8 + 2 * 9)));
        assert_eq!(lines[3], "        1 2 3 4 5 6 7 8 9 0 1 2");
    }

    #[test]
    fn a_stretch_is_told_with_its_end_and_a_legal_one_only_where_all_is_shown() {
        let stretch = |from, to, class, why: &str| Stretch { from, to, class, why: why.to_string() };
        let stretches = vec![
            stretch(0, 8, Class::Agrees, ""),
            stretch(8, 14, Class::InFlight, "it is doomed"),
            stretch(14, 14, Class::InFlight, "its file is gone"),
            stretch(14, 20, Class::Resurrected, "it is back"),
        ];
        let [mended, late] = [stretch(20, 25, Class::Agrees, ""), stretch(25, 25, Class::Orphaned, "it is doomed")];
        let of = |more: Vec<Stretch>, is_all| {
            let stretches = [stretches.clone(), more].concat();
            let segments = vec![Segment { number: 1, stretches, ..Segment::default() }];
            let mut text = String::new();
            write_lineage(&mut text, &Told { segments, ..Told::default() }, is_all).unwrap();
            text.lines().skip(3).collect::<Vec<_>>().join("|")
        };
        assert_eq!(of(vec![mended.clone()], false), "  segment 1 was resurrected from step 14 to 20: it is back");
        assert_eq!(
            of(vec![], true),
            "  segment 1 was in flight from step 8 to 14: it is doomed; was in flight at step 14: its file is gone; \
             is resurrected from step 14 to the end: it is back"
        );
        assert!(of(vec![mended, late], false).ends_with("to 20: it is back; is orphaned at the end: it is doomed"));
    }

    /// The first words of the lines of that test: the lane twice, steps, its line before what is hidden, and the legend.
    const EXPECTED: [&str; 11] = ["1", "1", "1", "|", "2", "3", "|", "5", "|", "7", "o"];
}
