//! The kernel's clock: whether whoever disciplines it (systemd-timesyncd, chrony, ntpd) says that it is right, adjtimex(2).
//!
//! nix has no adjtimex, so the call is made here through libc. It only reads: `modes` stays 0.

#![allow(unsafe_code)]

use std::io;

/// Whether the kernel holds its clock for synchronised (STA_UNSYNC is not set).
///
/// # Errors
/// When the call is not allowed, as in most containers: then nobody knows.
pub fn synchronized() -> io::Result<bool> {
    // SAFETY: timex has integers only, for which zero is a value.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for the call, and a call with 'modes' 0 writes nothing but the struct.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_answers_or_says_that_it_may_not() {
        match super::synchronized() {
            Ok(_) => {}
            Err(error) => assert!(
                matches!(error.kind(), std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::Unsupported),
                "{error}"
            ),
        }
    }
}
