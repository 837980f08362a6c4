"""What `make bench` measures: the ledger's speed as ratios to floors of the same run."""
