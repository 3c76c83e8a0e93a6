//! Where the reader is: which pane, how far down, in which order, and what is looked for.

use crate::sight::{Container, Event, Node, Service, Sight};

/// A key, as far as it means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Out of what is under way, or out of the program.
    Escape,
    /// Ends what is typed.
    Enter,
    /// Takes back a character.
    Backspace,
    /// To the next pane.
    Tab,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// Out of the program, whatever is under way (Ctrl-C).
    Interrupt,
}

/// What a key asks of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To go on.
    Go,
    /// To look at the pool at once.
    Look,
    /// To end.
    Quit,
}

/// A part of the screen that is a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pane {
    Nodes,
    Containers,
    Services,
    Events,
}

/// By what nodes and containers are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Name,
    Load,
    State,
}

/// Lines that a page key moves.
const PAGE: usize = 10;

/// Where the reader is.
#[derive(Debug, Clone)]
pub struct Screen {
    pub(crate) focus: Pane,
    /// Of containers and services one is shown.
    pub(crate) services: bool,
    pub(crate) order: Order,
    pub(crate) wanted: String,
    pub(crate) typing: bool,
    pub(crate) help: bool,
    offsets: [usize; 4],
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            focus: Pane::Nodes,
            services: false,
            order: Order::Name,
            wanted: String::new(),
            typing: false,
            help: false,
            offsets: [0; 4],
        }
    }
}

impl Screen {
    /// Takes a key.
    pub fn press(&mut self, key: Key) -> Next {
        if key == Key::Interrupt {
            return Next::Quit;
        }
        if self.typing {
            self.type_key(key);
            return Next::Go;
        }
        let offset = &mut self.offsets[self.focus as usize];
        match key {
            // First out of what was opened.
            Key::Escape if self.help => self.help = false,
            Key::Escape if !self.wanted.is_empty() => self.wanted.clear(),
            Key::Escape | Key::Char('q') => return Next::Quit,
            Key::Char('r') => return Next::Look,
            Key::Char('?' | 'h') => self.help = !self.help,
            Key::Char('/') => self.typing = true,
            Key::Char('c') => self.show_services(!self.services),
            Key::Char('s') => {
                self.order = match self.order {
                    Order::Name => Order::Load,
                    Order::Load => Order::State,
                    Order::State => Order::Name,
                };
            }
            Key::Tab => {
                self.focus = match self.focus {
                    Pane::Nodes if self.services => Pane::Services,
                    Pane::Nodes => Pane::Containers,
                    Pane::Containers | Pane::Services => Pane::Events,
                    Pane::Events => Pane::Nodes,
                };
            }
            Key::Up | Key::Char('k') => *offset = offset.saturating_sub(1),
            Key::Down | Key::Char('j') => *offset = offset.saturating_add(1),
            Key::PageUp => *offset = offset.saturating_sub(PAGE),
            Key::PageDown => *offset = offset.saturating_add(PAGE),
            Key::Home => *offset = 0,
            Key::End => *offset = usize::MAX,
            Key::Char(_) | Key::Enter | Key::Backspace | Key::Interrupt => {}
        }
        Next::Go
    }

    fn type_key(&mut self, key: Key) {
        match key {
            Key::Char(c) => self.wanted.push(c),
            Key::Backspace => {
                self.wanted.pop();
            }
            Key::Enter => self.typing = false,
            Key::Escape => {
                self.typing = false;
                self.wanted.clear();
            }
            _ => {}
        }
        self.offsets = [0; 4];
    }

    fn show_services(&mut self, services: bool) {
        self.services = services;
        if matches!(self.focus, Pane::Containers | Pane::Services) {
            self.focus = if services { Pane::Services } else { Pane::Containers };
        }
    }

    /// The first row that is shown of a pane's `rows` where `room` fit; the reader is never left
    /// below the end.
    pub(crate) fn first(&mut self, pane: Pane, rows: usize, room: usize) -> usize {
        let offset = &mut self.offsets[pane as usize];
        *offset = (*offset).min(rows.saturating_sub(room));
        *offset
    }

    fn is_wanted(&self, fields: &[&str]) -> bool {
        let wanted = self.wanted.to_lowercase();
        wanted.is_empty() || fields.iter().any(|field| field.to_lowercase().contains(&wanted))
    }

    pub(crate) fn nodes<'s>(&self, sight: &'s Sight) -> Vec<&'s Node> {
        let wanted = |node: &&Node| self.is_wanted(&[&node.name, &node.state, &node.note]);
        let mut nodes: Vec<_> = sight.nodes.iter().filter(wanted).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        match self.order {
            Order::Name => {}
            Order::Load => nodes.sort_by_key(|node| {
                std::cmp::Reverse((node.cpus.percent().max(node.memory.percent()), node.running))
            }),
            // What needs somebody comes first.
            Order::State => nodes.sort_by_key(|node| (node.state == "ready", node.note.is_empty())),
        }
        nodes
    }

    pub(crate) fn containers<'s>(&self, sight: &'s Sight) -> Vec<&'s Container> {
        let wanted = |one: &&Container| {
            self.is_wanted(&[
                &one.name,
                &one.node,
                &one.image,
                &one.state,
                &one.status,
                &one.service,
            ])
        };
        let mut containers: Vec<_> = sight.containers.iter().filter(wanted).collect();
        containers.sort_by(|a, b| (&a.name, &a.node).cmp(&(&b.name, &b.node)));
        match self.order {
            Order::Name => {}
            Order::Load => containers.sort_by(|a, b| a.node.cmp(&b.node)),
            Order::State => containers.sort_by_key(|one| {
                (one.state == "running", !one.status.contains("unhealthy"), one.state.clone())
            }),
        }
        containers
    }

    pub(crate) fn services<'s>(&self, sight: &'s Sight) -> Vec<&'s Service> {
        let wanted = |one: &&Service| self.is_wanted(&[&one.name, &one.images]);
        let mut services: Vec<_> = sight.services.iter().filter(wanted).collect();
        if self.order == Order::State {
            services.sort_by_key(|one| one.running == one.containers);
        }
        services
    }

    /// The newest first.
    pub(crate) fn events<'s>(&self, sight: &'s Sight) -> Vec<&'s Event> {
        let wanted = |one: &&Event| self.is_wanted(&[&one.node, &one.what, &one.whom]);
        sight.events.iter().rev().filter(wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(screen: &mut Screen, keys: &str) {
        for key in keys.chars() {
            assert_eq!(screen.press(Key::Char(key)), Next::Go, "{key}");
        }
    }

    #[test]
    fn escape_leaves_the_innermost_first() {
        let mut screen = Screen::default();
        press(&mut screen, "?/web");
        assert_eq!((screen.wanted.as_str(), screen.typing), ("web", true));
        assert_eq!(screen.clone().press(Key::Interrupt), Next::Quit);
        screen.press(Key::Enter);
        screen.press(Key::Escape);
        assert!(!screen.help && screen.wanted == "web");
        screen.press(Key::Escape);
        assert_eq!(screen.wanted, "");
        assert_eq!(screen.press(Key::Escape), Next::Quit);
        assert_eq!(screen.press(Key::Char('q')), Next::Quit);
    }

    #[test]
    fn the_focus_goes_round_what_is_shown() {
        let mut screen = Screen::default();
        let mut round = |services: bool| {
            screen.show_services(services);
            [(); 3].map(|()| {
                screen.press(Key::Tab);
                screen.focus
            })
        };
        assert_eq!(round(false), [Pane::Containers, Pane::Events, Pane::Nodes]);
        assert_eq!(round(true), [Pane::Services, Pane::Events, Pane::Nodes]);
    }

    #[test]
    fn nobody_scrolls_beyond_the_end() {
        let mut screen = Screen::default();
        screen.press(Key::End);
        screen.press(Key::Down);
        assert_eq!(screen.first(Pane::Nodes, 100, 10), 90);
        screen.press(Key::PageUp);
        assert_eq!(screen.first(Pane::Nodes, 100, 10), 80);
        assert_eq!(screen.first(Pane::Nodes, 5, 10), 0);
    }

    #[test]
    fn what_needs_somebody_comes_first_by_state() {
        let node = |name: &str, state: &str| Node {
            name: name.into(),
            state: state.into(),
            ..Node::default()
        };
        let sight =
            Sight { nodes: vec![node("a", "ready"), node("b", "down")], ..Sight::default() };
        let mut screen = Screen::default();
        let names = |screen: &Screen| -> Vec<String> {
            screen.nodes(&sight).iter().map(|node| node.name.clone()).collect()
        };
        assert_eq!(names(&screen), ["a", "b"]);
        press(&mut screen, "ss");
        assert_eq!(names(&screen), ["b", "a"]);
        press(&mut screen, "/REA");
        assert_eq!(names(&screen), ["a"]);
    }
}
