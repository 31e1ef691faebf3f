//! `quorate-vrrpd`: the daemon that holds the VIP. Parses its arguments, sets up the log, runs, and says how it ended.

use clap::Parser;
use quorate::cli::vrrpd::Arguments;
use quorate::journal::chain;
use quorate::message::Message;
use quorate::vrrp::config::{Config, ConfigError};
use quorate::vrrp::driver::{self, DriverError};
use quorate::vrrp::guard;
use quorate::vrrp::release::release;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// The exit code of an invalid configuration, as `quorate` has it for an invalid manifest.
const INVALID: u8 = 6;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    quorate::journal::start();
    if let Some(path) = arguments.check {
        return check(&path);
    }
    if let Some(path) = arguments.fence {
        return match driver::read_config(&path) {
            Ok((config, _)) => {
                print!("{}", quorate::vrrp::fence::rules(&config));
                ExitCode::SUCCESS
            }
            Err(error) => failed(&error, INVALID),
        };
    }
    if let Some(path) = arguments.release {
        return release_all(&path);
    }
    if let Some(path) = arguments.guard {
        return match guard::wait_for_the_end() {
            Ok(()) => release_all(&path),
            Err(error) => failed(&error, 1),
        };
    }
    match (arguments.config, arguments.state) {
        (Some(config), Some(state)) => {
            driver::run(&config, &state).map_or_else(|error| failed(&error, 1), |()| ExitCode::SUCCESS)
        }
        _ => ExitCode::from(2),
    }
}

/// Says what a configuration means, or everything that is wrong with it: for people, so without the log.
fn check(path: &Path) -> ExitCode {
    match driver::read_config(path) {
        Ok((config, digest)) => {
            print!("{config}");
            println!("configuration {digest} is valid");
            return ExitCode::SUCCESS;
        }
        Err(DriverError::Config { path, source: ConfigError::Problems(problems) }) => {
            eprintln!("'{path}' cannot be run:");
            problems.iter().for_each(|problem| eprintln!("  {problem}"));
        }
        Err(error) => eprintln!("{}", chain(&error)),
    }
    ExitCode::from(INVALID)
}

/// Takes off what a dead daemon left and resigns in its name; the log comes last, since the successor waits for neither.
fn release_all(path: &Path) -> ExitCode {
    let (config, problem) = match driver::read_config(path) {
        Ok((config, _)) => (config, None),
        // Without a configuration the addresses still have to go.
        Err(error) => (Config::default(), Some(error)),
    };
    let (released, result) = release(&config);
    for address in &released.removed {
        tracing::warn!(
            message_id = Message::AddressReleased.id(),
            "the daemon died holding {address}; it is taken off"
        );
    }
    if released.resigned > 0 {
        tracing::warn!("resigned for {} virtual routers", released.resigned);
    }
    if let Some(error) = problem.filter(|_| !released.removed.is_empty()) {
        tracing::warn!("released without resigning: {}", chain(&error));
    }
    result.map_or_else(|error| failed(&error, 1), |()| ExitCode::SUCCESS)
}

fn failed(error: &dyn Error, code: u8) -> ExitCode {
    tracing::error!("{}", chain(error));
    ExitCode::from(code)
}
