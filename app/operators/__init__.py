"""Operators: their API keys and the record of their acts."""
