//! Evens the pool out, by the strategy in force.

use super::board::Board;
use super::plan::{Plan, Pool, Settings};
use super::{binpack, spread};
use crate::placement::strategy::Strategy;

/// Plans what would serve the strategy better.
pub fn plan(pool: &Pool<'_>, settings: &Settings) -> Plan {
    let mut board = Board::new(pool);
    let mut plan = match pool.strategy {
        Strategy::Spread => spread::plan(&mut board, settings),
        Strategy::Binpack => binpack::plan(&mut board, settings),
        Strategy::Random => {
            let note = "the strategy random prefers no engine, so there is nothing to even out";
            return Plan { note: note.to_owned(), ..Plan::default() };
        }
    };
    let ending = |count: usize| if count == 1 { "" } else { "s" };
    plan.note = match plan.moves.len() {
        0 => format!("nothing to move: no move would serve {} noticeably", pool.strategy),
        count if count >= settings.limit => {
            format!("{count} move{}, which is the limit; ask again afterwards", ending(count))
        }
        count => format!("{count} move{}", ending(count)),
    };
    plan
}
