//! Containers on the wire: an entry of the list, the facts of an inspect answer, the body of a
//! create, the filters of a list.

pub mod create;
pub mod inspect;
pub mod list;
pub mod list_filter;
pub mod port;
pub mod state;

pub use create::CreateBody;
pub use inspect::InspectFacts;
pub use list::ListEntry;
pub use list_filter::{ListFilter, ListQuery};
pub use port::{Port, PortBinding, Protocol};
pub use state::{Health, State, StateFacts};

/// The label by which the container of a swarm's task names it.
pub const LABEL_TASK_ID: &str = "com.docker.swarm.task.id";
