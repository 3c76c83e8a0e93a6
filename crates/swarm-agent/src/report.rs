//! What became of tasks, on its way to the leader: the latest word on each task, numbered.
//!
//! A session remembers up to which number it has sent, and takes what is newer in that order; a new
//! session begins at zero and so says the latest of every task again. Nothing is queued, so there is
//! nothing that could grow beyond one word for each task. Words left out in between are no loss: a
//! task may skip states on its way up.

use std::collections::HashMap;

use parking_lot::Mutex;
use swarm_model::Id;
use swarm_model::task::TaskStatus;
use tokio::sync::Notify;

/// The latest word on each task.
#[derive(Debug, Default)]
pub struct Reports {
    kept: Mutex<Kept>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    words: HashMap<Id, (u64, TaskStatus)>,
}

impl Reports {
    /// Takes a word on a task.
    pub fn say(&self, task: &Id, status: TaskStatus) {
        {
            let mut kept = self.kept.lock();
            kept.last += 1;
            let number = kept.last;
            kept.words.insert(task.clone(), (number, status));
        }
        self.news.notify_one();
    }

    /// The manager knows the task no more.
    pub fn forget(&self, task: &Id) {
        self.kept.lock().words.remove(task);
    }

    /// At most `most` words newer than `sent`, oldest first, and the number up to which they go.
    pub fn after(&self, sent: u64, most: usize) -> (Vec<(Id, TaskStatus)>, u64) {
        let kept = self.kept.lock();
        let mut newer: Vec<_> =
            kept.words.iter().filter(|(_, (number, _))| *number > sent).collect();
        newer.sort_unstable_by_key(|(_, (number, _))| *number);
        newer.truncate(most);
        let last = newer.last().map_or(sent, |(_, (number, _))| *number);
        (newer.into_iter().map(|(id, (_, status))| (id.clone(), status.clone())).collect(), last)
    }

    /// Waits for a word; one that came before counts.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_model::TaskState;

    fn status(state: TaskState) -> TaskStatus {
        TaskStatus { state, ..TaskStatus::default() }
    }

    fn said(reports: &Reports, sent: u64, most: usize) -> (Vec<(String, TaskState)>, u64) {
        let (words, last) = reports.after(sent, most);
        (words.into_iter().map(|(id, status)| (id.to_string(), status.state)).collect(), last)
    }

    #[test]
    fn a_session_gets_the_latest_in_order_and_a_new_one_gets_all_again() {
        let reports = Reports::default();
        for (task, state) in [
            ("a", TaskState::Accepted),
            ("b", TaskState::Accepted),
            ("a", TaskState::Running),
            ("c", TaskState::Failed),
        ] {
            reports.say(&Id::from(task), status(state));
        }
        reports.forget(&Id::from("c"));
        let all = vec![("b".to_owned(), TaskState::Accepted), ("a".to_owned(), TaskState::Running)];
        assert_eq!(said(&reports, 0, 9), (all.clone(), 3));
        assert_eq!(said(&reports, 3, 9), (vec![], 3));
        assert_eq!(said(&reports, 0, 1), (all[..1].to_vec(), 2));
        reports.say(&Id::from("b"), status(TaskState::Running));
        assert_eq!(said(&reports, 3, 9).0, [("b".to_owned(), TaskState::Running)]);
    }
}
