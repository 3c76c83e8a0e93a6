//! Filters: which engines may take a container at all. One file each; this one names them, orders
//! them, and turns a request into the rules to check.
//!
//! A rule is one question asked of every node: "is it healthy", "is port 80 free", "does
//! `storage==ssd` hold". What a rule needs to know about containers it looks up once, before the
//! pass over the nodes, so that the pass costs nothing per container.
//!
//! Hard rules remove nodes. Soft rules (`==~`, `!=~`) are dropped, all of them together, when no
//! node would remain, as classic Swarm does.

mod affinity;
mod availability;
mod constraint;
mod dependency;
mod health;
mod port;
mod retry;
mod slots;
mod whitelist;

use std::fmt;
use std::str::FromStr;

use super::containers::ContainerLookup;
use super::node::NodeSummary;
use super::request::Request;

/// The filters, by the names `--filter` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Only healthy engines.
    Health,
    /// Only engines where the wished host ports are free.
    Port,
    /// At most as many containers as the engine's label `containerslots` says.
    ContainerSlots,
    /// The engine that has the containers this one is linked to or shares something with.
    Dependency,
    /// `affinity:` expressions about containers, images and containers' labels.
    Affinity,
    /// `constraint:` expressions about engines.
    Constraint,
    /// `whitelist:` lists of engines.
    Whitelist,
}

impl Filter {
    /// All of them, in the order they are applied by default.
    pub const ALL: [Self; 7] = [
        Self::Health,
        Self::Port,
        Self::ContainerSlots,
        Self::Dependency,
        Self::Affinity,
        Self::Constraint,
        Self::Whitelist,
    ];

    /// The name on the command line, in `docker info` and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Port => "port",
            Self::ContainerSlots => "containerslots",
            Self::Dependency => "dependency",
            Self::Affinity => "affinity",
            Self::Constraint => "constraint",
            Self::Whitelist => "whitelist",
        }
    }
}

impl FromStr for Filter {
    type Err = UnknownFilter;

    fn from_str(name: &str) -> Result<Self, UnknownFilter> {
        let known = Self::ALL.into_iter().find(|filter| filter.name() == name);
        known.ok_or_else(|| UnknownFilter(name.to_owned()))
    }
}

/// There is no filter of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown filter {0:?} (expected health, port, containerslots, dependency, affinity, \
     constraint or whitelist)"
)]
pub struct UnknownFilter(pub String);

/// The filters in force, in order, without repeats. `Display` is the list of `docker info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterSet(Vec<Filter>);

impl Default for FilterSet {
    fn default() -> Self {
        Self(Filter::ALL.to_vec())
    }
}

impl FilterSet {
    /// From the values of `--filter`, each a name or several with commas; none at all means all
    /// filters.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownFilter> {
        let mut filters = Vec::new();
        for name in values.into_iter().flat_map(|value| value.split(',')) {
            let filter = name.trim().parse()?;
            if !filters.contains(&filter) {
                filters.push(filter);
            }
        }
        Ok(if filters.is_empty() { Self::default() } else { Self(filters) })
    }

    /// The filters in order.
    pub fn as_slice(&self) -> &[Filter] {
        &self.0
    }
}

impl fmt::Display for FilterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|filter| filter.name()).collect();
        f.write_str(&names.join(", "))
    }
}

/// One question about a node.
pub(super) trait Check {
    /// Whether the node may take the container, as far as this question goes.
    fn passes(&self, node: &NodeSummary) -> bool;

    /// The expression, port or dependency it is about; empty where the filter's name says it all.
    fn what(&self) -> String {
        String::new()
    }

    /// Why this node does not pass, as a sentence about the node; for messages only.
    fn why(&self, _: &NodeSummary) -> Option<String> {
        None
    }

    /// What is to be said about all nodes at once. `last` tells whether no node is left after this
    /// rule.
    fn note(&self, _last: bool) -> Option<&'static str> {
        None
    }
}

/// How firmly a rule holds; later tiers are dropped first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// Never dropped.
    Hard,
    /// The user's soft expressions.
    Soft,
    /// The pool's own wish for an engine that has the image.
    Image,
}

/// A check and how it counts.
pub(super) struct Rule<'a> {
    /// The filter's name, for messages.
    pub filter: &'static str,
    /// How firmly it holds.
    pub tier: Tier,
    /// The question.
    pub check: Box<dyn Check + 'a>,
}

/// The rules of a request, in the filters' order, hard and soft ones mixed.
pub(super) fn rules<'a>(
    request: &'a Request,
    filters: &FilterSet,
    lookup: &dyn ContainerLookup,
) -> Vec<Rule<'a>> {
    let open: Box<dyn Check> = Box::new(availability::Open);
    let mut rules = vec![Rule { filter: "availability", tier: Tier::Hard, check: open }];
    for filter in filters.as_slice() {
        let mut push = |tier, check| rules.push(Rule { filter: filter.name(), tier, check });
        match filter {
            Filter::Health => push(Tier::Hard, Box::new(health::Healthy)),
            Filter::Port => port::rules(request, &mut push),
            Filter::ContainerSlots => push(Tier::Hard, Box::new(slots::FreeSlot)),
            Filter::Dependency => dependency::rules(request, lookup, &mut push),
            Filter::Affinity => affinity::rules(request, lookup, &mut push),
            Filter::Constraint => constraint::rules(request, &mut push),
            Filter::Whitelist => whitelist::rules(request, &mut push),
        }
    }
    if !request.tried.is_empty() {
        let check = Box::new(retry::NotTried(&request.tried));
        rules.push(Rule { filter: "retry", tier: Tier::Hard, check });
    }
    rules
}

/// The tier of an expression.
fn tier(expr: &super::expr::Expr) -> Tier {
    if expr.is_soft() { Tier::Soft } else { Tier::Hard }
}

/// How a filter hands over its rules.
type Push<'p, 'a> = dyn FnMut(Tier, Box<dyn Check + 'a>) + 'p;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_given_by_name_in_any_order() {
        assert_eq!(
            FilterSet::default().to_string(),
            "health, port, containerslots, dependency, affinity, constraint, whitelist"
        );
        assert_eq!(FilterSet::parse([]).unwrap(), FilterSet::default());
        let set = FilterSet::parse(["port, health", "port"]).unwrap();
        assert_eq!(set.as_slice(), [Filter::Port, Filter::Health]);
    }

    #[test]
    fn an_unknown_filter_is_named_with_what_is_known() {
        let error = FilterSet::parse(["health", "Ports"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown filter \"Ports\" (expected health, port, containerslots, dependency, \
             affinity, constraint or whitelist)"
        );
    }
}
