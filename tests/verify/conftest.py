"""Fixtures of the whole book's checks: the busy ledger of the auditors' tests."""

from tests.audit.conftest import busy

__all__ = ["busy"]
