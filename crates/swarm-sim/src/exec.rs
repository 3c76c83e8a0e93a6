//! Virtual time and the tasks that live in it: one thread, one queue of moments, no real clock.
//!
//! Tasks belong to a term, and terms to a process. A process that is paused is not polled, and finds
//! the world changed when it wakes; a term that ends drops its tasks wherever they wait.
//!
//! Invariant: the order of everything follows from the order of calls, so that one seed is one
//! history.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Milliseconds of virtual time.
pub type Millis = u64;

/// Whose task: what stops and dies together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    /// What is paused together.
    pub process: usize,
    /// What ends together.
    pub number: u64,
}

type Ready = Arc<Mutex<VecDeque<u64>>>;

struct Signal {
    task: u64,
    ready: Ready,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.task);
    }
}

enum Event {
    Wake(Waker),
    Run(Box<dyn FnOnce()>),
}

struct Task {
    term: Term,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

/// Time, chance and tasks.
pub struct Sim {
    now: Cell<Millis>,
    count: Cell<u64>,
    queue: RefCell<BinaryHeap<Reverse<(Millis, u64)>>>,
    events: RefCell<BTreeMap<u64, Event>>,
    tasks: RefCell<BTreeMap<u64, Option<Task>>>,
    ready: Ready,
    paused: RefCell<BTreeSet<usize>>,
    parked: RefCell<Vec<(usize, u64)>>,
    ended: RefCell<BTreeSet<Term>>,
    rng: RefCell<StdRng>,
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("now", &self.now.get()).finish_non_exhaustive()
    }
}

impl Sim {
    /// At moment 0.
    pub fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self {
            now: Cell::new(0),
            count: Cell::new(0),
            queue: RefCell::default(),
            events: RefCell::default(),
            tasks: RefCell::default(),
            ready: Ready::default(),
            paused: RefCell::default(),
            parked: RefCell::default(),
            ended: RefCell::default(),
            rng: RefCell::new(StdRng::seed_from_u64(seed)),
        })
    }

    /// Now.
    pub fn now(&self) -> Millis {
        self.now.get()
    }

    fn next(&self) -> u64 {
        self.count.set(self.count.get() + 1);
        self.count.get()
    }

    /// A term that no other is.
    pub fn term(&self, process: usize) -> Term {
        Term { process, number: self.next() }
    }

    /// One of `range`.
    pub fn between(&self, range: std::ops::Range<u64>) -> u64 {
        self.rng.borrow_mut().random_range(range)
    }

    /// True once in `times`.
    pub fn once_in(&self, times: u64) -> bool {
        self.between(0..times) == 0
    }

    fn at(&self, when: Millis, event: Event) {
        let number = self.next();
        self.queue.borrow_mut().push(Reverse((when, number)));
        self.events.borrow_mut().insert(number, event);
    }

    /// Runs `action` later.
    pub fn after(&self, delay: Millis, action: impl FnOnce() + 'static) {
        self.at(self.now() + delay, Event::Run(Box::new(action)));
    }

    /// Starts a task.
    pub fn spawn(&self, term: Term, future: impl Future<Output = ()> + 'static) {
        if self.ended.borrow().contains(&term) {
            return;
        }
        let number = self.next();
        let task = Task { term, future: Box::pin(future) };
        self.tasks.borrow_mut().insert(number, Some(task));
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push_back(number);
    }

    /// Ends when it is this much later.
    pub fn sleep(self: &Rc<Self>, delay: Millis) -> Sleep {
        Sleep { sim: Rc::clone(self), until: self.now() + delay, asked: false }
    }

    /// Stops polling a process.
    pub fn pause(&self, process: usize) {
        self.paused.borrow_mut().insert(process);
    }

    /// Lets a process run again.
    pub fn resume(&self, process: usize) {
        self.paused.borrow_mut().remove(&process);
        let parked = std::mem::take(&mut *self.parked.borrow_mut());
        let (now, later): (Vec<_>, Vec<_>) = parked.into_iter().partition(|(p, _)| *p == process);
        *self.parked.borrow_mut() = later;
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.extend(now.into_iter().map(|(_, task)| task));
    }

    /// Whether a process is paused.
    pub fn is_paused(&self, process: usize) -> bool {
        self.paused.borrow().contains(&process)
    }

    /// Ends a term: its tasks are dropped where they wait.
    pub fn end(&self, term: Term) {
        self.ended.borrow_mut().insert(term);
        // Dropped outside of the borrow: what a task holds may be looked at on its way out.
        let gone: Vec<u64> = {
            let tasks = self.tasks.borrow();
            let of = |task: &Option<Task>| task.as_ref().is_some_and(|task| task.term == term);
            tasks.iter().filter(|(_, task)| of(task)).map(|(number, _)| *number).collect()
        };
        for number in gone {
            let task = self.tasks.borrow_mut().remove(&number);
            drop(task);
        }
    }

    /// Runs until `end`, or until `stop` says so.
    pub fn run(&self, end: Millis, stop: impl Fn() -> bool) {
        loop {
            while let Some(number) = self.pop_ready() {
                self.poll(number);
            }
            if stop() {
                return;
            }
            let next = self.queue.borrow().peek().map(|Reverse(next)| *next);
            let Some((when, number)) = next.filter(|(when, _)| *when <= end) else {
                self.now.set(end);
                return;
            };
            self.queue.borrow_mut().pop();
            self.now.set(when);
            let event = self.events.borrow_mut().remove(&number);
            match event {
                Some(Event::Wake(waker)) => waker.wake(),
                Some(Event::Run(action)) => action(),
                None => {}
            }
        }
    }

    fn pop_ready(&self) -> Option<u64> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn poll(&self, number: u64) {
        let task = match self.tasks.borrow_mut().get_mut(&number) {
            Some(slot) => slot.take(),
            None => return,
        };
        let Some(mut task) = task else { return };
        if self.is_paused(task.term.process) {
            self.parked.borrow_mut().push((task.term.process, number));
            self.tasks.borrow_mut().insert(number, Some(task));
            return;
        }
        let signal = Arc::new(Signal { task: number, ready: Arc::clone(&self.ready) });
        let waker = Waker::from(signal);
        let done = task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if done || self.ended.borrow().contains(&task.term) {
            self.tasks.borrow_mut().remove(&number);
        } else {
            self.tasks.borrow_mut().insert(number, Some(task));
        }
    }
}

/// See [`Sim::sleep`].
#[derive(Debug)]
pub struct Sleep {
    sim: Rc<Sim>,
    until: Millis,
    asked: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.sim.now() >= self.until {
            return Poll::Ready(());
        }
        if !self.asked {
            self.asked = true;
            let waker = context.waker().clone();
            self.sim.at(self.until, Event::Wake(waker));
        }
        Poll::Pending
    }
}

#[derive(Debug)]
struct Inner<T> {
    value: Option<T>,
    filled: bool,
    waker: Option<Waker>,
}

/// A value that comes later; the first one counts.
#[derive(Debug)]
pub struct Slot<T>(Rc<RefCell<Inner<T>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Inner { value: None, filled: false, waker: None })))
    }
}

impl<T> Slot<T> {
    /// Gives the value, unless there was one before.
    pub fn fill(&self, value: T) {
        let waker = {
            let mut inner = self.0.borrow_mut();
            if inner.filled {
                return;
            }
            (inner.value, inner.filled) = (Some(value), true);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Slot<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut inner = self.0.borrow_mut();
        if let Some(value) = inner.value.take() {
            return Poll::Ready(value);
        }
        inner.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task that notes the time of each of its steps.
    fn steps(sim: &Rc<Sim>, term: Term) -> Rc<RefCell<Vec<Millis>>> {
        let seen: Rc<RefCell<Vec<Millis>>> = Rc::default();
        let (noted, own) = (Rc::clone(&seen), Rc::clone(sim));
        sim.spawn(term, async move {
            loop {
                own.sleep(10).await;
                noted.borrow_mut().push(own.now());
            }
        });
        seen
    }

    #[test]
    fn a_paused_process_finds_the_time_gone_and_an_ended_term_runs_no_more() {
        let sim = Sim::new(1);
        let (paused, ended) = (sim.term(0), sim.term(1));
        let (first, second) = (steps(&sim, paused), steps(&sim, ended));
        sim.run(25, || false);
        sim.pause(0);
        sim.end(ended);
        sim.run(95, || false);
        sim.resume(0);
        sim.run(110, || false);
        assert_eq!(*first.borrow(), [10, 20, 95, 105]);
        assert_eq!(*second.borrow(), [10, 20]);
        sim.spawn(ended, async { unreachable!("its term is over") });
        sim.run(120, || false);
    }

    #[test]
    fn the_first_value_of_a_slot_counts() {
        let sim = Sim::new(1);
        let (slot, seen): (Slot<u8>, Rc<Cell<u8>>) = (Slot::default(), Rc::default());
        let (waits, noted) = (slot.clone(), Rc::clone(&seen));
        sim.spawn(sim.term(0), async move { noted.set(waits.await) });
        sim.after(5, move || {
            slot.fill(1);
            slot.fill(2);
        });
        sim.run(10, || false);
        assert_eq!(seen.get(), 1);
    }
}
