//! What a run shares among its parts. All of a run happens on one thread, but the engine's futures must be `Send`, and so
//! must what they hold. (A mutex would do, and costs a tenth of all runs a second.)

use fragile::Fragile;
use std::cell::{RefCell, RefMut};

/// A value that only the thread that made it may touch or drop.
#[derive(Debug, Default)]
pub struct Confined<T>(Fragile<RefCell<T>>);

impl<T> Confined<T> {
    /// Confines `value` to this thread.
    pub fn new(value: T) -> Confined<T> {
        Confined(Fragile::new(RefCell::new(value)))
    }

    /// Borrows it.
    ///
    /// # Panics
    /// On another thread, and while it is borrowed.
    pub fn borrow_mut(&self) -> RefMut<'_, T> {
        self.0.get().borrow_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_thread_cannot_touch_it() {
        let confined = Confined::new(1);
        *confined.borrow_mut() += 1;
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| *confined.borrow_mut()).join());
        assert!(elsewhere.is_err());
        assert_eq!(*confined.borrow_mut(), 2);
    }
}
