#!/bin/sh
# Prints the path of an etcd binary of one Debian suite, fetching the package once into the cache.
#
#   tests/etcd/install.sh SUITE        bookworm (3.4), trixie (3.5.16) or forky (3.5.30)
#
# The package is only unpacked, never installed: several versions stand side by side, and the machine's
# own services stay as they are. apt works in a directory of its own, with the archive keys of the host.
set -eu

suite=${1:?"usage: install.sh SUITE"}
cache=${QUORATE_CACHE:-/var/cache/quorate}
tree=$cache/etcd-$suite
binary=$tree/usr/bin/etcd

mkdir -p "$cache"
exec 9>"$cache/etcd-$suite.lock"
flock 9

if [ ! -x "$binary" ]; then
	private=$(mktemp -d)
	trap 'rm -rf "$private"' EXIT
	mkdir -p "$private/lists/partial" "$private/archives/partial"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main" \
		>"$private/sources.list"
	apt_private() {
		apt-get -q -o Dir::Etc::SourceList="$private/sources.list" -o Dir::Etc::SourceParts=- \
			-o Dir::State::Lists="$private/lists" -o Dir::Cache="$private" -o APT::Sandbox::User=root "$@" >&2
	}
	apt_private update
	cd "$private"
	apt_private download etcd-server
	rm -rf "$tree.new"
	dpkg-deb -x "$private"/etcd-server_*.deb "$tree.new"
	rm -rf "$tree"
	mv "$tree.new" "$tree"
fi

echo "$binary"
