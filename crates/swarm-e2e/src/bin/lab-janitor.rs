//! Takes a test's lab down when the test's process ends, however it ends: its standard input is
//! a pipe from that process. Arguments: the folder of all labs, the lab's name.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, name] = arguments.as_slice() else {
        eprintln!("usage: lab-janitor BASE NAME");
        return ExitCode::FAILURE;
    };
    match swarm_testkit::lab::janitor(base.as_ref(), name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
