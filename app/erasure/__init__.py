"""Erase people: the texts that name them go, the entries that count credits stay."""
