"""Webhooks that we send: endpoints, messages and their delivery."""
