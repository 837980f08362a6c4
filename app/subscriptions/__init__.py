"""Subscriptions: lock one, derive its state from all stored facts, store the transition."""
