"""The ledger's invariants in SQL: what each one counts, and what it finds wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.audit.rebuild import LOTS

_ALL_ACCOUNTS: Final = "(NULL::bigint[])"

# name → (what it counts, what it finds wrong); each finding is one text.
CHECKS: Final[Mapping[str, tuple[str, str]]] = {
    "every account's sides are the sum of its entries": (
        "SELECT count(*) FROM accounts",
        """SELECT format('account %s: free %s, held %s, debt %s stand; its entries say %s, %s, %s',
                  accounts.id, accounts.free, accounts.held, accounts.debt,
                  coalesce(summed.free, 0), coalesce(summed.held, 0), coalesce(summed.debt, 0))
             FROM accounts LEFT JOIN (
                 SELECT account_id,
                     sum(CASE WHEN credit = 'free' THEN amount ELSE 0 END
                       - CASE WHEN debit = 'free' THEN amount ELSE 0 END) AS free,
                     sum(CASE WHEN credit = 'held' THEN amount ELSE 0 END
                       - CASE WHEN debit = 'held' THEN amount ELSE 0 END) AS held,
                     sum(CASE WHEN debit = 'debt' THEN amount ELSE 0 END
                       - CASE WHEN credit = 'debt' THEN amount ELSE 0 END) AS debt
                   FROM entries GROUP BY account_id) AS summed ON summed.account_id = accounts.id
            WHERE (accounts.free, accounts.held, accounts.debt) IS DISTINCT FROM
                  (coalesce(summed.free, 0), coalesce(summed.held, 0), coalesce(summed.debt, 0))""",
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
    "every lot is what its entries left of it": (
        "SELECT count(*) FROM lots",
        """SELECT format('lot %s: free %s, held %s, lapsed %s stand; its entries say %s, %s, %s',
                  lots.id, lots.free, lots.held, lots.lapsed,
                  coalesce(summed.free, 0), coalesce(summed.held, 0), coalesce(summed.lapsed, 0))
             FROM lots LEFT JOIN (
                 SELECT lot_id,
                     sum(CASE WHEN credit = 'free' THEN amount ELSE 0 END
                       - CASE WHEN debit = 'free' THEN amount ELSE 0 END) AS free,
                     sum(CASE WHEN credit = 'held' THEN amount ELSE 0 END
                       - CASE WHEN debit = 'held' THEN amount ELSE 0 END) AS held,
                     sum(CASE WHEN kind = 'expiry' THEN amount ELSE 0 END) AS lapsed
                   FROM entries GROUP BY lot_id) AS summed ON summed.lot_id = lots.id
            WHERE (lots.free, lots.held, lots.lapsed) IS DISTINCT FROM
                  (coalesce(summed.free, 0), coalesce(summed.held, 0),
                   coalesce(summed.lapsed, 0))""",
    ),
    "every lot was granted what its entries brought into it": (
        "SELECT count(*) FROM lots",
        f"""SELECT format('lot %s: granted %s, live %s stand; its entries say %s, %s',
                  lots.id, lots.granted, lots.live, says.granted, says.live)
             FROM lots JOIN ({LOTS.says.replace("$1", _ALL_ACCOUNTS)}) AS says USING (id)
            WHERE (lots.granted, lots.live) IS DISTINCT FROM (says.granted, says.live)""",
    ),
    "an entry's lot is its account's own": (
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
              AND entries.recorded_at >= lots.expires_at""",
    ),
    "every journal that moves credits has entries": (
        "SELECT count(*) FROM journals",
        """SELECT format('journal %s (%s) has no entry', id, kind) FROM journals
            WHERE kind NOT IN ('opening', 'transfer')
              AND NOT EXISTS (SELECT FROM entries WHERE entries.journal_id = journals.id)
              -- All that a reversal was to take may have lapsed before, or be held still.
              AND NOT EXISTS (SELECT FROM reversals WHERE reversals.journal_id = journals.id
                                 AND entry_id IS NOT NULL)""",
    ),
    "transfers net to nothing": (
        "SELECT count(*) FROM journals WHERE kind IN ('opening', 'transfer')",
        """SELECT format('journal %s transfers %s more in than out', journal_id, sum(moved))
             FROM (SELECT journal_id, CASE WHEN debit = 'transferred' THEN amount
                                           WHEN credit = 'transferred' THEN -amount ELSE 0 END
                          AS moved
                     FROM entries WHERE kind = 'transfer') AS transfers
            GROUP BY journal_id HAVING sum(moved) <> 0""",
    ),
    "no entry is reversed by more than its amount": (
        "SELECT count(*) FROM entries WHERE reverses_entry_id IS NOT NULL",
        # An undone shortfall runs the entry's own way again, and counts against its reversal.
        """SELECT format('entry %s of %s is reversed by %s', id, amount, sum(reversed))
             FROM (SELECT original.id, original.amount,
                          CASE WHEN entries.credit = original.debit
                                 OR entries.debit = original.credit
                               THEN entries.amount ELSE -entries.amount END AS reversed
                     FROM entries JOIN entries AS original
                       ON original.id = entries.reverses_entry_id) AS netted
            GROUP BY id, amount HAVING sum(reversed) NOT BETWEEN 0 AND amount""",
    ),
    "no hold gives more than it holds": (
        "SELECT count(*) FROM holds",
        """SELECT format('hold %s of %s (%s): held %s, captured %s, released %s', holds.id, amount,
                  state, summed.held, summed.captured, summed.released)
             FROM holds LEFT JOIN LATERAL (
                 SELECT coalesce(sum(amount) FILTER (WHERE kind = 'hold'), 0) AS held,
                        coalesce(sum(amount) FILTER (WHERE kind = 'spend'), 0) AS captured,
                        coalesce(sum(amount) FILTER (WHERE kind = 'release'), 0) AS released
                   FROM entries WHERE entries.hold_id = holds.id) AS summed ON true
            WHERE summed.held <> amount OR summed.captured <> holds.captured
               OR summed.captured + summed.released
                    <> CASE state WHEN 'held' THEN 0 ELSE amount END""",
    ),
    "every reversal is what its entries took back": (
        "SELECT count(*) FROM reversals WHERE entry_id IS NOT NULL",
        """SELECT format('reversal %s: clawed %s stands; its entries say %s',
                  id, clawed + undone, taken)
             FROM (SELECT reversals.*, coalesce((
                       SELECT sum(amount) FROM entries WHERE reverses_entry_id = reversals.entry_id
                          AND kind = 'reversal' AND debit = 'free'), 0) AS taken
                     FROM reversals WHERE entry_id IS NOT NULL) AS summed
            WHERE clawed + undone <> taken""",
    ),
    "every purchase is owed what its money says": (
        "SELECT count(*) FROM purchases",
        # pack x min(paid, refunded + disputed) / paid, rounded down; what open disputes add stands
        # still. A purchase that was reversed owes and is owed nothing more.
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
    "what stands frozen of a lot is held of it by no hold": (
        "SELECT count(*) FROM backings",
        """SELECT format('lot %s: %s frozen stand; its entries say %s', lot_id, frozen, says)
             FROM (SELECT lot_id, frozen, coalesce((
                       SELECT sum((credit = 'held')::int * amount - (debit = 'held')::int * amount)
                         FROM entries
                        WHERE entries.lot_id = backings.lot_id AND hold_id IS NULL), 0) AS says
                     FROM backings) AS summed
            WHERE frozen <> says""",
    ),
    "every purchased lot was taken from by what its entries say": (
        "SELECT count(*) FROM purchases",
        # A lot that moved when accounts were joined left its first entries behind.
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
    "a lot that moved went on as one of the account its own was joined to": (
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
    "usage by day adds up to the entries it was folded from": (
        "SELECT count(*) FROM usage_days",
        """SELECT format('usage says granted %s, spent %s, expired %s, purchased %s; its entries'
                         ' say %s, %s, %s, %s', told.granted, told.spent, told.expired,
                         told.purchased, said.granted, said.spent, said.expired, said.purchased)
             FROM (SELECT coalesce(sum(granted), 0) AS granted, coalesce(sum(spent), 0) AS spent,
                          coalesce(sum(expired), 0) AS expired,
                          coalesce(sum(purchased), 0) AS purchased FROM usage_days) AS told,
                  (SELECT coalesce(sum(amount) FILTER (WHERE kind = 'grant'), 0) AS granted,
                          coalesce(sum(amount) FILTER (WHERE kind = 'spend'), 0) AS spent,
                          coalesce(sum(amount) FILTER (WHERE kind = 'expiry'), 0) AS expired,
                          coalesce(sum(amount) FILTER (WHERE kind = 'purchase'), 0) AS purchased
                     FROM entries WHERE id <= (SELECT entry_id FROM usage_fold)) AS said
            WHERE told <> said""",
    ),
    "triggers and constraints stand": (
        "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal",
        """SELECT format('table %s lacks its enabled trigger %s', wanted.name, wanted.what)
             FROM (SELECT name, what FROM unnest(ARRAY['journals', 'entries', 'transitions',
                       'daily_grants', 'facts', 'catalogues', 'operator_acts', 'alerts',
                       'verifications', 'money_facts', 'purchases', 'deliveries', 'fetched_events',
                       'moved_lots']) AS name,
                       unnest(ARRAY['refuse_change', 'refuse_truncate']) AS what
                   UNION ALL VALUES ('events', 'keep_payload'), ('events', 'refuse_delete'),
                       ('events', 'refuse_truncate')) AS wanted
            WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = wanted.name::regclass
                                AND tgname = wanted.what AND tgenabled IN ('O', 'A'))
           UNION ALL
           SELECT format('constraint %s of %s is not validated', conname, conrelid::regclass)
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND NOT convalidated
           UNION ALL
           SELECT format('table %s lacks its constraint %s', wanted.name, wanted.what)
             FROM (VALUES ('entries', 'kind_has_its_house'), ('entries', 'held_names_its_hold'),
                      ('entries', 'reversal_names_its_entry'), ('entries', 'entries_amount_check'),
                      ('accounts', 'debt_never_beside_free'), ('accounts', 'accounts_free_check'),
                      ('lots', 'never_more_than_granted'), ('lots', 'live_while_not_empty'),
                      ('journals', 'journals_reverses_journal_id_key'),
                      ('journals', 'reversal_names_its_journal'), ('journals', 'key_has_hash'),
                      ('daily_grants', 'daily_grants_pkey'), ('events', 'events_pkey'),
                      ('runs', 'runs_day_on_wave_at_opening_key')) AS wanted (name, what)
            WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = wanted.name::regclass
                                AND conname = wanted.what)
           UNION ALL
           SELECT 'table journals lacks its unique index journals_key'
            WHERE NOT EXISTS (SELECT FROM pg_index WHERE indisunique AND indisvalid
                                AND indexrelid = to_regclass('journals_key'))""",
    ),
    "the functions that refuse are those that were shipped": (
        "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        """SELECT format('function %s is not the shipped one', shipped.name)
             FROM (VALUES ('refuse_change', '59eb2c4e40a105f7015b8da37ea57f77'),
                          ('keep_payload', '508d63413cd63d9d0236684f1a65f629'))
               AS shipped (name, body_md5)
            WHERE NOT EXISTS (SELECT FROM pg_proc WHERE proname = shipped.name
                                AND pronamespace = 'public'::regnamespace
                                AND md5(prosrc) = shipped.body_md5)""",
    ),
}

STRUCTURE: Final = (
    "triggers and constraints stand",
    "the functions that refuse are those that were shipped",
)
