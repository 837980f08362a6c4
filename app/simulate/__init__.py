"""Stripe and an application, played: tapes of signed events and spends, sent to a running book."""
