"""Accounts: open, tie, subscribe, spend; what is due is posted first."""
