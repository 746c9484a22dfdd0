"""A soak test: real runs are killed, interrupted and damaged, and inputs fuzzed, while asked.

    python -m benchmarks.soak --minutes=60 --what=kill,signal,damage,disk,rivals,fuzz

One module for each part: processes (children that are real processes), runs (what is trained and
what makes two of them the same), trials (what is done to them).
"""
