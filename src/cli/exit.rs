//! How the process ends: the exit codes, with their meaning in words.

use std::fmt;
use std::process::ExitCode;

/// One exit code per kind of answer, so that scripts and units can tell them apart.
///
/// It is also an error context: `.context(Exit::NotTrusted)` gives an error its class, which [`Exit::of`] finds
/// again at the one exit point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: converged, accepted, nothing wrong.
    Fine,
    /// 1: something nobody foresaw.
    Unexpected,
    /// 2: the command line or a named file is not usable (sysexits of clap).
    Usage,
    /// 3: understood, and refused because it could cost the cluster its quorum or its VIP.
    Refused,
    /// 4: `plan` found steps to take.
    Pending,
    /// 5: no acceptable signature.
    NotTrusted,
    /// 6: the manifest has errors.
    Invalid,
    /// 7: a manifest on trial was not kept; this host is as before.
    Reverted,
    /// 8: apply failed.
    Failed,
    /// 9: `status` found less in reserve than there should be.
    Degraded,
    /// 10: `status` found no quorum, or nobody who answers for the VIP.
    Down,
    /// 75: waiting for something named; the next run looks again (EX_TEMPFAIL).
    Waiting,
}

impl Exit {
    /// How an error ends the process: the class it was given, or [`Exit::Unexpected`].
    pub fn of(error: &anyhow::Error) -> Exit {
        error.downcast_ref::<Exit>().copied().unwrap_or(Exit::Unexpected)
    }

    /// The number the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::Unexpected => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::Pending => 4,
            Exit::NotTrusted => 5,
            Exit::Invalid => 6,
            Exit::Reverted => 7,
            Exit::Failed => 8,
            Exit::Degraded => 9,
            Exit::Down => 10,
            Exit::Waiting => 75,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exit::Fine => "fine",
            Exit::Unexpected => "unexpected",
            Exit::Usage => "usage",
            Exit::Refused => "refused",
            Exit::Pending => "changes pending",
            Exit::NotTrusted => "not trusted",
            Exit::Invalid => "invalid manifest",
            Exit::Reverted => "tried and reverted",
            Exit::Failed => "apply failed",
            Exit::Degraded => "degraded",
            Exit::Down => "down",
            Exit::Waiting => "waiting",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn an_error_ends_as_its_class_says_however_deep_it_stands() {
        let error = Err::<(), _>(anyhow!("cause")).context(Exit::NotTrusted).context("more").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::NotTrusted);
        assert_eq!(Exit::of(&anyhow!("nobody classed this")), Exit::Unexpected);
    }
}
