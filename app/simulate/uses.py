"""The requests of an application's holds and returns."""

from __future__ import annotations

from collections.abc import Mapping

from app.simulate.steps import Capture, Extend, Hold, Release, Return, Use

Request = tuple[str, Mapping[str, object]]


def request_of(use: Use, made: Mapping[str, str]) -> Request | None:
    """Return path and body; ``made`` has the ids of spends and holds by their keys.

    None where what the use is of was never made.
    """
    of = use.of_key if isinstance(use, Return) else getattr(use, "hold_key", None)
    if of is not None and of not in made:
        return None
    match use:
        case Hold(account_id=account_id, amount=amount, expires_in_s=seconds):
            held = {"amount": amount, "expires_in_s": seconds}
            return f"/api/v1/accounts/{account_id}/holds", held
        case Capture(hold_key=hold, amount=amount, over=over, final=final):
            paid = {"amount": amount, "over": over, "final": final}
            return f"/api/v1/holds/{made[hold]}/capture", paid
        case Extend(hold_key=hold, expires_in_s=seconds):
            return f"/api/v1/holds/{made[hold]}/extend", {"expires_in_s": seconds}
        case Release(hold_key=hold):
            return f"/api/v1/holds/{made[hold]}/release", {}
        case Return() as back:
            return f"/api/v1/accounts/{back.account_id}/returns", _of_return(back, made)


def _of_return(back: Return, made: Mapping[str, str]) -> Mapping[str, object]:
    by, which = "of_idempotency_key", back.of_key
    if not back.by_key:
        by, which = "hold_id" if back.of_hold else "spend_id", made[back.of_key]
    return {by: which, "amount": back.amount, "reason": "the job failed"}
