"""Seals: signed heads over the ledger, and proofs that an auditor checks without the service."""
