"""Daily grants: tiers, what is due, the allowance rule, the run."""
