//! The VIP against its neighbours on the host: a killed daemon, and networkd that thinks it knows every address.

use crate::harness::Lab;
use crate::harness::wait;
use anyhow::ensure;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

pub fn a_killed_vrrp_daemon_leaves_no_second_vip_and_comes_back(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let holder = lab.holder()?;
    lab.masters[holder].must("systemctl", &["kill", "--signal=KILL", "quorate-vrrpd.service"])?;
    wait::until(
        "a successor",
        SOON,
        |_, _| {},
        || {
            ensure!(lab.holder()? != holder, "{} still has the VIP of its dead daemon", lab.masters[holder].name);
            Ok(())
        },
    )?;
    wait::until(
        "the daemon",
        SOON,
        |_, _| {},
        || {
            let state = lab.masters[holder].unit("quorate-vrrpd.service", "ActiveState")?;
            ensure!(state == "active", "the unit is {state}");
            Ok(())
        },
    )?;
    lab.await_converged()
}

pub fn networkd_restarting_and_reconfiguring_the_link_keeps_the_vip(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let holder = lab.holder()?;
    let master = &lab.masters[holder];
    // Not the lab's own file alone: what 'quorate install' placed beside it has to be enough.
    let file = master.must("networkctl", &["--no-pager", "cat", "@eth0"])?;
    ensure!(file.contains("50-quorate.conf") && file.contains("KeepConfiguration=yes"), "no drop-in applies: {file}");
    let commands: [&[&str]; 3] = [
        &["systemctl", "restart", "systemd-networkd.service"],
        &["networkctl", "reload"],
        &["networkctl", "reconfigure", "eth0"],
    ];
    for command in commands {
        master.must(command[0], &command[1..])?;
        for _ in 0..20 {
            ensure!(master.holds_vip()?, "{} lost the VIP after {}", master.name, command.join(" "));
            std::thread::sleep(Duration::from_millis(50));
        }
        ensure!(lab.holder()? == holder, "the VIP moved after {}", command.join(" "));
    }
    Ok(())
}
