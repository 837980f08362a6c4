"""Usage figures by day and tier, and the alerts that are computed from them."""
