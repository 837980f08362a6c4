"""The daily run: finds the accounts that are due and opens their day, in chunks."""
