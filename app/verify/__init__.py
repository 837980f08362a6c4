"""Checks of the whole book: recomputes every projection and compares, and rebuilds them."""
