"""Webhooks: verify, store once, translate, apply."""
