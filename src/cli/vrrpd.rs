//! The arguments of `quorate-vrrpd`: here, beside the verbs, so that `quorate man` makes its manual page of them.

use clap::{ArgGroup, Parser};
use std::path::PathBuf;

/// What stands below the options, in `--help` and in the manual.
pub const MORE: &str = include_str!("topics/vrrpd.txt");

/// Elects which master holds the virtual addresses (VRRP, RFC 9568) and keeps them there
#[derive(Debug, Parser)]
#[command(
    name = "quorate-vrrpd",
    version,
    max_term_width = 110,
    after_long_help = MORE,
    group = ArgGroup::new("what").required(true),
    // Made by hand, since the group would show what is hidden.
    override_usage = "quorate-vrrpd --config <FILE> --state <FILE>\n       \
                      quorate-vrrpd --check <FILE> | --fence <FILE> | --release <FILE>",
)]
pub struct Arguments {
    /// Run the daemon with this configuration
    #[arg(long, value_name = "FILE", group = "what", requires = "state")]
    pub config: Option<PathBuf>,
    /// Where the daemon says how it is
    #[arg(long, value_name = "FILE", requires = "config")]
    pub state: Option<PathBuf>,
    /// Validate a configuration and explain what it means
    #[arg(long, value_name = "FILE", group = "what")]
    pub check: Option<PathBuf>,
    /// Print the nftables rules that fence the addresses, for `nft -f -`
    #[arg(long, value_name = "FILE", group = "what")]
    pub fence: Option<PathBuf>,
    /// After a daemon that died: take its addresses off and resign in its name
    #[arg(long, value_name = "FILE", group = "what")]
    pub release: Option<PathBuf>,
    /// Started by the daemon itself: wait for its end, then do as --release
    #[arg(long, value_name = "FILE", group = "what", hide = true)]
    pub guard: Option<PathBuf>,
}
