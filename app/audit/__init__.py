"""What auditors read: entries, journals, balances, life cycles; nothing here writes."""
