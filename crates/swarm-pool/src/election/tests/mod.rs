//! Elections among several managers in one process, in tokio's paused time.
//!
//! Every manager has a line to the store of its own (`line`), that can be cut and slowed, and runs
//! in a box that can be stopped as a process is by SIGSTOP (`rig`), while its clock goes on.

mod history;
mod line;
mod rig;
mod scenes;
