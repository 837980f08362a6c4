"""Reversals of one journal, of one event's purchase, and of a whole run."""
