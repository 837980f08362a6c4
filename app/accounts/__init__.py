"""Accounts: open them, link customers to them, join them, and compute their tier."""
