//! Volumes: what is copied from them, and what is refused in which words.

use crate::carrier::{Host, Loop, WRITERS, Writer, can_write, drop_files, must};
use quorate::manifest::source::volume::{self, Format, Wanted};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::process::Command;

const COLLECT: &[&str] = &["collect", "volume"];
const WANTED: [Wanted; 1] = [Wanted { name: "manifest.yaml", most: 262_144 }];

/// A host with one volume, labelled QUORATE, whose files were laid out by `change`.
fn with_volume(writer: Writer, change: impl FnOnce(&Path)) -> Host {
    let host = Host::new();
    let files = host.root.path().join("files");
    drop_files(&files);
    change(&files);
    writer.write(&files, &host.labels().join("QUORATE"));
    host
}

/// Why the collector refuses the volume of `host`.
fn refusal(host: &Host) -> String {
    let (code, said) = host.quorate(COLLECT);
    assert_eq!(code, 5, "{said}");
    let why = said.split_once("volume /dev/disk/by-label/QUORATE: ").unwrap().1.trim_end().to_owned();
    let complaint = fs::read_to_string(host.copy("QUORATE").with_extension("refused")).unwrap();
    assert!(complaint.ends_with(&format!("\n{why}\n")), "{complaint}");
    why
}

#[test]
fn whole_pairs_are_copied_from_every_kind_of_volume_for_root_alone() {
    if !can_write("volumes of every kind") {
        return;
    }
    for writer in WRITERS {
        let host = with_volume(writer, |_| {});
        let (code, said) = host.quorate(COLLECT);
        let copied = "done copy manifest.yaml, manifest.yaml.sig, node.pem from volume /dev/disk/by-label/QUORATE";
        assert!(code == 0 && said.contains(copied), "{writer:?}: {said}");
        for name in ["manifest.yaml", "manifest.yaml.sig", "node.pem"] {
            let original = fs::read(host.root.path().join("files").join(name)).unwrap();
            assert_eq!(fs::read(host.copy("QUORATE").join(name)).unwrap(), original, "{writer:?}: {name}");
        }
        // The origin beside them, and nothing that is not ours.
        assert_eq!(fs::read_dir(host.copy("QUORATE")).unwrap().count(), 4, "{writer:?}");
        let mode = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions());
        assert_eq!(mode(&host.copy("QUORATE")) & 0o7777, 0o700);
        assert_eq!(mode(&host.copy("QUORATE").join("node.pem")) & 0o7777, 0o600);
        // A second run writes nothing.
        let (code, said) = host.quorate(COLLECT);
        assert!(code == 0 && said.contains("it was copied before"), "{writer:?}: {said}");
    }
}

#[test]
fn a_block_device_is_read_without_being_mounted() {
    if !can_write("a block device") {
        return;
    }
    for writer in [Writer::RockRidgeAndJoliet, Writer::Fat32] {
        let host = with_volume(writer, |_| {});
        let image = host.root.path().join("image");
        fs::rename(host.labels().join("QUORATE"), &image).unwrap();
        let Some(device) = Loop::over(&image) else {
            return println!("SKIPPED a block device: losetup lends none here");
        };
        symlink(&device.0, host.labels().join("QUORATE")).unwrap();
        let (code, said) = host.quorate(COLLECT);
        assert!(code == 0 && said.contains("done copy manifest.yaml"), "{writer:?}: {said}");
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(device.0.to_str().unwrap()));
    }
}

#[test]
fn a_volume_without_anything_of_ours_is_nothing_and_no_fault() {
    if !can_write("a volume of somebody else") {
        return;
    }
    let host = with_volume(Writer::RockRidgeAndJoliet, |files| {
        fs::remove_dir_all(files).unwrap();
        fs::create_dir(files).unwrap();
        fs::write(files.join("user-data"), "#cloud-config\n").unwrap();
    });
    let (code, said) = host.quorate(COLLECT);
    assert!(code == 0 && said.contains("it holds no manifest"), "{said}");
    assert!(!host.copy("QUORATE").exists());
}

#[test]
fn a_volume_that_goes_away_leaves_its_copy_and_takes_its_complaint_along() {
    if !can_write("a volume that goes away") {
        return;
    }
    let host = with_volume(Writer::Fat12, |_| {});
    assert_eq!(host.quorate(COLLECT).0, 0);
    let device = host.labels().join("QUORATE");
    File::create(&device).unwrap().set_len(1 << 20).unwrap();
    assert_eq!(refusal(&host), "it holds neither ISO9660 nor FAT; format it as one of them");
    assert!(host.copy("QUORATE").join("manifest.yaml").exists(), "a bad volume does not take the place of a good one");
    fs::remove_file(device).unwrap();
    let (code, said) = host.quorate(COLLECT);
    assert_eq!((code, said.as_str()), (0, ""));
    assert!(host.copy("QUORATE").join("manifest.yaml").exists());
    assert!(!host.copy("QUORATE").with_extension("refused").exists());
}

#[test]
fn a_volume_takes_the_place_of_the_one_before_it_as_a_whole() {
    if !can_write("a volume in place of another") {
        return;
    }
    let host = with_volume(Writer::Fat16, |_| {});
    assert_eq!(host.quorate(COLLECT).0, 0);
    let files = host.root.path().join("files");
    fs::write(files.join("manifest.yaml"), "another").unwrap();
    fs::remove_file(files.join("node.pem")).unwrap();
    Writer::RockRidge.write(&files, &host.labels().join("QUORATE"));
    assert_eq!(host.quorate(COLLECT).0, 0);
    assert_eq!(fs::read_to_string(host.copy("QUORATE").join("manifest.yaml")).unwrap(), "another");
    assert!(!host.copy("QUORATE").join("node.pem").exists(), "a bundle of another volume");
    let left = fs::read_dir(host.copy("QUORATE").parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "nothing is left aside");
}

#[test]
fn only_files_of_sensible_size_are_copied() {
    if !can_write("odd files on a volume") {
        return;
    }
    let large = |files: &Path| fs::write(files.join("manifest.yaml"), [b' '; 262_145]).unwrap();
    let too_large = "'manifest.yaml' has 262145 bytes, at most 262144 are read; check that it is the right file";
    let not_a_file = |kind| format!("'manifest.yaml' is {kind}; put the file itself into the root directory");
    for writer in WRITERS {
        assert_eq!(refusal(&with_volume(writer, large)), too_large, "{writer:?}");
    }
    let replaced = |writer, make: &dyn Fn(&Path)| {
        refusal(&with_volume(writer, |files| {
            let path = files.join("manifest.yaml");
            fs::remove_file(&path).unwrap();
            make(&path);
        }))
    };
    for writer in [Writer::RockRidgeAndJoliet, Writer::Joliet, Writer::Xorriso] {
        assert_eq!(replaced(writer, &|path| fs::create_dir(path).unwrap()), not_a_file("a directory"), "{writer:?}");
    }
    let directory = with_volume(Writer::Fat32, |files| fs::remove_file(files.join("manifest.yaml")).unwrap());
    must(Command::new("mmd").arg("-i").arg(directory.labels().join("QUORATE")).arg("::manifest.yaml"));
    assert_eq!(refusal(&directory), not_a_file("a directory"));
    let mode = nix::sys::stat::Mode::S_IRUSR;
    for writer in [Writer::RockRidgeAndJoliet, Writer::RockRidge, Writer::Xorriso] {
        let link = replaced(writer, &|path| symlink("/etc/shadow", path).unwrap());
        assert_eq!(link, not_a_file("a symbolic link"), "{writer:?}");
        let pipe = replaced(writer, &|path| nix::unistd::mkfifo(path, mode).unwrap());
        assert_eq!(pipe, not_a_file("a pipe"), "{writer:?}");
    }
    if nix::unistd::geteuid().is_root() {
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        let zero = |path: &Path| mknod(path, SFlag::S_IFCHR, Mode::S_IRUSR, makedev(1, 5)).unwrap();
        assert_eq!(replaced(Writer::RockRidge, &zero), not_a_file("a device"));
    } else {
        println!("SKIPPED a device node on a volume: making one needs root");
    }
}

#[test]
fn damaged_volumes_are_refused_and_say_what_is_damaged() {
    if !can_write("damaged volumes") {
        return;
    }
    let damaged = |what| format!("its filesystem is damaged ({what}); write it again");
    let cut = |writer, length| {
        let host = with_volume(writer, |_| {});
        OpenOptions::new().write(true).open(host.labels().join("QUORATE")).unwrap().set_len(length).unwrap();
        refusal(&host)
    };
    assert_eq!(cut(Writer::RockRidgeAndJoliet, 17 * 2048), damaged("it ends too early"));
    assert_eq!(cut(Writer::Fat12, 4096), damaged("it ends too early"));
    assert_eq!(cut(Writer::Fat16, 511), "it holds neither ISO9660 nor FAT; format it as one of them");
    let patched = |writer, patches: &[(u64, &[u8])]| {
        let host = with_volume(writer, |_| {});
        let image = OpenOptions::new().write(true).open(host.labels().join("QUORATE")).unwrap();
        patches.iter().for_each(|(offset, bytes)| image.write_all_at(bytes, *offset).unwrap());
        refusal(&host)
    };
    // The primary descriptor: block size, then the length of the root directory.
    let primary = 16 * 2048;
    let blocks = patched(Writer::RockRidge, &[(primary + 128, &[0, 2])]);
    assert_eq!(blocks, damaged("its blocks do not have 2048 bytes"));
    let long = patched(Writer::RockRidge, &[(primary + 156 + 10, &[0xff; 4])]);
    assert_eq!(long, damaged("its root directory is too long"));
    // FAT12 with one reserved sector: every chain ends at once, or leads out of the volume.
    let table = [0xff; 9 * 512];
    assert_eq!(patched(Writer::Fat12, &[(512, &table)]), damaged("a file is shorter than it says"));
    let nowhere = [0xee; 9 * 512];
    assert_eq!(patched(Writer::Fat12, &[(512, &nowhere)]), damaged("a chain of clusters leads nowhere"));
}

#[test]
fn what_is_no_block_device_is_not_read() {
    let host = Host::new();
    nix::unistd::mkfifo(&host.labels().join("QUORATE"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert_eq!(refusal(&host), "it cannot be read: it is no block device");
    fs::remove_file(host.labels().join("QUORATE")).unwrap();
    symlink("/dev/zero", host.labels().join("QUORATE")).unwrap();
    assert_eq!(refusal(&host), "it cannot be read: it is no block device");
}

#[test]
fn a_volume_damaged_anywhere_is_read_or_refused_and_never_more() {
    if !can_write("volumes damaged at random") {
        return;
    }
    let limit = std::time::Duration::from_secs(1);
    let seed = 0x9e37_79b9_7f4a_7c15_u64;
    for writer in WRITERS {
        let host = with_volume(writer, |_| {});
        let mut image = fs::read(host.labels().join("QUORATE")).unwrap();
        // All the structure of these volumes, and the content of the manifest, lies before.
        image.truncate(1 << 20);
        let original = image.clone();
        let mut state = seed;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
        };
        let (start, mut read, mut refused) = (std::time::Instant::now(), 0, 0);
        while start.elapsed() < limit || read == 0 || refused == 0 {
            assert!(start.elapsed() < 60 * limit, "{writer:?}: {read} read, {refused} refused");
            let mut touched = Vec::new();
            for _ in 0..=random(4) {
                // Half of the damage where the structures are, half anywhere.
                let at = match random(4) {
                    0 => random(96),
                    1 => (32 * 1024 + random(64 * 1024)).min(image.len() - 1),
                    _ => random(image.len()),
                };
                image[at] = [0, 1, 0x7f, 0xff, image[at] ^ 1][random(5)];
                touched.push(at);
            }
            match volume::read(&image[..], &WANTED) {
                Ok(volume) => {
                    assert!(volume.files.iter().all(|(_, bytes)| bytes.len() <= WANTED[0].most));
                    assert!(matches!(volume.format, Format::Iso9660 | Format::Fat));
                    read += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
            touched.into_iter().for_each(|at| image[at] = original[at]);
        }
        println!("{writer:?}: {read} read, {refused} refused, seed {seed:#x}");
    }
}
