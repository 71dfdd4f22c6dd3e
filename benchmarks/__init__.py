"""What is measured: `make bench` runs all, `python -m benchmarks.<name>` one."""
