"""Stripe and an application, played: stories of signed events and spends, sent to a book."""
