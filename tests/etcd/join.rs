//! Masters that come to a cluster that exists.
