"""Plumbing without domain: database, settings, logs, traces, metrics, limits, ids, the clock."""
