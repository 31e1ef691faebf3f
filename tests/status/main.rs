//! The status document in every form it is shown in, case by case.
//!
//! A case is a folder of `cases/`: `status.json` is the document as reconcile writes it, the other files are what is
//! made of it. `UPDATE=1 cargo test --test status` rewrites those; the difference is then read in review.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod cases;
mod forms;
mod monitoring;
mod verb;
