"""Why a simulation could not go on, and what to do about it."""

from __future__ import annotations

from app.simulate.book_client import PlayError


def trouble(error: PlayError, address: str) -> str:
    """What went wrong at this address, then the remedy."""
    return f"{error}\n{_remedy(error, address)}"


def _remedy(error: PlayError, address: str) -> str:
    match error.status:
        case None:
            return (
                f"Nobody answers at {address}. Start a book with `tallybook up`, or name another "
                "address with --to."
            )
        case 400:
            return (
                "The secret is not this endpoint's, or this is no webhook. Give the book's own "
                "STRIPE_WEBHOOK_SECRET with --secret, or its folder with --data-dir."
            )
        case 401 | 403:
            return "The key is not good for reading accounts: give a service key, or none."
        case 404 | 405:
            return (
                f"There is no webhook at {address}: give the book's address, "
                "http://HOST:PORT, or the webhook's whole address."
            )
        case 503:
            return "The service has no database; start it, and send the same again."
    return "Sending the same again changes nothing twice."
