//! The command line: one file per verb, one exit code per kind of answer.
//!
//! A verb is a struct of arguments and `run(args) -> Result<Exit>`. It prints its own report (for people, or with
//! `--json` for programs) and returns how it ended; an error travels up to `main`, the only place that prints an
//! error chain and the only place that exits. `anyhow` is used here and nowhere below.

pub mod bundle;
pub mod check;
pub mod collect;
pub mod completions;
mod confirm;
pub mod diff;
mod exit;
pub mod help;
pub mod init;
pub mod install;
pub mod man;
mod narrate;
pub mod pki;
pub mod plan;
pub mod reconcile;
mod report;
pub mod schema;
pub mod sign;
pub mod status;
pub mod tolerance;
pub mod verify;
mod watch;

pub use exit::Exit;

use clap::{Parser, Subcommand};
use std::time::Duration;

/// Keeps every master of a BareOS cluster as one signed manifest describes it, and refuses what could cost the quorum.
#[derive(Debug, Parser)]
#[command(
    name = "quorate",
    version,
    max_term_width = 110,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// What quorate can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Print a commented starter manifest
    Init(init::InitArgs),
    /// Check a manifest: format, meaning, quorum policy; offline
    Check(check::CheckArgs),
    /// Tell what a new manifest will do to the cluster, in which order, and what it risks
    Diff(diff::DiffArgs),
    /// Print the JSON Schema of a manifest, a plan or a status
    Schema(schema::SchemaArgs),
    /// Put quorate into an operating system tree: the image build step
    Install(install::InstallArgs),
    /// Make the cluster CA and the masters' certificates, on the workstation
    Pki(pki::PkiArgs),
    /// Print what reconcile would do on this host, what is blocked, and why; changes nothing
    Plan(plan::PlanArgs),
    /// Copy what volumes carry, and what the kernel command line names, to where reconcile looks
    Collect(collect::CollectArgs),
    /// Bring this host to what the manifest in force says
    Reconcile(reconcile::ReconcileArgs),
    /// Show how this host and the cluster stand, and what to do about it
    Status(status::StatusArgs),
    /// Collect what somebody else needs to see of this host in one archive, without secrets
    Report(bundle::ReportArgs),
    /// Check a manifest and sign it, as 'ssh-keygen -Y sign -n quorate-manifest' does
    Sign(sign::SignArgs),
    /// Tell whether a host with these trust files would accept a signed manifest
    Verify(verify::VerifyArgs),
    /// Print how many masters may be lost for each count, and which counts are accepted
    Tolerance(tolerance::ToleranceArgs),
    /// Explain a verb, or one of the topics tolerance, trust, genesis and recovery
    Help(help::HelpArgs),
    /// Print the completion script of a shell
    Completions(completions::CompletionsArgs),
    /// Write the manual pages of all verbs and topics into a directory
    Man(man::ManArgs),
}

impl Cli {
    /// Runs the verb.
    ///
    /// # Errors
    /// Those of the verb; [`Exit::of`] tells how the process ends.
    pub fn run(self) -> anyhow::Result<Exit> {
        match self.verb {
            Verb::Init(args) => init::run(&args),
            Verb::Check(args) => check::run(&args),
            Verb::Diff(args) => diff::run(&args),
            Verb::Schema(args) => schema::run(&args),
            Verb::Install(args) => install::run(&args),
            Verb::Pki(args) => pki::run(&args),
            Verb::Plan(args) => plan::run(&args),
            Verb::Collect(args) => collect::run(&args),
            Verb::Reconcile(args) => reconcile::run(&args),
            Verb::Status(args) => status::run(&args),
            Verb::Report(args) => bundle::run(&args),
            Verb::Sign(args) => sign::run(&args),
            Verb::Verify(args) => verify::run(&args),
            Verb::Tolerance(args) => tolerance::run(&args),
            Verb::Help(args) => help::run(&args),
            Verb::Completions(args) => completions::run(&args),
            Verb::Man(args) => man::run(&args),
        }
    }
}

/// A span of time as people write it: `90s`, `10m`.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| format!("'{text}' is not a time; write a number with a unit, such as 90s or 10m"))?;
    Duration::try_from(span).map_err(|_| format!("'{text}' is negative"))
}
