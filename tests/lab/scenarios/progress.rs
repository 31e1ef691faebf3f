//! Whoever looks at a master that waits sees for what, for whom, since when and until when: wherever they look.

use crate::harness::Lab;
use crate::harness::wait;
use anyhow::{Context as _, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// For a run to begin to wait; it takes seconds.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);

pub fn a_master_that_waits_says_so_to_systemd_and_on_its_console(lab: &mut Lab) -> anyhow::Result<()> {
    lab.wipe_all()?;
    lab.desk.prepare()?;
    // The drop lies there at the first boot, as provisioning would have it, on all masters but the last.
    let (last, first) = lab.masters.split_last().context("there are masters")?;
    for master in first {
        let drop = master.var().join("lib/quorate/drop");
        fs::create_dir_all(&drop)?;
        for directory in [drop.parent().context("a parent")?, &drop] {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        }
        for (name, bytes) in lab.desk.drop_for(master)? {
            fs::write(drop.join(name), bytes)?;
        }
    }
    let absent = last.name.clone();
    let earlier = fs::metadata(lab.masters[0].console()).map_or(0, |console| console.len());
    lab.boot_all()?;
    let master = &lab.masters[0];
    wait::until(
        "systemd and the console to tell",
        SHOWN_WITHIN,
        |_, _| {},
        || {
            let text = master.unit("quorate-firstboot.service", "StatusText")?;
            ensure!(text.contains(&absent) && text.contains("until "), "systemctl status says '{text}'");
            let console = fs::read(master.console())?;
            let console = String::from_utf8_lossy(&console[usize::try_from(earlier)?..]).into_owned();
            let told = console.lines().any(|line| {
                let words = ["quorate:", "waiting for", &absent, "until ", " UTC"];
                words.iter().all(|word| line.contains(word))
            });
            ensure!(told, "the console does not tell:\n{}", master.console_tail());
            Ok(())
        },
    )?;
    // Once per reason, not once per look.
    let journal = master.must("journalctl", &["--boot", "--quiet", "--no-pager", "--unit=quorate-firstboot"])?;
    let lines = journal.lines().filter(|line| line.contains("waiting")).count();
    ensure!(lines < 20, "{lines} lines about waiting:\n{journal}");
    lab.drop_everywhere()?;
    lab.await_converged()
}
