"""The parts of `python -m benchmarks.run`, each measured in a process of its own."""
