"""Check the whole book: recompute every projection, compare it, rebuild it if asked."""
