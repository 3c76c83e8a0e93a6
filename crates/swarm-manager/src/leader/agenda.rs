//! Which services are to be planned for, and when others will be.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use swarm_model::{Id, Time};

/// Services in the order in which they were marked, and moments at which others will be.
#[derive(Debug, Default)]
pub struct Agenda {
    queue: VecDeque<Id>,
    queued: HashSet<Id>,
    moments: BTreeSet<(Time, Id)>,
    moment_of: HashMap<Id, Time>,
}

impl Agenda {
    /// Marks a service; one that is marked already keeps its place.
    pub fn mark(&mut self, service: &Id) {
        if self.queued.insert(service.clone()) {
            self.queue.push_back(service.clone());
        }
    }

    /// Marks those whose moment has come, and takes the first.
    pub fn next(&mut self, now: Time) -> Option<Id> {
        while self.moments.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, service)) = self.moments.pop_first() {
                self.moment_of.remove(&service);
                self.mark(&service);
            }
        }
        let service = self.queue.pop_front()?;
        self.queued.remove(&service);
        Some(service)
    }

    /// Takes a mark away.
    pub fn unmark(&mut self, service: &Id) {
        if self.queued.remove(service) {
            self.queue.retain(|queued| queued != service);
        }
    }

    /// When the service is to be planned for though nothing happens; the answer of its last plan.
    pub fn wake(&mut self, service: &Id, at: Option<Time>) {
        if let Some(old) = self.moment_of.remove(service) {
            self.moments.remove(&(old, service.clone()));
        }
        if let Some(at) = at {
            self.moment_of.insert(service.clone(), at);
            self.moments.insert((at, service.clone()));
        }
    }

    /// Whether something is to be planned for now, as far as was marked.
    pub fn is_marked(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The next moment.
    pub fn moment(&self) -> Option<Time> {
        self.moments.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_come_in_their_order_and_moments_in_theirs() {
        let mut agenda = Agenda::default();
        let [a, b, c] = ["a", "b", "c"].map(Id::from);
        agenda.mark(&b);
        agenda.mark(&a);
        agenda.mark(&b);
        agenda.wake(&c, Some(Time(5)));
        agenda.wake(&c, Some(Time(7)));
        assert_eq!(agenda.next(Time(5)), Some(b));
        assert_eq!(agenda.moment(), Some(Time(7)));
        assert_eq!(agenda.next(Time(7)), Some(a));
        assert_eq!(agenda.next(Time(7)), Some(c.clone()));
        assert_eq!((agenda.next(Time(9)), agenda.moment()), (None, None));
        agenda.wake(&c, Some(Time(9)));
        agenda.wake(&c, None);
        assert_eq!(agenda.next(Time(9)), None);
    }
}
