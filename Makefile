# Everything a newcomer needs, as root on Debian 12 or newer with a Rust toolchain.

.PHONY: help demo test bench prepare clean

help:
	@echo "make demo    three masters converge from one signed manifest, and lose one"
	@echo "make test    every check: format, lints, unit, network namespace, etcd and lab tests"
	@echo "make bench   what reconcile and a failover cost, beside keepalived and the protocol's own limit"

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

clean:
	cargo clean
