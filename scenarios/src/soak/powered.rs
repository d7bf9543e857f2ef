//! A block device whose power can be cut: durable bytes in an image, a plain file, and a volatile cache above them.
//!
//! Between a cut and the release it answers nothing; then it answers and forgets, until it is restored with what the loss
//! has left. A process that ends with it in memory leaves an image whose power was cut.

use crate::soak::contents::Draws;
use crate::soak::device::{Log, Loss, Write};
use crate::soak::serve::{Order, Refusal};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tells whoever asked.
pub type Answer = Box<dyn FnOnce(io::Result<()>) + Send>;

/// What a device is asked, reads apart.
#[derive(Debug)]
pub enum Request {
    /// To write.
    Write(Write),
    /// To make durable what it was asked to write before, and has answered.
    Flush,
}

/// The device.
pub struct Device {
    image: File,
    bytes: u64,
    log: Log,
    power: Power,
    /// The power goes when so many writes are not flushed.
    cut_at: Option<u64>,
    /// What it is to refuse, after how many more that it might have.
    refusal: Option<(Refusal, u64)>,
    /// How many it has.
    refused: u64,
    /// How often it is open.
    handles: u64,
}

enum Power {
    On,
    /// It was cut; who waits for an answer.
    Cut(Vec<(Request, Answer)>),
    /// Its users are dead. What they write is seen by them alone.
    Off(Log),
}

impl Device {
    /// A device with the bytes of an image, and power.
    ///
    /// # Errors
    /// What the image says.
    pub fn new(image: File) -> io::Result<Device> {
        let bytes = image.metadata()?.len();
        let (log, power) = (Log::default(), Power::On);
        Ok(Device { image, bytes, log, power, cut_at: None, refusal: None, refused: 0, handles: 0 })
    }

    /// How large it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Somebody has opened it.
    pub fn opened(&mut self) {
        self.handles += 1;
    }

    /// Somebody has closed it.
    pub fn closed(&mut self) {
        self.handles -= 1;
    }

    /// Whether somebody has it open.
    pub fn is_open(&self) -> bool {
        self.handles > 0
    }

    /// Reads at most so many bytes. What was written is there, flushed or not.
    ///
    /// # Errors
    /// What the image says.
    pub fn read(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let length = length.min(self.bytes.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.image.read_exact_at(&mut bytes, offset)?;
        self.log.lay_over(offset, &mut bytes);
        if let Power::Off(forgotten) = &self.power {
            forgotten.lay_over(offset, &mut bytes);
        }
        Ok(bytes)
    }

    /// Does what it is asked, and answers; after a cut not before the release.
    pub fn ask(&mut self, request: Request, answer: Answer) {
        let is_refused = matches!(self.power, Power::On) && self.refuses(&request);
        let done = match (&mut self.power, request) {
            (Power::Cut(held), request) => return held.push((request, answer)),
            // as if it had never been asked: nothing of a write, and no more durable than before
            _ if is_refused => Err(rustix::io::Errno::IO.into()),
            (_, Request::Write(write)) if write.offset + u64::from(write.length()) > self.bytes => {
                Err(io::ErrorKind::StorageFull.into())
            }
            (Power::On, Request::Write(Write { offset, bytes })) => {
                self.log.write(offset, &bytes);
                Ok(())
            }
            (Power::On, Request::Flush) => self.flush(),
            (Power::Off(forgotten), Request::Write(Write { offset, bytes })) => {
                forgotten.write(offset, &bytes);
                Ok(())
            }
            (Power::Off(_), Request::Flush) => Ok(()),
        };
        answer(done);
        if self.cut_at.is_some() && !self.is_awaited() {
            self.cut();
        }
    }

    /// An ordinary end: what was written is durable then, if there is power.
    ///
    /// # Errors
    /// What the image says.
    pub fn shut_down(&mut self) -> io::Result<()> {
        if matches!(self.power, Power::On) { self.flush() } else { Ok(()) }
    }

    /// Has the power cut when so many writes are not flushed.
    pub fn cut_at(&mut self, writes: u64) {
        self.cut_at = Some(writes);
    }

    /// Whether it still has power, and fewer writes are not flushed than it is to be cut at.
    pub fn is_awaited(&self) -> bool {
        self.cut_at.is_some_and(|writes| self.log.unflushed() < writes)
    }

    /// Whether the power is cut, and those who wait are not released.
    pub fn is_cut(&self) -> bool {
        matches!(self.power, Power::Cut(_))
    }

    /// Does as it is told: what became of the unflushed writes.
    ///
    /// # Errors
    /// A sentence: an order that does not follow the one before it, or what the image says.
    pub fn obey(&mut self, order: Order) -> Result<Loss, String> {
        match (order, &mut self.power) {
            (Order::Refuse { what, after }, Power::On) => self.refusal = Some((what, after)),
            (Order::Cut { .. }, Power::On) => self.cut(),
            (Order::Cut { .. }, Power::Cut(_)) => {} // by a write
            (Order::Release, Power::Cut(held)) => {
                let held = std::mem::take(held);
                self.power = Power::Off(Log::default());
                held.into_iter().for_each(|(request, answer)| self.ask(request, answer));
            }
            (Order::Restore { seed, number }, Power::Off(_)) => {
                let (left, loss) = self.log.lose(&mut Draws::new(seed, "loss", &[number]));
                self.keep(left).map_err(|error| error.to_string())?;
                self.power = Power::On;
                return Ok(Loss { refused: std::mem::take(&mut self.refused), ..loss });
            }
            _ => return Err(format!("{order}: out of order")),
        }
        Ok(Loss::default())
    }

    /// Refuses nothing that it has not refused yet.
    pub fn forgive(&mut self) {
        self.refusal = None;
    }

    /// Whether this is one that it is to refuse.
    fn refuses(&mut self, request: &Request) -> bool {
        let is_met = |what| match (what, request) {
            (Refusal::Write, Request::Write(_)) | (Refusal::Flush, Request::Flush) | (Refusal::All, _) => true,
            (Refusal::Write, Request::Flush) | (Refusal::Flush, Request::Write(_)) => false,
        };
        match &mut self.refusal {
            Some((what, 0)) if is_met(*what) => {
                self.refused += 1;
                if *what != Refusal::All {
                    self.refusal = None; // it was one sector, or one moment
                }
                true
            }
            Some((what, after)) if is_met(*what) => {
                *after -= 1;
                false
            }
            _ => false,
        }
    }

    fn cut(&mut self) {
        self.cut_at = None;
        self.forgive();
        self.power = Power::Cut(Vec::new());
    }

    fn flush(&mut self) -> io::Result<()> {
        let durable = self.log.flush();
        self.keep(durable)
    }

    fn keep(&self, writes: Vec<Write>) -> io::Result<()> {
        writes.iter().try_for_each(|write| self.image.write_all_at(&write.bytes, write.offset))
    }
}

/// The device, for one at a time.
pub fn lock(device: &Mutex<Device>) -> MutexGuard<'_, Device> {
    // nothing under the lock can panic half way
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::mpsc::{self, Receiver};

    const SECTOR: usize = 512;

    fn device() -> (tempfile::NamedTempFile, Device) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 16).unwrap();
        let device = Device::new(file.reopen().unwrap()).unwrap();
        (file, device)
    }

    fn ask(device: &mut Device, request: Request) -> Receiver<bool> {
        let (answer, answered) = mpsc::channel();
        device.ask(request, Box::new(move |done| answer.send(done.is_ok()).unwrap()));
        answered
    }

    fn write(device: &mut Device, byte: u8) -> Receiver<bool> {
        ask(device, Request::Write(Write { offset: 0, bytes: vec![byte; SECTOR] }))
    }

    fn first_byte(device: &Device) -> u8 {
        device.read(0, 1).unwrap()[0]
    }

    #[test]
    fn the_image_has_what_was_flushed_and_a_read_has_everything() {
        let (file, mut device) = device();
        let in_the_image = || {
            let mut byte = [0];
            file.as_file().read_exact_at(&mut byte, 0).unwrap();
            byte[0]
        };
        assert_eq!(write(&mut device, 1).try_recv(), Ok(true));
        assert_eq!((in_the_image(), first_byte(&device)), (0, 1));
        assert_eq!(ask(&mut device, Request::Flush).try_recv(), Ok(true));
        assert_eq!(write(&mut device, 2).try_recv(), Ok(true));
        assert_eq!((in_the_image(), first_byte(&device)), (1, 2));
        device.shut_down().unwrap();
        assert_eq!(in_the_image(), 2);
    }

    #[test]
    fn a_loss_keeps_or_drops_what_was_not_flushed_and_nothing_written_after_the_cut() {
        let mut found = BTreeSet::new();
        for number in 0..40 {
            let (_file, mut device) = device();
            write(&mut device, 1);
            ask(&mut device, Request::Flush);
            write(&mut device, 2);
            device.obey(Order::Cut { writes: 0 }).unwrap();
            let held = [write(&mut device, 3), ask(&mut device, Request::Flush)];
            assert!(held.iter().all(|held| held.try_recv().is_err()), "answered after the cut");
            device.obey(Order::Release).unwrap();
            assert!(held.iter().all(|held| held.try_recv() == Ok(true)));
            assert_eq!(first_byte(&device), 3);
            device.obey(Order::Restore { seed: 0, number }).unwrap();
            found.insert(first_byte(&device));
        }
        assert_eq!(found, [1, 2].into());
    }

    #[test]
    fn the_power_goes_with_the_write_that_was_waited_for() {
        let (_file, mut device) = device();
        device.cut_at(2);
        write(&mut device, 1);
        assert!(device.is_awaited() && !device.is_cut());
        write(&mut device, 2);
        assert!(device.is_cut());
        assert!(write(&mut device, 3).try_recv().is_err());
    }

    #[test]
    fn what_is_refused_is_not_there_and_a_restart_mends_the_device() {
        let (_file, mut device) = device();
        let flush = |device: &mut Device| ask(device, Request::Flush).try_recv();
        for (what, refuses) in [
            (Refusal::Write, [false, true, false, false]),
            (Refusal::Flush, [false, false, false, true]),
            (Refusal::All, [false, true, true, true]),
        ] {
            device.obey(Order::Refuse { what, after: 1 }).unwrap();
            let done = [write(&mut device, 1).try_recv(), write(&mut device, 2).try_recv()];
            let done = [done[0], done[1], flush(&mut device), flush(&mut device)];
            assert_eq!(done, refuses.map(|refuses| Ok(!refuses)), "{what:?}");
            assert_eq!(first_byte(&device), if refuses[1] { 1 } else { 2 });
            device.obey(Order::Cut { writes: 0 }).unwrap();
            device.obey(Order::Release).unwrap();
            let loss = device.obey(Order::Restore { seed: 0, number: 1 }).unwrap();
            assert_eq!(loss.refused, refuses.iter().filter(|refuses| **refuses).count() as u64);
            assert_eq!(write(&mut device, 3).try_recv(), Ok(true), "a restart mends it");
        }
    }

    #[test]
    fn orders_come_in_their_order() {
        let (_file, mut device) = device();
        let restore = Order::Restore { seed: 0, number: 1 };
        assert!(device.obey(Order::Release).is_err() && device.obey(restore).is_err());
        device.obey(Order::Cut { writes: 0 }).unwrap();
        assert!(device.obey(restore).is_err());
        device.obey(Order::Release).unwrap();
        assert!(device.obey(Order::Release).is_err() && device.obey(restore).is_ok());
    }

    #[test]
    fn nothing_is_beyond_the_end() {
        let (_file, mut device) = device();
        let beyond = Write { offset: device.bytes(), bytes: vec![1; SECTOR] };
        assert_eq!(ask(&mut device, Request::Write(beyond)).try_recv(), Ok(false));
        assert_eq!(device.read(device.bytes() - 1, 2).unwrap().len(), 1);
    }
}
