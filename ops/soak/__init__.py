"""A soak: webhooks, spends and passing days on a real book whose parts are restarted under it."""
