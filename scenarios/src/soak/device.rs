//! A block device's volatile cache: the writes since the last flush, and what of them is still there after a power loss.
//!
//! A flush makes durable what was written before it, and nothing else does. Of the rest a power loss leaves any subset, in
//! which writes may be torn at a sector; of two writes of one sector the later one wins where both are left. Durable bytes
//! are somebody else's.

use crate::soak::contents::Draws;

/// What a device writes as a whole or not at all.
pub const SECTOR_BYTES: u64 = 512;

/// Below it is the superblock of the file system, which ext4 reads before it replays its journal: torn, it could not be
/// mounted, whatever the rest is. It is kept or dropped as a whole.
const WHOLE_BYTES: u64 = 4096;

/// A power loss leaves none of the writes, a quarter of them, half of them, three quarters, or all of them.
const QUARTERS: u64 = 4;

/// Of the writes that are left, one in so many is torn, if it has two sectors.
const TORN_IN: u64 = 4;

/// Some bytes at some place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where the first of them is.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What became of the writes that no flush had covered, and what was refused before that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Those that are there.
    pub kept: u64,
    /// Those that are gone.
    pub dropped: u64,
    /// Those of which a part is there.
    pub torn: u64,
    /// Requests that the device has refused.
    pub refused: u64,
}

/// The writes since the last flush, in order.
#[derive(Clone, Debug, Default)]
pub struct Log {
    writes: Vec<Write>,
}

impl Log {
    /// One more.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.writes.push(Write { offset, bytes: bytes.to_vec() });
    }

    /// How many there are.
    pub fn unflushed(&self) -> u64 {
        self.writes.len() as u64
    }

    /// Everything that was written is durable from now on: takes it out.
    pub fn flush(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.writes)
    }

    /// Lays what was written over `bytes`, which are the durable ones at `offset`.
    pub fn lay_over(&self, offset: u64, bytes: &mut [u8]) {
        let end = offset + bytes.len() as u64;
        for write in &self.writes {
            let (from, to) = (write.offset.max(offset), (write.offset + write.bytes.len() as u64).min(end));
            if from < to {
                let source = &write.bytes[index(from - write.offset)..index(to - write.offset)];
                bytes[index(from - offset)..index(to - offset)].copy_from_slice(source);
            }
        }
    }

    /// The power is gone: takes out what is there all the same, in order.
    pub fn lose(&mut self, draws: &mut Draws) -> (Vec<Write>, Loss) {
        let (quarters, mut left, mut loss) = (draws.below(QUARTERS + 1), Vec::new(), Loss::default());
        for write in std::mem::take(&mut self.writes) {
            let sectors = write.bytes.len() as u64 / SECTOR_BYTES;
            if draws.below(QUARTERS) >= quarters {
                loss.dropped += 1;
            } else if sectors > 1 && write.offset >= WHOLE_BYTES && draws.below(TORN_IN) == 0 {
                loss.torn += 1;
                left.push(write.torn(1 + draws.below(sectors - 1), draws.below(2) == 0));
            } else {
                loss.kept += 1;
                left.push(write);
            }
        }
        (left, loss)
    }
}

impl Write {
    /// How many bytes.
    pub fn length(&self) -> u32 {
        u32::try_from(self.bytes.len()).expect("a request is smaller than a GiB")
    }

    /// The sectors before the cut, or those after it.
    fn torn(self, sectors: u64, is_head: bool) -> Write {
        let cut = sectors * SECTOR_BYTES;
        let (head, tail) = self.bytes.split_at(index(cut));
        if is_head {
            Write { offset: self.offset, bytes: head.to_vec() }
        } else {
            Write { offset: self.offset + cut, bytes: tail.to_vec() }
        }
    }
}

impl std::ops::AddAssign for Loss {
    fn add_assign(&mut self, other: Loss) {
        self.kept += other.kept;
        self.dropped += other.dropped;
        self.torn += other.torn;
        self.refused += other.refused;
    }
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a write is in memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECTORS: u64 = 16;
    const LOSSES: u64 = 200;

    /// A write: its first sector, its length in sectors, its bytes; and whether a flush follows.
    type Step = (u64, u64, u8, bool);

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = (0..SECTORS, 1..4u64, 1..=255u8, proptest::bool::weighted(0.2));
        proptest::collection::vec(step, 0..24)
    }

    fn bytes(sectors: u64, byte: u8) -> Vec<u8> {
        vec![byte; index(sectors * SECTOR_BYTES)]
    }

    fn apply(writes: Vec<Write>, device: &mut [u8]) {
        for Write { offset, bytes } in writes {
            device[index(offset)..][..bytes.len()].copy_from_slice(&bytes);
        }
    }

    /// The sectors of a device, one byte for each; they are written as wholes.
    fn sectors(device: &[u8]) -> Vec<u8> {
        let sectors = device.chunks(index(SECTOR_BYTES));
        sectors
            .inspect(|sector| assert!(sector.iter().all(|byte| *byte == sector[0])))
            .map(|sector| sector[0])
            .collect()
    }

    /// Durable bytes, the cache, and for each sector the values it has had since the last flush.
    fn played(steps: &[Step]) -> (Vec<u8>, Log, Vec<Vec<u8>>) {
        let (mut device, mut log) = (bytes(SECTORS + 4, 0), Log::default());
        let mut had = vec![vec![0]; index(SECTORS + 4)];
        for &(first, length, byte, is_flushed) in steps {
            log.write(first * SECTOR_BYTES, &bytes(length, byte));
            had[index(first)..][..index(length)].iter_mut().for_each(|had| had.push(byte));
            if is_flushed {
                apply(log.flush(), &mut device);
                had.iter_mut().for_each(|had| *had = had.split_off(had.len() - 1));
            }
        }
        (device, log, had)
    }

    proptest! {
        #[test]
        fn a_read_gives_what_was_written_last(steps in steps()) {
            let (mut device, log, had) = played(&steps);
            log.lay_over(0, &mut device);
            let last: Vec<u8> = had.iter().map(|had| had[had.len() - 1]).collect();
            prop_assert_eq!(sectors(&device), last);
        }

        #[test]
        fn a_read_of_a_part_gives_the_same(steps in steps(), from in 0..8192u64, length in 0..2048u64) {
            let (device, log, _) = played(&steps);
            let mut whole = device.clone();
            log.lay_over(0, &mut whole);
            let mut part = device[index(from)..index(from + length)].to_vec();
            log.lay_over(from, &mut part);
            prop_assert_eq!(&part, &whole[index(from)..index(from + length)]);
        }

        #[test]
        fn a_loss_leaves_each_sector_as_the_flush_left_it_or_as_it_was_since(steps in steps(), seed: u64) {
            let (mut device, mut log, had) = played(&steps);
            let unflushed = log.unflushed();
            let (left, loss) = log.lose(&mut Draws::new(seed, "loss", &[]));
            prop_assert_eq!(loss.kept + loss.dropped + loss.torn, unflushed);
            apply(left, &mut device);
            for (sector, had) in sectors(&device).iter().zip(&had) {
                prop_assert!(had.contains(sector), "{} is none of {:?}", sector, had);
            }
        }
    }

    /// How often each sector of two writes, of two sectors and of one, is there after a loss, and what the losses were.
    fn losses(first: u64, is_flushed: bool) -> ([u64; 3], Vec<Loss>) {
        let (mut there, mut losses) = ([0; 3], Vec::new());
        for number in 0..LOSSES {
            let (mut device, mut log) = (bytes(first + 3, 0), Log::default());
            log.write(first * SECTOR_BYTES, &bytes(2, 1));
            log.write((first + 2) * SECTOR_BYTES, &bytes(1, 1));
            if is_flushed {
                apply(log.flush(), &mut device);
            }
            let (left, loss) = log.lose(&mut Draws::new(0, "loss", &[number]));
            apply(left, &mut device);
            sectors(&device)[index(first)..]
                .iter()
                .zip(&mut there)
                .for_each(|(sector, there)| *there += u64::from(*sector));
            losses.push(loss);
        }
        (there, losses)
    }

    #[test]
    fn flushed_writes_survive() {
        assert_eq!(losses(WHOLE_BYTES / SECTOR_BYTES, true), ([LOSSES; 3], vec![Loss::default(); index(LOSSES)]));
    }

    #[test]
    fn unflushed_writes_are_kept_dropped_or_torn_each_for_itself() {
        let (there, losses) = losses(WHOLE_BYTES / SECTOR_BYTES, false);
        for sector in there {
            assert!((LOSSES / 4..LOSSES * 3 / 4).contains(&sector), "{there:?}");
        }
        let has = |kept, dropped, torn| losses.contains(&Loss { kept, dropped, torn, refused: 0 });
        assert!(has(2, 0, 0) && has(0, 2, 0) && has(1, 1, 0) && has(1, 0, 1) && has(0, 1, 1));
    }

    #[test]
    fn a_superblock_is_never_torn() {
        let (there, losses) = losses(2, false);
        assert!(
            there[0] == there[1]
                && losses.iter().all(|loss| loss.torn == 0)
                && losses.iter().any(|loss| loss.dropped > 0)
        );
    }
}
