"""Spends, holds and operators' grants and adjustments: every act under an idempotency key."""
