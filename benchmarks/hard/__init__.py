"""The parts of ``python -m benchmarks.compared``."""
