//! Updates: a new version into the other slot, a reboot, and the way back.

use crate::harness::wait;
use crate::world::Image;
use anyhow::ensure;
use std::time::Duration;

/// From the shell of a boot to its blessing.
const BLESSED_WITHIN: Duration = Duration::from_secs(600);

/// As often as a new version is tried, and once more.
const BOOTS: usize = 4;

pub fn an_update_boots_and_is_blessed(image: &mut Image) -> anyhow::Result<()> {
    image.converge()?;
    ensure!(version(image)? == "1", "it starts from version {}", version(image)?);
    install(image, 2)?;
    ensure!(kernels(image)? == ["bareos_1.efi", "bareos_2+3-0.efi"], "kernels: {:?}", kernels(image)?);
    image.machine.reboot()?;
    ensure!(version(image)? == "2", "version {} was booted", version(image)?);
    let blessed = || {
        let kernels = kernels(image)?;
        ensure!(kernels == ["bareos_1.efi", "bareos_2.efi"], "kernels: {kernels:?}");
        Ok(())
    };
    wait::until("the blessing of version 2", BLESSED_WITHIN, |_, _| {}, blessed)?;
    image.await_converged()
}

pub fn a_rollback_boots_the_version_before(image: &mut Image) -> anyhow::Result<()> {
    if version(image)? != "2" {
        an_update_boots_and_is_blessed(image)?;
    }
    image.machine.must("bootctl set-default bareos_1.efi")?;
    image.machine.reboot()?;
    ensure!(version(image)? == "1", "version {} was booted", version(image)?);
    image.await_converged()?;
    // From here on the newest version that works is the default again.
    image.machine.must("bootctl set-default ''").map(drop)
}

pub fn a_version_that_never_proves_itself_gives_way_to_the_one_before(image: &mut Image) -> anyhow::Result<()> {
    image.converge()?;
    let proved = version(image)?;
    install(image, 3)?;
    let mut boot = image.machine.boot_id()?;
    image.machine.must("systemctl reboot")?;
    let mut booted = Vec::new();
    while booted.len() < BOOTS {
        boot = image.machine.await_boot_after(&boot)?;
        booted.push(version(image)?);
        if booted.last() == Some(&proved) {
            break;
        }
    }
    ensure!(booted == ["3", "3", "3", proved.as_str()], "booted one after the other: {booted:?}");
    image.await_converged()?;
    let kernels = kernels(image)?;
    ensure!(kernels.iter().any(|name| name == "bareos_3+0-3.efi"), "kernels: {kernels:?}");
    Ok(())
}

/// As spec/operations.md has it.
fn install(image: &mut Image, version: u8) -> anyhow::Result<()> {
    image.machine.must("mkdir -p /run/updates; findmnt /run/updates || mount -o ro LABEL=updates /run/updates")?;
    let sysupdate = format!("/usr/lib/systemd/systemd-sysupdate --transfer-source=/run/updates/{version}");
    let offered = image.machine.must(&format!("SYSTEMD_COLORS=0 {sysupdate} list"))?;
    let candidate = format!("{version} ✓ candidate");
    let listed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ").ends_with(&candidate);
    ensure!(offered.lines().any(listed), "version {version} is no candidate:\n{offered}");
    image.machine.must(&format!("{sysupdate} update")).map(drop)
}

fn version(image: &mut Image) -> anyhow::Result<String> {
    image.machine.must(". /etc/os-release; echo $IMAGE_VERSION")
}

/// The kernels on the boot partition, in order. The shell may be there before that partition is.
fn kernels(image: &mut Image) -> anyhow::Result<Vec<String>> {
    image.machine.must("systemctl start local-fs.target")?;
    Ok(image.machine.must("ls -1 /boot/EFI/Linux")?.lines().map(str::to_owned).collect())
}
