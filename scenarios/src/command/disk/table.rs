//! What was measured, as tables, and the targets beside it.

use super::{Cell, Measured, Size, SizeName};
use crate::measure::counted::Syncs;
use crate::measure::turn::Turn;
use crate::report::grouped;
use crate::say;
use std::time::Duration;

/// The share of the floor's MB/s that 4 MiB puts are to reach.
const FLOOR_TARGET: f64 = 0.8;

/// Writers, and the puts of each data sync that they are to reach.
const SYNC_TARGETS: [(usize, f64); 2] = [(16, 4.0), (64, 12.0)];

/// The median; 0 of nothing.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = &values[values.len().saturating_sub(1) / 2..(values.len() / 2 + 1).min(values.len())];
    middle.iter().sum::<f64>() / middle.len().max(1) as f64
}

/// Of the latencies of all rounds, the one that this share of them stays below; in milliseconds.
fn latency(turns: &[Turn], share: f64) -> f64 {
    let mut all: Vec<Duration> = turns.iter().flat_map(|turn| turn.latencies.iter().copied()).collect();
    all.sort_unstable();
    let at = (all.len() as f64 * share) as usize;
    all.get(at.min(all.len().saturating_sub(1))).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
}

fn rate(turns: &[Turn]) -> f64 {
    median(turns.iter().map(Turn::rate))
}

fn ratio(ours: &[Turn], theirs: &[Turn]) -> f64 {
    median(ours.iter().zip(theirs).map(|(ours, theirs)| ours.rate() / theirs.rate()))
}

impl Cell {
    /// Puts of each sync, of the kind that `kind` counts.
    fn puts_a_sync(&self, kind: impl Fn(&Syncs) -> u64) -> f64 {
        median(self.puts.iter().zip(&self.syncs).map(|(turn, syncs)| turn.count() as f64 / kind(syncs).max(1) as f64))
    }
}

impl Size {
    fn megabytes(&self, rate: f64) -> f64 {
        rate * self.bytes as f64 / 1e6
    }
}

pub(super) fn print_puts(all: &[Measured]) {
    say!("");
    say!(
        "{:<9}{:<13}{:>9}{:>8}{:>18}{:>20}{:>14}{:>9}{:>9}{:>9}",
        "puts of",
        "by",
        "puts/s",
        "MB/s",
        "p50, p99 in ms",
        "puts a sync",
        "engine/floor",
        "/ordered",
        "/batched",
        "/BlobDB"
    );
    for Measured { size, cells } in all {
        let line = |by: &str, turns: &[Turn], syncs: &str, ratios: &str| {
            let latencies = format!("{:.2} {:>8.2}", latency(turns, 0.5), latency(turns, 0.99));
            let latencies = if by == "batched" { "" } else { &latencies };
            let (puts, megabytes) = (grouped(rate(turns) as u64), size.megabytes(rate(turns)));
            say!("{:<9}{by:<13}{puts:>9}{megabytes:>8.1}{latencies:>18}{syncs:>20}{ratios:>41}", size.name);
        };
        let all = |turns: fn(&Cell) -> &[Turn]| cells.iter().flat_map(|cell| turns(cell).to_vec()).collect::<Vec<_>>();
        line("floor", &all(|cell| &cell.floor), "", "");
        line("ordered", &all(|cell| &cell.ordered), "", "");
        line("batched", &all(|cell| &cell.batched), "", "");
        for cell in cells {
            let (data, catalog) = (cell.puts_a_sync(|syncs| syncs.data), cell.puts_a_sync(|syncs| syncs.catalog));
            let ratios = format!(
                "{:>14.2}{:>9.2}{:>9.2}{:>9.2}",
                ratio(&cell.puts, &cell.floor),
                ratio(&cell.puts, &cell.ordered),
                ratio(&cell.puts, &cell.batched),
                ratio(&cell.puts, &cell.blob_puts)
            );
            let syncs = format!("data {data:.1} cat {catalog:.1}");
            line(&format!("engine {}", cell.workers), &cell.puts, &syncs, &ratios);
            line(&format!("BlobDB {}", cell.workers), &cell.blob_puts, "", "");
        }
    }
}

pub(super) fn print_gets(all: &[Measured]) {
    say!("");
    let titles = ("gets of", "readers", "gets/s", "MB/s", "BlobDB gets/s", "MB/s", "engine/BlobDB");
    say!(
        "{:<9}{:<8}{:>14}{:>10}{:>16}{:>10}{:>15}",
        titles.0,
        titles.1,
        titles.2,
        titles.3,
        titles.4,
        titles.5,
        titles.6
    );
    for Measured { size, cells } in all {
        for cell in cells {
            let (ours, theirs) = (rate(&cell.gets), rate(&cell.blob_gets));
            say!(
                "{:<9}{:<8}{:>14}{:>10.1}{:>16}{:>10.1}{:>15.2}",
                size.name,
                cell.workers,
                grouped(ours as u64),
                size.megabytes(ours),
                grouped(theirs as u64),
                size.megabytes(theirs),
                ratio(&cell.gets, &cell.blob_gets)
            );
        }
    }
}

pub(super) fn print_targets(all: &[Measured]) {
    say!("");
    for (writers, target) in SYNC_TARGETS {
        let reached = all.iter().flat_map(|measured| {
            let cells = measured.cells.iter().filter(|cell| cell.workers == writers);
            cells.map(|cell| (measured.size.name.to_string(), cell.puts_a_sync(|syncs| syncs.data)))
        });
        print_target(&format!("{target} puts a data sync with {writers} writers"), target, reached);
    }
    let with = |cell: &Cell| format!("{} {}", cell.workers, if cell.workers == 1 { "writer" } else { "writers" });
    for Measured { size, cells } in all {
        if size.is == SizeName::Large {
            let reached = cells.iter().map(|cell| (with(cell), ratio(&cell.puts, &cell.floor)));
            print_target(&format!("{} puts: {FLOOR_TARGET} of the floor", size.name), FLOOR_TARGET, reached);
        }
        let reached = cells.iter().map(|cell| (with(cell), ratio(&cell.puts, &cell.blob_puts)));
        print_target(&format!("{} puts: no slower than BlobDB", size.name), 1.0, reached);
    }
}

/// A line for a target: reached by all, or missed.
fn print_target(name: &str, target: f64, values: impl Iterator<Item = (String, f64)>) {
    let values: Vec<(String, f64)> = values.collect();
    if values.is_empty() {
        return;
    }
    let word = if values.iter().all(|(_, value)| *value >= target) { "reached" } else { "missed" };
    let list: Vec<String> = values.iter().map(|(what, value)| format!("{what} {value:.2}")).collect();
    say!("{word:<8} {name}: {}", list.join(", "));
}
