"""Tallybook: credits for Stripe subscriptions, on an append-only ledger."""
