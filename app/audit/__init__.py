"""Reads for auditors: entries, journals, balances, life cycles, exports."""
