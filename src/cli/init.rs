//! `quorate init --masters 3`: a commented starter manifest on stdout, valid as it is.
//!
//! Its addresses and host names are examples to be replaced; the cluster id is drawn anew each time, because two
//! clusters with one id would accept each other's manifests.

use super::Exit;
use crate::ident::Generation;
use crate::quorum::Environment;
use crate::quorum::policy::{self, Acknowledgements, Verdict};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;

/// Arguments of `quorate init`.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// How many masters: 3 or 5, or with --test also 1 or 2
    #[arg(long, value_name = "N", default_value_t = 3)]
    masters: usize,
    /// Name of the cluster
    #[arg(long, default_value = "prod-east")]
    name: String,
    /// A cluster to try things out: 'environment: test'
    #[arg(long)]
    test: bool,
}

/// Prints the starter manifest.
///
/// # Errors
/// When the policy refuses the number of masters, or the name is not one.
pub fn run(args: &InitArgs) -> Result<Exit> {
    let name: crate::ident::ClusterName = args.name.parse().context(Exit::Usage)?;
    let environment = if args.test { Environment::Test } else { Environment::Production };
    if let Verdict::Refused { why, instead } =
        policy::judge(args.masters, environment, Generation(1), &Acknowledgements::default())
    {
        let in_a_test = policy::judge(args.masters, Environment::Test, Generation(1), &Acknowledgements::default());
        let instead = match in_a_test {
            Verdict::Refused { .. } => instead,
            _ => "start with 3 masters, or for a trial with '--test'".to_owned(),
        };
        return Err(anyhow::anyhow!("{why}: {instead}")).context(Exit::Refused);
    }
    print!("{}", starter(name.as_str(), args.masters, environment, &random_uuid()?, &now()));
    Ok(Exit::Fine)
}

/// The text of a starter manifest.
fn starter(name: &str, masters: usize, environment: Environment, cluster_id: &str, issued_at: &str) -> String {
    let environment = match environment {
        Environment::Production => "production",
        Environment::Test => "test",
    };
    let mut text = format!(
        "\
# The manifest of one cluster. Replace the example addresses and names, then:
#   quorate check manifest.yaml
#   quorate sign manifest.yaml --key ~/.ssh/id_ed25519
# Every field is described in spec/manifest.md; 'quorate schema' feeds editors.
apiVersion: quorate/v1
kind: ClusterManifest
metadata:
  name: {name}
  clusterId: {cluster_id}   # drawn for this cluster; never use it for another
  generation: 1             # raise it with every change
  issuedAt: {issued_at}
spec:
  environment: {environment}
  vip:
    addresses: [10.20.0.100]   # unused, in the masters' subnet; IPv4, IPv6, or one of each
    interface: eth0            # kernel name, alternative name or MAC address
  masters:                     # order = preference for the VIP
"
    );
    for number in 1..=masters {
        let _ = writeln!(
            text,
            "    - {{ name: m{number}, address: 10.20.0.{}, identity: {{ hostname: m{number} }} }}",
            10 + number
        );
    }
    text.push_str(
        "  vrrp:
    advertiseInterval: 100ms   # the VIP moves within about three of these
  health:                      # a master whose own API server fails gives way to a healthy one
    - { https: \"https://127.0.0.1:6443/livez\", interval: 1s, fall: 3, rise: 2 }
  etcd:
    phase: genesis             # once formed, sign what 'quorate status' shows: formed: { clusterId: … }
",
    );
    text
}

/// A random UUID (RFC 9562 §5.4).
fn random_uuid() -> Result<String> {
    let mut bytes = [0_u8; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        bail!("cannot draw a random cluster id: {error}");
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = bytes.map(|byte| format!("{byte:02x}")).concat();
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

#[expect(clippy::disallowed_methods, reason = "a starter manifest is issued now")]
fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse::parse;

    #[test]
    fn a_starter_manifest_is_valid_as_it_is() {
        for (masters, environment) in
            [(3, Environment::Production), (5, Environment::Production), (1, Environment::Test), (2, Environment::Test)]
        {
            let text = starter("trial", masters, environment, &random_uuid().unwrap(), "2026-11-22T20:00:00Z");
            let parsed = parse("manifest.yaml", text.as_bytes()).unwrap_or_else(|findings| panic!("{findings}"));
            assert_eq!(parsed.manifest.masters.len(), masters);
        }
    }

    #[test]
    fn cluster_ids_are_drawn_anew() {
        assert_ne!(random_uuid().unwrap(), random_uuid().unwrap());
    }
}
