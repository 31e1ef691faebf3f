# Everything a newcomer needs, as root on Debian 12 or newer with a Rust toolchain.

.PHONY: help demo test bench image image-test prepare clean

help:
	@echo "make demo    three masters converge from one signed manifest, and lose one"
	@echo "make test    every check: format, lints, unit, network namespace, etcd and lab tests"
	@echo "make bench   what reconcile and a failover cost, beside keepalived and the protocol's own limit"
	@echo "make image TRUST=allowed_signers   the BareOS disk image, into target/image (VERSION=1 KEYS=target/image/keys)"
	@echo "make image-test                    boot it in a virtual machine: first boot, drop, update, fallback"

# The packages that cargo cannot bring.
prepare:
	@tests/lab/prepare

demo: prepare
	@echo "building the programs (some minutes the first time)"
	@cargo build --quiet --bins --example demo
	@target/debug/examples/demo

test: prepare
	@tests/run

bench: prepare
	@cargo bench

VERSION ?= 1
KEYS ?= target/image/keys
image: prepare
	@test -n "$(TRUST)" || { echo "make image TRUST=FILE: the allowed_signers whose keys may sign for this image"; exit 2; }
	@cargo build --quiet --release --bins
	@KEYS="$(KEYS)" image/build target/release "$(TRUST)" target/image --image-version="$(VERSION)"

image-test: prepare
	@cargo test --test image

clean:
	cargo clean
