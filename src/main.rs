//! The door: parse, run, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    gitboot::cli::main(std::env::args_os(), std::env::vars_os())
}
