//! What must be read back from an engine: a bounded, coalescing set of marks.
//!
//! Events and the API only mark; the worker reads. A mark made by the API has a number, and
//! whoever needs to read his own write waits until that number has been read back. What need not be
//! read at once is gathered for a moment, unless somebody asks meanwhile. What one reading covers is
//! `wanted`.

mod wanted;

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

pub use wanted::{Mark, Wanted};

/// How long marks are gathered: a service that starts or ends tells of each of its containers several
/// times within it, and one reading serves them all.
const GATHER: Duration = Duration::from_millis(400);

/// What is marked, and when it is to be read.
#[derive(Debug, Default)]
struct Marked {
    wanted: Wanted,
    /// The end of the gathering; without one it is to be read at once.
    due: Option<Instant>,
}

impl Marked {
    fn take(&mut self) -> Wanted {
        self.due = None;
        let upto = self.wanted.upto;
        std::mem::replace(&mut self.wanted, Wanted { upto, ..Wanted::default() })
    }

    fn number(&mut self) -> u64 {
        self.due = None;
        self.wanted.upto += 1;
        self.wanted.upto
    }
}

/// The set, shared between those who mark and the one who reads.
#[derive(Debug)]
pub struct Marks {
    marked: Mutex<Marked>,
    /// When the newest write was marked.
    written: Mutex<Option<Instant>>,
    wake: Notify,
    done: watch::Sender<u64>,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            marked: Mutex::default(),
            written: Mutex::default(),
            wake: Notify::new(),
            done: watch::Sender::new(0),
        }
    }
}

impl Marks {
    /// Marks without waiting for anything: an event was seen.
    pub fn note(&self, mark: Mark) {
        let mut marked = self.marked.lock();
        marked.wanted.add(mark);
        marked.due = None;
        drop(marked);
        self.wake.notify_one();
    }

    /// Marks what may be read with others in a moment.
    pub fn gather(&self, mark: Mark) {
        let mut marked = self.marked.lock();
        if marked.wanted.is_empty() {
            marked.due = Some(Instant::now() + GATHER);
        }
        marked.wanted.add(mark);
        drop(marked);
        self.wake.notify_one();
    }

    /// Whether this container is to be read anyway.
    pub fn has(&self, container: &str) -> bool {
        self.marked.lock().wanted.containers.contains(container)
    }

    /// Marks and numbers: a write was made, and its maker may want to read it back.
    pub fn write(&self, mark: Mark) -> u64 {
        let number = {
            let mut marked = self.marked.lock();
            marked.wanted.add(mark);
            *self.written.lock() = Some(Instant::now());
            marked.number()
        };
        self.wake.notify_one();
        number
    }

    /// Takes all that is marked; `None` when nothing is.
    pub fn take(&self) -> Option<Wanted> {
        let mut marked = self.marked.lock();
        (!marked.wanted.is_empty()).then(|| marked.take())
    }

    /// Takes all that is marked and everything else but the identity, which has just been read.
    pub fn take_all(&self) -> Wanted {
        let taken = self.marked.lock().take();
        Wanted { identity: false, ..taken.and_everything() }
    }

    /// Waits until something is marked, and has been gathered.
    pub async fn marked(&self) {
        loop {
            let due = {
                let marked = self.marked.lock();
                match marked.due {
                    _ if marked.wanted.is_empty() => None,
                    Some(due) if due > Instant::now() => Some(due),
                    _ => return,
                }
            };
            let Some(due) = due else {
                self.wake.notified().await;
                continue;
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep_until(due) => {}
            }
        }
    }

    /// The reading is in the cache.
    pub fn done(&self, upto: u64) {
        self.done.send_if_modified(|done| {
            let newer = upto > *done;
            *done = upto.max(*done);
            newer
        });
    }

    /// The reading failed: it must be made again.
    pub fn again(&self, wanted: Wanted) {
        let mut marked = self.marked.lock();
        marked.wanted.absorb(wanted);
        marked.due = None;
        drop(marked);
        self.wake.notify_one();
    }

    /// Nothing that the API wrote waits to be read back, and nothing is being gathered.
    pub fn is_settled(&self) -> bool {
        let marked = self.marked.lock();
        marked.due.is_none() && marked.wanted.upto <= *self.done.borrow()
    }

    /// Waits until every write made so far has been read back, at most `deadline` after the last of
    /// them was made: many readers of a slow engine pay for a write once, not once each. What is being
    /// gathered is read now.
    pub async fn settle(&self, deadline: Duration) {
        let upto = {
            let mut marked = self.marked.lock();
            if marked.due.is_some() {
                marked.number();
                *self.written.lock() = Some(Instant::now());
                self.wake.notify_one();
            }
            marked.wanted.upto
        };
        let Some(written) = *self.written.lock() else { return };
        // The time limit is the caller's whole interest; whether it was met he sees by reading.
        let _ = timeout_at(written + deadline, self.read_back(upto)).await;
    }

    /// Waits until write number `upto` has been read back, however long that takes.
    pub async fn read_back(&self, upto: u64) {
        if *self.done.borrow() < upto {
            // The sender lives as long as `self`.
            let _ = self.done.subscribe().wait_for(|done| *done >= upto).await;
        }
    }

    /// Waits until write number `upto` has been read back, at most `deadline`.
    pub async fn settle_upto(&self, upto: u64, deadline: Duration) -> bool {
        if *self.done.borrow() >= upto {
            return true;
        }
        let mut done = self.done.subscribe();
        tokio::time::timeout(deadline, done.wait_for(|done| *done >= upto)).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::wanted::{MOST_CONTAINERS, MOST_REMEMBERED};
    use super::*;

    #[tokio::test]
    async fn a_write_is_settled_when_its_reading_is_done() {
        let marks = Marks::default();
        let number = marks.write(Mark::Container("a".into()));
        let wanted = marks.take().unwrap();
        assert!(!marks.settle_upto(number, Duration::from_millis(5)).await);
        marks.done(wanted.upto);
        assert!(marks.settle_upto(number, Duration::from_millis(5)).await);
        assert_eq!(marks.take(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gathered_is_read_in_a_moment_or_when_somebody_asks() {
        let marks = Marks::default();
        let start = Instant::now();
        marks.gather(Mark::Container("a".into()));
        tokio::time::advance(GATHER / 2).await;
        marks.gather(Mark::Container("b".into()));
        assert!(marks.has("a") && !marks.has("c"));
        marks.marked().await;
        let waited = start.elapsed();
        assert!(waited >= GATHER && waited < GATHER * 5 / 4, "counted from the first: {waited:?}");
        assert_eq!(marks.take().unwrap().containers.len(), 2);

        // A reader has it read at once, and waits for it.
        marks.gather(Mark::Container("a".into()));
        assert!(!marks.is_settled());
        let start = Instant::now();
        let read = async {
            marks.marked().await;
            marks.done(marks.take().unwrap().upto);
        };
        tokio::join!(biased; marks.settle(Duration::from_secs(1)), read);
        assert!(start.elapsed() < GATHER / 4 && marks.is_settled(), "{:?}", start.elapsed());

        // So does a mark of something that is to be read at once.
        marks.gather(Mark::Container("a".into()));
        marks.note(Mark::Container("plain".into()));
        let start = Instant::now();
        marks.marked().await;
        assert!(start.elapsed() < GATHER / 4);
        // What is marked at once already is not put off.
        marks.gather(Mark::Container("b".into()));
        marks.marked().await;
        assert!(start.elapsed() < GATHER / 4);
    }

    #[tokio::test]
    async fn a_failed_reading_is_wanted_again() {
        let marks = Marks::default();
        marks.note(Mark::Images);
        let wanted = marks.take().unwrap();
        marks.note(Mark::Volumes);
        marks.again(wanted);
        marks.marked().await;
        let wanted = marks.take().unwrap();
        assert!(wanted.images && wanted.volumes && !wanted.networks);
    }

    #[tokio::test]
    async fn a_write_whose_reading_failed_is_settled_by_reading_everything() {
        let marks = Marks::default();
        let number = marks.write(Mark::Container("a".into()));
        let wanted = marks.take_all();
        assert!(wanted.all_containers && wanted.containers.contains("a"));
        // That reading failed, and nothing was marked since.
        marks.done(marks.take_all().upto);
        assert!(marks.settle_upto(number, Duration::from_millis(5)).await);
    }

    #[tokio::test]
    async fn readers_wait_for_a_write_only_while_it_is_new() {
        let marks = Marks::default();
        marks.write(Mark::Images);
        let start = Instant::now();
        for _ in 0..10 {
            marks.settle(Duration::from_millis(200)).await;
        }
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }

    #[test]
    fn readings_that_fail_again_and_again_do_not_grow() {
        let marks = Marks::default();
        for round in 0..100 {
            for id in 0..MOST_CONTAINERS {
                marks.note(Mark::Container(format!("{round}/{id}")));
            }
            let wanted = marks.take().unwrap();
            assert!(wanted.containers.len() <= MOST_REMEMBERED);
            marks.again(wanted);
        }
        assert!(marks.take().unwrap().all_afresh);
    }

    #[test]
    fn many_marks_become_one_full_reading() {
        let marks = Marks::default();
        for id in 0..1_000 {
            marks.note(Mark::Container(id.to_string()));
        }
        let wanted = marks.take().unwrap();
        assert!(wanted.all_containers && wanted.containers.len() == 1_000);
        marks.again(wanted);
        marks.note(Mark::All);
        assert_eq!(marks.take().unwrap().containers.len(), 1_000, "what happened to them is kept");
    }
}
