"""The ledger's invariants in SQL: each has a query that counts rows and one that finds faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.usage.fold import DIFFERENCES
from app.verify.cross_checks import CROSS_CHECKS
from app.verify.projections import ACCOUNTS, HOLDS, LOTS, differences
from app.verify.structure import STRUCTURE

# name → (the query that counts rows, the query that finds faults); each finding is one text.
CHECKS: Final[Mapping[str, tuple[str, str]]] = {
    "every account's sides are the sum of its entries": (
        "SELECT count(*) FROM accounts",
        differences(ACCOUNTS, "account", "free", "held", "debt"),
    ),
    "every account was last used when its entries say": (
        "SELECT count(*) FROM accounts",
        differences(ACCOUNTS, "account", "last_used_at"),
    ),
    "an account's entries are in the order of time": (
        "SELECT count(*) FROM entries",
        """SELECT format('entry %s of account %s was recorded at %s, before the one before it',
                  id, account_id, recorded_at)
             FROM (SELECT id, account_id, recorded_at,
                          lag(recorded_at) OVER (PARTITION BY account_id ORDER BY id) AS before
                     FROM entries) AS chained
            WHERE recorded_at < before
           UNION ALL
           SELECT format('account %s was written at %s, before its entry %s of %s',
                  accounts.id, written_at, last.id, last.recorded_at)
             FROM accounts JOIN LATERAL (SELECT id, recorded_at FROM entries
                   WHERE account_id = accounts.id
                   ORDER BY recorded_at DESC, id DESC LIMIT 1) AS last ON true
            WHERE written_at < last.recorded_at""",
    ),
    "every entry's balance follows from the one before it": (
        "SELECT count(*) FROM entries",
        """SELECT format('entry %s of account %s does not follow from the one before',
                  id, account_id)
             FROM (SELECT *, lag(free_after, 1, 0::bigint) OVER w AS free_before,
                          lag(held_after, 1, 0::bigint) OVER w AS held_before,
                          lag(debt_after, 1, 0::bigint) OVER w AS debt_before
                     FROM entries WINDOW w AS (PARTITION BY account_id ORDER BY id)) AS chained
            WHERE free_after <> free_before + CASE WHEN credit = 'free' THEN amount ELSE 0 END
                                            - CASE WHEN debit = 'free' THEN amount ELSE 0 END
               OR held_after <> held_before + CASE WHEN credit = 'held' THEN amount ELSE 0 END
                                            - CASE WHEN debit = 'held' THEN amount ELSE 0 END
               OR debt_after <> debt_before - CASE WHEN credit = 'debt' THEN amount ELSE 0 END
                                            + CASE WHEN debit = 'debt' THEN amount ELSE 0 END""",
    ),
    "every lot has what its entries left of it": (
        "SELECT count(*) FROM lots",
        differences(LOTS, "lot", "free", "held", "lapsed"),
    ),
    "every lot was granted what its entries brought into it": (
        "SELECT count(*) FROM lots",
        differences(LOTS, "lot", "granted", "moved", "refunded", "live"),
    ),
    "every hold is what its entries made of it": (
        "SELECT count(*) FROM holds",
        differences(HOLDS, "hold", "amount", "captured", "state"),
    ),
    "an entry's lot belongs to its account": (
        "SELECT count(*) FROM entries",
        """SELECT format('entry %s of account %s draws on lot %s of account %s',
                  entries.id, entries.account_id, lots.id, lots.account_id)
             FROM entries JOIN lots ON lots.id = entries.lot_id
            WHERE lots.account_id <> entries.account_id""",
    ),
    "nothing is spent or held from an expired lot": (
        "SELECT count(*) FROM entries WHERE kind IN ('spend', 'hold')",
        """SELECT format('entry %s at %s draws on lot %s, which ended at %s',
                  entries.id, entries.recorded_at, lots.id, lots.expires_at)
             FROM entries JOIN lots ON lots.id = entries.lot_id
            WHERE entries.kind IN ('spend', 'hold') AND entries.debit = 'free'
              AND entries.recorded_at >= lots.expires_at
              AND NOT (entries.recorded_at = lots.expires_at AND EXISTS (
                      -- A zone changed at the same instant of a standing clock ended it earlier.
                      SELECT FROM daily_grants WHERE account_id = lots.account_id
                         AND starts_at < lots.expires_at AND ends_at > lots.expires_at))""",
    ),
    "every journal that moves credits has entries": (
        "SELECT count(*) FROM journals",
        """SELECT format('journal %s (%s) has no entry', id, kind) FROM journals
            -- A release gives back what is held: nothing, once parts were captured of all.
            WHERE kind NOT IN ('opening', 'transfer', 'extend', 'release')
              AND NOT EXISTS (SELECT FROM entries WHERE entries.journal_id = journals.id)
              -- All that a reversal was to take may have lapsed before, or be held still.
              AND NOT EXISTS (SELECT FROM reversals
                                LEFT JOIN reversals AS part ON part.part_of = reversals.id
                               WHERE reversals.journal_id = journals.id
                                 AND num_nonnulls(reversals.entry_id, part.id) > 0)""",
    ),
    "transfers sum to zero": (
        "SELECT count(DISTINCT journal_id) FROM entries WHERE kind = 'transfer'",
        """SELECT format('journal %s transfers %s more in than out', journal_id, sum(moved))
             FROM (SELECT journal_id, CASE WHEN debit = 'transferred' THEN amount
                                           WHEN credit = 'transferred' THEN -amount ELSE 0 END
                          AS moved
                     FROM entries WHERE kind = 'transfer') AS transfers
            GROUP BY journal_id HAVING sum(moved) <> 0""",
    ),
    "no entry is reversed by more than its amount": (
        "SELECT count(*) FROM entries WHERE reverses_entry_id IS NOT NULL",
        # An undone shortfall has an entry in the original's direction, and counts against its
        # reversal. Of a return that was reversed only what had expired counts.
        """SELECT format('entry %s of %s is reversed by %s', id, amount, sum(reversed))
             FROM (SELECT original.id, original.amount,
                          CASE WHEN entries.credit = original.debit
                                 OR entries.debit = original.credit
                               THEN entries.amount ELSE -entries.amount END AS reversed
                     FROM entries JOIN entries AS original
                       ON original.id = entries.reverses_entry_id
                    WHERE entries.kind <> 'return' OR NOT EXISTS (
                          SELECT FROM journals
                           WHERE reverses_journal_id = entries.journal_id)
                    UNION ALL
                   SELECT original.id, original.amount, expired
                     FROM reversals JOIN entries ON entries.id = entry_id
                     JOIN entries AS original ON original.id = entries.reverses_entry_id
                    WHERE house = 'spent') AS netted
            GROUP BY id, amount HAVING sum(reversed) NOT BETWEEN 0 AND amount""",
    ),
    "no hold gives more than it holds": (
        "SELECT count(*) FROM holds",
        """SELECT format('hold %s of %s (%s): held %s, captured %s, released %s', holds.id, amount,
                  state, summed.held, summed.captured, summed.released)
             FROM holds LEFT JOIN LATERAL (
                 SELECT coalesce(sum(amount) FILTER (WHERE kind = 'hold'), 0) AS held,
                        coalesce(sum(amount) FILTER (WHERE kind = 'spend'), 0) AS captured,
                        -- What a capture draws beyond what was held comes out of free credits.
                        coalesce(sum(amount) FILTER (WHERE kind = 'spend' AND debit = 'held'), 0)
                            AS taken,
                        coalesce(sum(amount) FILTER (WHERE kind = 'release'), 0) AS released
                   FROM entries WHERE entries.hold_id = holds.id) AS summed ON true
            WHERE summed.held <> amount OR summed.captured <> holds.captured
               OR (state = 'held' AND (summed.released > 0 OR summed.taken >= amount))
               OR (state <> 'held' AND summed.taken + summed.released <> amount)""",
    ),
    "every reversal is what its entries took back": (
        "SELECT count(*) FROM reversals WHERE entry_id IS NOT NULL",
        # What one return entry gave may have gone to several lots.
        """SELECT format('reversal %s: clawed %s stands; its entries say %s', id, clawed, taken)
             FROM (SELECT min(id) AS id, sum(clawed + shortfall_reversed) AS clawed, coalesce((
                       SELECT sum(amount * ((debit = 'free')::int - (credit = 'free')::int))
                         FROM entries WHERE reverses_entry_id = reversals.entry_id
                          AND kind = 'reversal'), 0) AS taken
                     FROM reversals WHERE entry_id IS NOT NULL AND lot_id IS NOT NULL
                    GROUP BY entry_id) AS summed
            WHERE clawed <> taken
           UNION ALL
           SELECT format('reversal %s: (%s, %s, %s, %s, %s) stand; its parts say (%s, %s, %s, %s, '
                         '%s)', id, requested, clawed, held, shortfall, expired, r, c, h, s, e)
             FROM reversals JOIN (
                  SELECT part_of, sum(requested) AS r, sum(clawed) AS c, sum(held) AS h,
                         sum(shortfall) AS s, sum(expired) AS e
                    FROM reversals WHERE of_journal_id IS NULL AND part_of IS NOT NULL
                   GROUP BY part_of) AS parts ON parts.part_of = reversals.id
            WHERE (requested, clawed, held, shortfall, expired) IS DISTINCT FROM (r, c, h, s, e)""",
    ),
    "what every purchase owes follows from its payment": (
        "SELECT count(*) FROM purchases",
        # pack x min(paid, refunded + disputed) paid, rounded down; what open disputes add is
        # frozen. A reversed purchase owes and is owed nothing more.
        """SELECT format('purchase %s: %s of %s credits taken and %s to stand still; its money '
                         'says %s and %s', payment_key, taken, credits, to_freeze, said_taken,
                         said_both - said_taken)
             FROM (SELECT purchases.payment_key, purchases.credits, taken, to_freeze,
                          coalesce(div(purchases.credits::numeric * least(paid, back.counted),
                                       nullif(paid, 0)), 0)::bigint AS said_taken,
                          coalesce(div(purchases.credits::numeric
                                       * least(paid, back.counted + back.standing_still),
                                       nullif(paid, 0)), 0)::bigint AS said_both
                     FROM purchases JOIN backings ON backings.id = backing_id
                     LEFT JOIN LATERAL (
                         SELECT coalesce(sum(amount) FILTER (WHERE standing = 'counted'), 0)::bigint
                                    AS counted,
                                coalesce(sum(amount) FILTER (WHERE standing = 'frozen'), 0)::bigint
                                    AS standing_still
                           FROM money_back
                          WHERE money_back.payment_key = purchases.payment_key) AS back ON true
                    WHERE NOT closed) AS owed
            WHERE (taken, to_freeze) IS DISTINCT FROM (said_taken, said_both - said_taken)""",
    ),
    "what is frozen of a lot is held by no hold": (
        "SELECT count(*) FROM backings",
        """SELECT format('lot %s: %s frozen stand; its entries say %s', lot_id, frozen, says)
             FROM (SELECT lot_id, frozen, coalesce((
                       SELECT sum((credit = 'held')::int * amount - (debit = 'held')::int * amount)
                         FROM entries
                        WHERE entries.lot_id = backings.lot_id AND hold_id IS NULL), 0) AS says
                     FROM backings) AS summed
            WHERE frozen <> says""",
    ),
    "what was taken from every purchased lot is what its entries say": (
        "SELECT count(*) FROM purchases",
        # When accounts were joined, a moved lot left its first entries behind.
        """SELECT format('lot %s: %s taken and %s owed stand; its entries say %s',
                         lot_id, clawed, shortfall, says)
             FROM (SELECT backings.lot_id, clawed, shortfall, coalesce((
                       SELECT sum((credit = 'refunded')::int * amount
                                  - (debit = 'refunded')::int * amount)
                         FROM entries WHERE entries.lot_id = backings.lot_id
                          AND kind IN ('refund', 'reversal')), 0) AS says
                     FROM purchases JOIN backings ON backings.id = backing_id
                     JOIN entries AS bought ON bought.journal_id = purchases.journal_id
                      AND bought.kind = 'purchase' AND bought.lot_id = backings.lot_id) AS summed
            WHERE clawed + shortfall <> says""",
    ),
    "each day's lot was granted for one account-day": (
        "SELECT count(*) FROM daily_grants",
        """SELECT format('lot %s serves %s account-days', lot_id, count(*))
             FROM daily_grants GROUP BY lot_id HAVING count(*) > 1""",
    ),
    "no day was carried into beyond its maximum": (
        "SELECT count(*) FROM daily_grants WHERE carried_lot_id IS NOT NULL",
        """SELECT format('account %s: %s were carried into %s, at most %s could be',
                  lots.account_id, granted, day_on, carry_over_max)
             FROM daily_grants JOIN lots ON lots.id = carried_lot_id
            WHERE opening = 1 AND source <> 'carried'
               OR opening = 1 AND carry_over_max < granted - coalesce((
                  -- What a reversed return had brought may come again.
                  SELECT sum(clawed) FROM reversals
                   WHERE reversals.lot_id = lots.id AND house = 'spent'), 0)""",
    ),
    "a day is opened again only after its opening was taken back": (
        "SELECT count(*) FROM daily_grants WHERE opening > 1",
        """SELECT format('account %s has the opening %s of %s, and the one before stands',
                  account_id, opening, day_on)
             FROM daily_grants AS again
            WHERE opening > 1 AND NOT EXISTS (
                -- One that was opened with nothing is withdrawn with its run, and negates nothing.
                SELECT FROM daily_grants AS first
                  JOIN reversals ON of_run_id = first.run_id AND first.credits = 0
                 WHERE first.account_id = again.account_id AND first.day_on = again.day_on
                   AND first.opening = again.opening - 1)
              AND NOT EXISTS (
                SELECT FROM daily_grants AS first
                  JOIN entries ON entries.lot_id = first.lot_id AND entries.kind = 'grant'
                  JOIN reversals ON reversals.entry_id = entries.id
                  JOIN journals ON journals.id = of_journal_id AND journals.kind = 'opening'
                 WHERE first.account_id = again.account_id AND first.day_on = again.day_on
                   AND first.opening = again.opening - 1)""",
    ),
    "a lot that moved continues in the account that its own was joined to": (
        "SELECT count(*) FROM moved_lots",
        """SELECT format('lot %s of account %s went on as lot %s of account %s', lots.id,
                  lots.account_id, present.id, present.account_id)
             FROM moved_lots JOIN lots ON lots.id = lot_id
             JOIN lots AS present ON present.id = to_lot_id
             JOIN accounts ON accounts.id = lots.account_id
             JOIN accounts AS holding ON holding.id = present.account_id
            WHERE (lots.source, lots.priority) <> (present.source, present.priority)
               OR lots.account_id = present.account_id
               OR accounts.joined_to IS DISTINCT FROM coalesce(holding.joined_to, holding.id)""",
    ),
    "usage by day is what its entries say": (
        "SELECT (SELECT count(*) FROM usage_days) + (SELECT count(*) FROM usage_totals)",
        DIFFERENCES,
    ),
    **CROSS_CHECKS,
    **STRUCTURE,
}
