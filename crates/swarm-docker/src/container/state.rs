//! A container's state and its wording in `docker ps`.
//!
//! Source: the engine's `State.String()` (`GET /containers/json`, `Status`), v20.10 to v29.

use jiff::Timestamp;

use crate::time::{Moment, write_human_duration};

/// `State` of a list entry, `State.Status` of an inspect answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Never started.
    #[default]
    Created,
    /// Running.
    Running,
    /// Running, its processes frozen.
    Paused,
    /// Between two runs, by its restart policy.
    Restarting,
    /// Being removed.
    Removing,
    /// Ran and ended.
    Exited,
    /// Could not be removed.
    Dead,
    /// A state of a newer engine.
    Unknown,
}

impl State {
    /// The states Docker's `status` filter takes.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Running,
        Self::Paused,
        Self::Restarting,
        Self::Removing,
        Self::Exited,
        Self::Dead,
    ];

    /// Reads Docker's word.
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.as_str() == word).unwrap_or(Self::Unknown)
    }

    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }

    /// The engine's `Running` flag: also true while paused and between restarts. A list without
    /// `all` shows exactly these.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

/// What the health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Health {
    /// There is no health check.
    #[default]
    None,
    /// No verdict yet.
    Starting,
    /// The last check passed.
    Healthy,
    /// Too many checks failed in a row.
    Unhealthy,
}

impl Health {
    /// The words Docker's `health` filter takes.
    pub const ALL: [Self; 4] = [Self::None, Self::Starting, Self::Healthy, Self::Unhealthy];

    /// Reads Docker's word; anything else is no health check.
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|health| health.as_str() == word).unwrap_or_default()
    }

    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What the wording and the filters need of a container's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateFacts {
    /// The state.
    pub state: State,
    /// The health check's verdict.
    pub health: Health,
    /// Exit code of the last run.
    pub exit_code: i32,
    /// When the last run began.
    pub started: Option<Moment>,
    /// When the last run ended.
    pub finished: Option<Moment>,
}

impl StateFacts {
    /// Reads what the engine's own words tell: `Exited (3) 2 hours ago`, `Up 2 hours (healthy)`.
    /// The times stay unknown.
    pub fn from_words(state: State, words: &str) -> Self {
        let in_brackets = words.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        let inside = in_brackets.map_or("", |(inside, _)| inside);
        let health = match inside {
            "health: starting" => Health::Starting,
            word => Health::parse(word),
        };
        let exit_code = inside.parse().unwrap_or_default();
        Self { state, health, exit_code, started: None, finished: None }
    }

    /// `Status` of a list entry at `now`.
    pub fn words(&self, now: Timestamp) -> String {
        let mut out = Vec::with_capacity(40);
        self.write_words(&mut out, now);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends [`Self::words`]: plain ASCII without quotes or backslashes, so it is the inside of a
    /// JSON string as it stands.
    pub fn write_words(&self, out: &mut Vec<u8>, now: Timestamp) {
        let length = |out: &mut Vec<u8>, since: Option<Moment>| {
            if let Some(moment) = since {
                write_human_duration(out, moment.age(now));
            }
        };
        let code = |out: &mut Vec<u8>, verb: &str| {
            out.extend_from_slice(verb.as_bytes());
            out.extend_from_slice(itoa::Buffer::new().format(self.exit_code).as_bytes());
            out.extend_from_slice(b") ");
            length(out, self.finished);
            out.extend_from_slice(b" ago");
        };
        match self.state {
            State::Running | State::Paused => {
                out.extend_from_slice(b"Up ");
                length(out, self.started);
                out.extend_from_slice(match (self.state, self.health) {
                    (State::Paused, _) => b" (Paused)",
                    (_, Health::None) => b"",
                    (_, Health::Starting) => b" (health: starting)",
                    (_, Health::Healthy) => b" (healthy)",
                    (_, Health::Unhealthy) => b" (unhealthy)",
                });
            }
            State::Restarting => code(out, "Restarting ("),
            State::Removing => out.extend_from_slice(b"Removal In Progress"),
            State::Dead => out.extend_from_slice(b"Dead"),
            State::Created => out.extend_from_slice(b"Created"),
            State::Exited if self.started.is_none() => out.extend_from_slice(b"Created"),
            // The engine says nothing of a run whose end it did not see.
            State::Exited if self.finished.is_none() => {}
            State::Exited => code(out, "Exited ("),
            State::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_docker_words() {
        let now: Timestamp = "2024-05-01T10:00:00Z".parse().unwrap();
        let facts = |state, health| StateFacts {
            state,
            health,
            exit_code: 137,
            started: Moment::parse("2024-05-01T09:57:00Z"),
            finished: Moment::parse("2024-05-01T09:59:55Z"),
        };
        for (state, health, words) in [
            (State::Running, Health::None, "Up 3 minutes"),
            (State::Running, Health::Healthy, "Up 3 minutes (healthy)"),
            (State::Running, Health::Starting, "Up 3 minutes (health: starting)"),
            (State::Running, Health::Unhealthy, "Up 3 minutes (unhealthy)"),
            (State::Paused, Health::Healthy, "Up 3 minutes (Paused)"),
            (State::Restarting, Health::None, "Restarting (137) 5 seconds ago"),
            (State::Exited, Health::None, "Exited (137) 5 seconds ago"),
            (State::Created, Health::None, "Created"),
            (State::Removing, Health::None, "Removal In Progress"),
            (State::Dead, Health::None, "Dead"),
        ] {
            assert_eq!(facts(state, health).words(now), words);
        }
    }

    #[test]
    fn the_engines_words_give_code_and_health() {
        let read = StateFacts::from_words(State::Exited, "Exited (3) 2 hours ago");
        assert_eq!((read.exit_code, read.health), (3, Health::None));
        let read = StateFacts::from_words(State::Running, "Up 2 hours (health: starting)");
        assert_eq!(read.health, Health::Starting);
        let read = StateFacts::from_words(State::Paused, "Up 2 hours (Paused)");
        assert_eq!((read.exit_code, read.health), (0, Health::None));
        assert_eq!(State::parse("hibernating"), State::Unknown);
    }
}
