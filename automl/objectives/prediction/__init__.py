"""Latency from a table: blocks are timed once inside whole networks, and their sum predicts other networks."""
