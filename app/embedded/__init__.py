"""The whole service on one machine: real servers out of wheels, started and ended together."""
