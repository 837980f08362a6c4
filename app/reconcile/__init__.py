"""Comparison with Stripe: fetches missed events, mends what differs."""
