"""Runs in flight: the loop, the limits, the retries and where answers come from."""
