//! What the kernel command line names: files, and URLs of a real HTTPS server.

use crate::carrier::{Host, drop_files, must};
use crate::server::{Answer, Pages, Server};
use crate::world;
use quorate::manifest::source::cmdline::Authority;
use quorate::manifest::source::{fetch, tls};
use quorate::paths::Paths;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

const COLLECT: &[&str] = &["collect", "command-line"];
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const MOST: usize = 262_144;
/// Long enough for any attempt on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

impl Host {
    fn say(&self, line: &str) {
        let proc = self.root.path().join("proc");
        fs::create_dir_all(&proc).unwrap();
        fs::write(proc.join("cmdline"), format!("root=/dev/vda2 quiet {line}\n")).unwrap();
    }

    fn named(&self) -> PathBuf {
        self.root.path().join("run/quorate/collected/command-line")
    }

    fn bake_ca(&self, text: &str) {
        let place = self.root.path().join("usr/lib/quorate/trust");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("https-ca.pem"), text).unwrap();
    }
}

fn pages() -> Pages {
    Pages::from([
        ("/site/manifest.yaml".into(), Answer::file(b"a manifest")),
        ("/site/manifest.yaml.sig".into(), Answer::file(b"its signature")),
    ])
}

fn serving(pages: Pages) -> (Host, Server) {
    let (host, server) = (Host::new(), Server::start(HERE, "127.0.0.1", pages));
    host.say(&format!("quorate.manifest={} quorate.ca=sha256:{}", server.url("/site/manifest.yaml"), server.ca_key));
    (host, server)
}

/// What the collector says of the server's file, when it leaves with `code`; the address is written as HOST.
fn said(host: &Host, server: &Server, code: i32) -> String {
    let (left, said) = host.quorate(COLLECT);
    assert_eq!(left, code, "{said}");
    let said = said.replace(&server.address.to_string(), "HOST");
    said.rsplit_once("kernel command line, https://HOST/site/manifest.yaml: ").unwrap().1.trim_end().to_owned()
}

#[test]
fn a_manifest_is_fetched_from_a_server_that_the_image_the_line_or_a_key_vouches_for() {
    let (host, server) = serving(pages());
    let at = format!("quorate.manifest={}", server.url("/site/manifest.yaml"));
    let ca = host.root.path().join("ca.pem");
    fs::write(&ca, &server.ca_pem).unwrap();
    host.bake_ca(&server.ca_pem);
    for line in [format!("{at} quorate.ca=sha256:{}", server.ca_key), format!("{at} quorate.ca={}", ca.display()), at] {
        host.say(&line);
        let _former = fs::remove_dir_all(host.named());
        let (code, said) = host.quorate(COLLECT);
        let copied = format!(
            "done copy manifest.yaml, manifest.yaml.sig from kernel command line, {}",
            server.url("/site/manifest.yaml")
        );
        assert!(code == 0 && said.contains(&copied), "{line}: {said}");
        assert_eq!(fs::read(host.named().join("manifest.yaml")).unwrap(), b"a manifest");
        assert_eq!(fs::read(host.named().join("manifest.yaml.sig")).unwrap(), b"its signature");
        assert!(host.quorate(COLLECT).1.contains("it was copied before"), "{line}");
    }
}

#[test]
fn a_server_is_found_by_its_name_and_by_an_ipv6_address() {
    let named = Server::start(HERE, "localhost", pages());
    let url = format!("https://localhost:{}/site/manifest.yaml", named.address.port());
    let mut servers = vec![(url, named)];
    match std::net::TcpListener::bind((std::net::Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => {
            let server = Server::start(std::net::Ipv6Addr::LOCALHOST.into(), "::1", pages());
            servers.push((server.url("/site/manifest.yaml"), server));
        }
        Err(error) => println!("SKIPPED a server at ::1: {error}"),
    }
    for (url, server) in servers {
        let host = Host::new();
        host.say(&format!("quorate.manifest={url} quorate.ca=sha256:{}", server.ca_key));
        let (code, said) = host.quorate(COLLECT);
        assert!(code == 0 && host.named().join("manifest.yaml.sig").exists(), "{url}: {said}");
    }
}

#[test]
fn a_server_that_is_away_is_awaited_and_takes_nothing_away() {
    let (host, server) = serving(pages());
    assert_eq!(host.quorate(COLLECT).0, 0);
    server.answer("/site/manifest.yaml", Answer::status("503 Service Unavailable", ""));
    let failing = "'https://HOST/site/manifest.yaml' is answered with '503 Service Unavailable'";
    assert_eq!(said(&host, &server, 75), failing);
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec();
    server.answer("/site/manifest.yaml", Answer::Raw(half));
    let broke = said(&host, &server, 75);
    assert!(broke.starts_with("'https://HOST/site/manifest.yaml' broke off: "), "{broke}");
    // No listener: what a port of this machine says that nobody holds.
    let nobody = std::net::TcpListener::bind((HERE, 0)).unwrap().local_addr().unwrap();
    host.say(&format!("quorate.manifest=https://{nobody}/m.yaml quorate.ca=sha256:{}", server.ca_key));
    let (code, away) = host.quorate(COLLECT);
    let refused = format!("waiting kernel command line, https://{nobody}/m.yaml: '{nobody}' cannot be reached: ");
    assert!(code == 75 && away.contains(&refused), "{away}");
    assert_eq!(fs::read(host.named().join("manifest.yaml")).unwrap(), b"a manifest", "the copy stays");
    assert!(host.named().with_extension("awaited").exists());
    // It is back: nothing is awaited any more.
    server.answer("/site/manifest.yaml", Answer::file(b"a newer manifest"));
    host.say(&format!("quorate.manifest={} quorate.ca=sha256:{}", server.url("/site/manifest.yaml"), server.ca_key));
    assert_eq!(host.quorate(COLLECT).0, 0);
    assert_eq!(fs::read(host.named().join("manifest.yaml")).unwrap(), b"a newer manifest");
    assert!(!host.named().with_extension("awaited").exists());
}

/// A network namespace begins without any network, as a boot does.
#[test]
fn before_the_network_is_there_a_server_is_tried_again_until_it_is() {
    world::test("command_line::before_the_network_is_there_a_server_is_tried_again_until_it_is", &["ip"], || {
        let (host, server) = (Host::new(), Server::start(Ipv4Addr::UNSPECIFIED.into(), "127.0.0.1", pages()));
        let port = server.address.port();
        host.say(&format!(
            "quorate.manifest=https://127.0.0.1:{port}/site/manifest.yaml quorate.ca=sha256:{}",
            server.ca_key
        ));
        let collect = || host.quorate(&[COLLECT, &["--wait", "90s"]].concat());
        let awaited = host.named().with_extension("awaited");
        let network = |state| must(Command::new("ip").args(["link", "set", "lo", state]));
        let (code, said) = thread::scope(|scope| {
            let run = scope.spawn(collect);
            let start = Instant::now();
            while !awaited.exists() && !run.is_finished() && start.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(20));
            }
            let complaint = fs::read_to_string(&awaited).unwrap();
            assert!(complaint.contains("cannot be reached: Network is unreachable"), "{complaint}");
            network("up");
            run.join().unwrap()
        });
        assert!(code == 0 && said.contains("done copy manifest.yaml, manifest.yaml.sig"), "{said}");
        assert_eq!(said.matches("cannot be reached").count(), 1, "told once: {said}");
        assert!(!awaited.exists() && host.named().join("manifest.yaml").exists());
        // What was fetched once is not urgent: the timer comes back.
        network("down");
        let start = Instant::now();
        let (code, said) = collect();
        assert!(code == 75 && said.contains("cannot be reached"), "{said}");
        assert!(start.elapsed() < PATIENCE, "it went on trying");
    });
}

#[test]
fn a_server_that_answers_is_asked_once_however_much_time_there_is() {
    let (host, server) = serving(Pages::new());
    for answer in [Answer::status("503 Service Unavailable", ""), Answer::Raw(Vec::new())] {
        server.answer("/site/manifest.yaml", answer);
        let before = server.asked.load(Ordering::Relaxed);
        let (code, said) = host.quorate(&[COLLECT, &["--wait", "10s"]].concat());
        assert_eq!(code, 75, "{said}");
        assert_eq!(server.asked.load(Ordering::Relaxed) - before, 1, "{said}");
    }
    // Whose machine refuses a connection has answered as well.
    let nobody = std::net::TcpListener::bind((HERE, 0)).unwrap().local_addr().unwrap();
    let tls = tls::client(&Authority::Key(server.ca_key), &Paths::below(host.root.path()), jiff::Timestamp::now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("https://{nobody}/m.yaml");
    let error = runtime.block_on(fetch::fetch(&url, tls.unwrap(), fetch::DEADLINE)).unwrap_err();
    assert!(error.passes() && !error.is_silence(), "{error:?}");
}

#[test]
fn an_answer_that_is_not_the_file_itself_is_refused_in_its_own_words() {
    let (host, server) = serving(pages());
    let url = "'https://HOST/site/manifest.yaml'";
    let long = format!("{url} has more than {MOST} bytes; check that it is the right file");
    let endless =
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50000\r\n".to_vec(), vec![b'#'; 0x50000]].concat();
    let gzip = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00".to_vec();
    for (answer, expected) in [
        (
            Answer::status("302 Found", "Location: http://elsewhere/manifest.yaml\r\n"),
            format!("{url} is answered with '302 Found'; redirects are not followed, name the place where the file is"),
        ),
        (
            Answer::status("404 Not Found", ""),
            format!("{url} is answered with '404 Not Found'; serve the file itself there"),
        ),
        (
            Answer::status("204 No Content", ""),
            format!("{url} is answered with '204 No Content'; serve the file itself there"),
        ),
        (Answer::Raw(gzip), format!("{url} is encoded as 'gzip'; serve the file as it is")),
        (Answer::file(&vec![b'#'; MOST + 1]), long.clone()),
        (Answer::Raw(endless), long),
    ] {
        server.answer("/site/manifest.yaml", answer);
        assert_eq!(said(&host, &server, 5), expected);
        let complaint = fs::read_to_string(host.named().with_extension("refused")).unwrap();
        assert!(complaint.replace(&server.address.to_string(), "HOST").ends_with(&format!("\n{expected}\n")));
    }
    // The same holds for the signature.
    server.answer("/site/manifest.yaml", Answer::file(b"a manifest"));
    server.pages.lock().unwrap().remove("/site/manifest.yaml.sig");
    let missing = "'https://HOST/site/manifest.yaml.sig' is answered with '404 Not Found'; serve the file itself there";
    assert_eq!(said(&host, &server, 5), missing);
    assert!(!host.named().exists(), "half a pair is not copied");
}

#[test]
fn a_server_that_does_not_prove_who_it_is_is_refused() {
    let (host, server) = serving(pages());
    let at = format!("quorate.manifest={}", server.url("/site/manifest.yaml"));
    let identity = "'HOST' does not prove who it is: invalid peer certificate: ";
    // Another CA.
    let other = Server::start(HERE, "127.0.0.1", pages());
    host.bake_ca(&other.ca_pem);
    host.say(&at);
    assert_eq!(said(&host, &server, 5), format!("{identity}UnknownIssuer"));
    // Another key.
    host.say(&format!("{at} quorate.ca=sha256:{}", other.ca_key));
    let why = format!("no certificate that it sends has the key sha256:{}", other.ca_key);
    assert_eq!(said(&host, &server, 5), format!("'HOST' does not prove who it is: unexpected error: {why}"));
    // The right CA, another name; and a certificate that has expired, pinned or not.
    let named = Server::start(HERE, "elsewhere.example", pages());
    let expired = Server::start_with(HERE, "127.0.0.1", pages(), |certificate| {
        certificate.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    for (server, begin) in [(named, "certificate not valid for name"), (expired, "certificate expired")] {
        let at = format!("quorate.manifest={}", server.url("/site/manifest.yaml"));
        host.say(&format!("{at} quorate.ca=sha256:{}", server.ca_key));
        let pinned = said(&host, &server, 5);
        assert!(pinned.starts_with(&format!("{identity}{begin}")), "{pinned}");
        host.bake_ca(&server.ca_pem);
        host.say(&at);
        let baked = said(&host, &server, 5);
        assert!(baked.starts_with(&format!("{identity}{begin}")), "{baked}");
    }
}

#[test]
fn without_a_usable_ca_nobody_is_asked() {
    let (host, server) = serving(pages());
    let at = format!("quorate.manifest={}", server.url("/site/manifest.yaml"));
    host.say(&at);
    assert_eq!(
        said(&host, &server, 5),
        "the server cannot be trusted: no CA is pinned for it: add 'quorate.ca=sha256:…' or 'quorate.ca=/path' to the \
         kernel command line, or bake '/usr/lib/quorate/trust/https-ca.pem'"
    );
    host.bake_ca("no certificate\n");
    assert_eq!(
        said(&host, &server, 5),
        "the server cannot be trusted: '/usr/lib/quorate/trust/https-ca.pem' holds no certificate; write the CA there, \
         in PEM"
    );
    host.say(&format!("{at} quorate.ca=/no/such/ca.pem"));
    assert_eq!(
        said(&host, &server, 5),
        "the server cannot be trusted: the CA '/no/such/ca.pem' cannot be read: entity not found"
    );
}

#[test]
fn a_slow_server_is_cut_off() {
    let (host, server) = serving(pages());
    let now = || jiff::Timestamp::now();
    let tls = || tls::client(&Authority::Key(server.ca_key), &Paths::below(host.root.path()), now()).unwrap();
    let deadline = Duration::from_millis(500);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let silent = std::net::TcpListener::bind((HERE, 0)).unwrap();
    server.answer("/site/manifest.yaml", Answer::Drip);
    let silent_url = format!("https://{}/m.yaml", silent.local_addr().unwrap());
    for url in [server.url("/site/manifest.yaml"), silent_url] {
        let start = Instant::now();
        let error = runtime.block_on(fetch::fetch(&url, tls(), deadline)).unwrap_err();
        assert_eq!(error.to_string(), format!("'{url}' did not arrive within 500ms"));
        assert!(error.passes() && start.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_file_is_copied_with_what_lies_beside_it() {
    let host = Host::new();
    drop_files(&host.root.path().join("efi/quorate"));
    host.say("quorate.manifest=/efi/quorate/manifest.yaml");
    let (code, said) = host.quorate(COLLECT);
    let copied = "manifest.yaml, manifest.yaml.sig, node.pem from kernel command line, /efi/quorate/manifest.yaml";
    assert!(code == 0 && said.contains(copied), "{said}");
    assert_eq!(fs::read_dir(host.named()).unwrap().count(), 4);
}

#[test]
fn a_file_that_is_none_is_refused_and_one_that_is_missing_is_awaited() {
    let outcome = |code, make: &dyn Fn(&std::path::Path)| {
        let host = Host::new();
        host.say("quorate.manifest=/srv/manifest.yaml");
        let path = host.root.path().join("srv/manifest.yaml");
        fs::create_dir(path.parent().unwrap()).unwrap();
        make(&path);
        let (left, said) = host.quorate(COLLECT);
        assert_eq!(left, code, "{said}");
        said.split_once("kernel command line, /srv/manifest.yaml: ").unwrap().1.trim_end().to_owned()
    };
    assert_eq!(outcome(75, &|_| {}), "there is no '/srv/manifest.yaml'");
    let not_a_file = |kind| format!("'/srv/manifest.yaml' is {kind}; put the file itself there");
    assert_eq!(outcome(5, &|path| symlink("/etc/shadow", path).unwrap()), not_a_file("a symbolic link"));
    assert_eq!(outcome(5, &|path| fs::create_dir(path).unwrap()), not_a_file("a directory"));
    let mode = nix::sys::stat::Mode::S_IRUSR;
    assert_eq!(outcome(5, &|path| nix::unistd::mkfifo(path, mode).unwrap()), not_a_file("a pipe"));
    assert_eq!(
        outcome(5, &|path| fs::write(path, [b' '; MOST + 1]).unwrap()),
        "'/srv/manifest.yaml' has 262145 bytes, at most 262144 are read; check that it is the right file"
    );
}

#[test]
fn a_container_was_started_with_the_arguments_of_its_init() {
    let host = Host::new();
    drop_files(&host.root.path().join("srv"));
    // The kernel's line is the host's, and none of the container's business.
    host.say("quorate.manifest=http://host/");
    let root = host.root.path();
    fs::create_dir_all(root.join("run/systemd")).unwrap();
    fs::write(root.join("run/systemd/container"), "systemd-nspawn").unwrap();
    fs::create_dir_all(root.join("proc/1")).unwrap();
    fs::write(root.join("proc/1/cmdline"), "/sbin/init\0quorate.manifest=/srv/manifest.yaml\0").unwrap();
    let (code, said) = host.quorate(COLLECT);
    assert!(code == 0 && said.contains("from kernel command line, /srv/manifest.yaml"), "{said}");
}

#[test]
fn a_line_that_speaks_of_no_manifest_is_nothing() {
    let host = Host::new();
    host.say("console=ttyS0");
    assert_eq!(host.quorate(COLLECT), (0, String::new()));
    assert_eq!(host.quorate(&["collect"]), (0, String::new()));
}
