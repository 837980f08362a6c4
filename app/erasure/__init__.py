"""Erasing people: what says who somebody is goes, what counts credits stands."""
