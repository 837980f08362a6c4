"""Spends and webhooks of others beside ours, in one run: `make bench-peers`."""
