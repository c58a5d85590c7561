"""What the README's performance table is generated from: `python -m benchmarks.run`."""
