"""The ledger: journals, entries, lots and balances; knows nothing of Stripe, tiers or HTTP."""
