"""A dry run of a run's reversal: what it would come to, of the lots as they stand."""

from __future__ import annotations

from app.book import Book
from app.ledger.clawbacks import Policy
from app.reversals.record import ReversalOrder, Reversed


async def preview(book: Book, run_id: int, order: ReversalOrder) -> Reversed:
    """Nothing is locked for it, and nothing changed."""
    total = await book.database.fetchrow(
        """WITH granted AS (
               SELECT entries.amount, lots.held + coalesce(moved.held, 0) AS held,
                      CASE WHEN lots.expires_at > tallybook_now() THEN lots.free ELSE 0 END AS free,
                      CASE WHEN lots.expires_at > tallybook_now() THEN lots.lapsed
                           ELSE lots.lapsed + lots.free END
                      + coalesce(moved.lapsed, 0) + coalesce(absorbed.amount, 0) AS lapsed
                 FROM journals
                 JOIN entries ON entries.journal_id = journals.id AND entries.kind = 'grant'
                 JOIN accounts ON accounts.id = entries.account_id
                 JOIN lots ON lots.id = entries.lot_id
                 -- What was held of a day that ended with a join, and where it is since.
                 LEFT JOIN moved_lots ON moved_lots.lot_id = lots.id
                 LEFT JOIN lots AS moved ON moved.id = to_lot_id
                 LEFT JOIN LATERAL (
                     SELECT sum(went.amount * ((went.credit = 'transferred')::int
                                               - (went.debit = 'transferred')::int)) AS amount
                       FROM entries AS went JOIN journals AS joining ON joining.id = went.journal_id
                      WHERE accounts.joined_to IS NOT NULL AND went.lot_id IN (lots.id, moved.id)
                        AND went.kind = 'transfer' AND joining.kind = 'transfer'
                        AND 'held' IN (went.debit, went.credit)) AS absorbed ON true
                WHERE journals.run_id = $1 AND journals.kind = 'opening'
                  AND NOT EXISTS (SELECT FROM reversals WHERE of_journal_id = journals.id)
           ), clawed AS (
               SELECT *, least(free, amount) AS clawed FROM granted
           ), held_back AS (
               SELECT *, least(held, amount - clawed) AS held_back FROM clawed
           ), ended AS (
               SELECT *, least(lapsed, amount - clawed - held_back) AS expired FROM held_back)
           SELECT count(*) AS journal_count, coalesce(sum(amount), 0)::bigint AS requested,
                  coalesce(sum(clawed), 0)::bigint AS clawed,
                  coalesce(sum(held_back), 0)::bigint AS held,
                  coalesce(sum(expired), 0)::bigint AS expired,
                  count(*) FILTER (WHERE amount > clawed + held_back + expired) AS short
             FROM ended""",
        run_id,
    )
    assert total is not None
    rejected = total["short"] if order.policy is Policy.REJECT else 0
    taken = total["clawed"] + total["held"] + total["expired"]
    return Reversed(
        number=None,
        journal_id=None,
        of_journal_id=None,
        of_run_id=run_id,
        policy=str(order.policy),
        state="done",
        requested=total["requested"],
        clawed=total["clawed"],
        held=total["held"],
        expired=total["expired"],
        shortfall=total["requested"] - taken,
        journal_count=total["journal_count"] - rejected,
        skipped=rejected,
        dry_run=True,
    )
