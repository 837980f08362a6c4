"""The locked account and its day: the catalogue, zones, the allowance rule, loading and storing."""
