"""Accounts: open them, tie customers to them, join them, derive their tier."""
