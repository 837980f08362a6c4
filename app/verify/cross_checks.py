"""Compare rows that must agree: somebody who changed one of them left the other unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# The table and column of a reference, and the table of the row that it must name.
_REFERENCES: Final = (
    ("entries", "id", "journal_id", "journals"),
    ("entries", "id", "account_id", "accounts"),
    ("entries", "id", "lot_id", "lots"),
    ("entries", "id", "hold_id", "holds"),
    ("entries", "id", "reverses_entry_id", "entries"),
    ("notes", "journal_id", "journal_id", "journals"),
    ("journals", "id", "reverses_journal_id", "journals"),
    ("journals", "id", "run_id", "runs"),
    ("journals", "id", "event_id", "events"),
    ("lots", "id", "account_id", "accounts"),
    ("holds", "id", "account_id", "accounts"),
    ("reversals", "id", "journal_id", "journals"),
    ("reversals", "id", "of_journal_id", "journals"),
    ("reversals", "id", "entry_id", "entries"),
    ("daily_grants", "lot_id", "account_id", "accounts"),
    ("daily_grants", "lot_id", "lot_id", "lots"),
    ("daily_grants", "lot_id", "run_id", "runs"),
    ("purchases", "journal_id", "journal_id", "journals"),
    ("purchases", "journal_id", "backing_id", "backings"),
)
_ORPHANS: Final = " UNION ALL ".join(
    f"""SELECT format('%s %s names %s %s, which is not there', '{table}', one.{key}, '{other}',
               one.{column})
          FROM {table} AS one LEFT JOIN {other} AS other ON other.id = one.{column}
         WHERE one.{column} IS NOT NULL AND other.id IS NULL"""
    for table, key, column, other in _REFERENCES
)

# name → (the query that counts rows, the query that finds faults); each finding is one text.
CROSS_CHECKS: Final[Mapping[str, tuple[str, str]]] = {
    "every row that another row names exists": ("SELECT count(*) FROM entries", _ORPHANS),
    "every entry is of a kind that its journal's act makes, and was recorded with it": (
        "SELECT count(*) FROM entries",
        """SELECT format('entry %s (%s, recorded %s) stands in journal %s (%s, recorded %s)',
                  entries.id, entries.kind, entries.recorded_at, journals.id, journals.kind,
                  journals.recorded_at)
             FROM entries JOIN journals ON journals.id = journal_id
            WHERE entries.recorded_at <> journals.recorded_at
               OR (entries.kind IN ('grant', 'spend', 'purchase', 'adjustment', 'hold', 'release',
                                    'transfer', 'return')
                   AND (entries.kind, journals.kind) NOT IN (
                       ('grant', 'opening'), ('grant', 'top_up'), ('grant', 'grant'),
                       ('spend', 'spend'), ('spend', 'capture'), ('spend', 'part_capture'),
                       ('purchase', 'purchase'), ('purchase', 'grant'),
                       ('adjustment', 'adjustment'), ('hold', 'hold'), ('release', 'release'),
                       ('release', 'capture'), ('transfer', 'opening'), ('transfer', 'transfer'),
                       -- What comes back after a midnight goes on into the running day.
                       ('transfer', 'reversal'), ('transfer', 'release'), ('transfer', 'capture'),
                       ('transfer', 'return'), ('return', 'return'))
                   )""",
    ),
    "a reversal's entry reverses one of the same house account": (
        "SELECT count(*) FROM entries WHERE reverses_entry_id IS NOT NULL",
        """SELECT format('entry %s (%s to %s) reverses entry %s (%s to %s)', entries.id,
                  entries.debit, entries.credit, original.id, original.debit, original.credit)
             FROM entries JOIN entries AS original ON original.id = entries.reverses_entry_id
            WHERE original.kind <> 'repayment'  -- between an account's own sides
              AND NOT ARRAY[entries.debit, entries.credit] && ARRAY(
                SELECT side FROM unnest(ARRAY[original.debit, original.credit]) AS side
                 WHERE side NOT IN ('free', 'held', 'debt'))""",
    ),
    "every reversal has its journal, and gave back what it says": (
        "SELECT count(*) FROM reversals",
        """SELECT format('journal %s is a reversal, and no row of one names it', journals.id)
             FROM journals WHERE kind = 'reversal'
              AND NOT EXISTS (SELECT FROM reversals WHERE reversals.journal_id = journals.id)
           UNION ALL
           SELECT format('reversal %s of %s gave back %s', id, requested, gave)
             FROM (SELECT reversals.*, coalesce((
                       SELECT sum(amount) FROM entries
                        WHERE entries.journal_id = reversals.journal_id
                          AND kind = 'reversal' AND (credit = 'free' OR EXISTS (
                              SELECT FROM entries AS owed WHERE owed.debit = 'debt'
                                 AND owed.id = entries.reverses_entry_id))), 0) AS gave
                     FROM reversals WHERE of_journal_id IS NOT NULL AND entry_id IS NULL
                      AND NOT EXISTS (SELECT FROM reversals AS part
                                       WHERE part.part_of = reversals.id)) AS summed
            WHERE requested <> gave
           UNION ALL
           SELECT format('reversal %s asks for %s of entry %s, which gave %s', reversals.id,
                  requested, entry_id, amount)
             FROM (SELECT min(id) AS id, entry_id, sum(requested) AS requested FROM reversals
                    WHERE entry_id IS NOT NULL GROUP BY entry_id) AS reversals
             JOIN entries ON entries.id = entry_id WHERE requested > amount""",
    ),
    "a lot's source fits the entry that brought its credits": (
        "SELECT count(*) FROM lots",
        """SELECT format('lot %s is %s; entry %s (%s) brought into it', lots.id, lots.source,
                  entries.id, entries.kind)
             FROM entries JOIN lots ON lots.id = lot_id JOIN journals ON journals.id = journal_id
            WHERE entries.credit = 'free' AND lots.source <> CASE
                  WHEN entries.kind = 'purchase' THEN 'purchased'
                  WHEN entries.kind = 'adjustment' THEN 'promotional'
                  WHEN entries.kind = 'grant' AND journals.kind = 'grant' THEN 'promotional'
                  WHEN entries.kind = 'grant' THEN 'daily'
                  WHEN entries.kind = 'transfer' AND journals.kind = 'opening' THEN 'carried'
                  ELSE lots.source END""",
    ),
    "every opened day is of the account to which it granted": (
        "SELECT count(*) FROM daily_grants",
        """SELECT format('account %s was opened %s with %s; the entries of lot %s say %s',
                  account_id, day_on, credits, lot_id, says)
             FROM (SELECT daily_grants.*, coalesce((
                       SELECT sum(amount) FROM entries JOIN journals ON journals.id = journal_id
                        WHERE entries.lot_id = daily_grants.lot_id AND entries.kind = 'grant'
                          AND journals.kind = 'opening'), 0) AS says
                     FROM daily_grants) AS summed
            WHERE credits <> says
           UNION ALL
           SELECT format('journal %s opened a day of account %s that is not there', journal_id,
                  account_id)
             FROM entries JOIN journals ON journals.id = journal_id
            WHERE entries.kind = 'grant' AND journals.kind = 'opening'
              AND NOT EXISTS (SELECT FROM daily_grants WHERE daily_grants.lot_id = entries.lot_id
                                 AND daily_grants.account_id = entries.account_id)""",
    ),
    "every account's running day is the one opened last": (
        "SELECT count(*) FROM accounts",
        """SELECT format('account %s stands on %s (opening %s, lots %s and %s); the last is '
                  '%s (%s, %s and %s)', accounts.id, accounts.day_on, day_opening, day_lot_id,
                  day_carried_lot_id, last.day_on, last.opening, last.lot_id, last.carried_lot_id)
             FROM accounts LEFT JOIN LATERAL (
                 SELECT * FROM daily_grants WHERE account_id = accounts.id
                  ORDER BY day_on DESC, opening DESC LIMIT 1) AS last ON true
            WHERE (closed_at IS NULL OR accounts.day_on IS NOT NULL)
              AND (accounts.day_on, day_opening, day_lot_id, day_carried_lot_id, day_starts_at)
                  IS DISTINCT FROM (last.day_on, last.opening, last.lot_id, last.carried_lot_id,
                                    last.starts_at)
           UNION ALL
           SELECT format('account %s''s day ends at %s, and its lot %s at %s', accounts.id,
                  day_ends_at, lots.id, expires_at)
             FROM accounts JOIN lots ON lots.id = day_lot_id WHERE expires_at <> day_ends_at""",
    ),
    "usage that counts against a day was brought to it": (
        "SELECT count(*) FROM accounts WHERE day_on IS NOT NULL",
        """SELECT format('account %s: %s brought stands; what was brought adds up to %s', id,
                  day_used_brought, says)
             FROM (SELECT accounts.id, day_used_brought, coalesce((
                       SELECT sum(amount) FROM brought_use
                        WHERE account_id = accounts.id AND until_at > day_starts_at), 0) AS says
                     FROM accounts WHERE day_on IS NOT NULL) AS summed
            WHERE day_used_brought <> says""",
    ),
    "a day is withdrawn exactly if its opening was reversed": (
        "SELECT count(*) FROM accounts WHERE day_on IS NOT NULL",
        """SELECT format('account %s: the opening of %s was %s', id, day_on,
                  CASE WHEN day_withdrawn THEN 'not taken back, and its day is withdrawn'
                       ELSE 'taken back, and its day is not withdrawn' END)
             FROM (SELECT accounts.*, EXISTS (
                       SELECT FROM entries JOIN reversals ON reversals.entry_id = entries.id
                         JOIN journals ON journals.id = of_journal_id AND journals.kind = 'opening'
                        WHERE entries.lot_id = day_lot_id AND entries.kind = 'grant') AS taken,
                          EXISTS (
                       SELECT FROM daily_grants JOIN reversals ON of_run_id = run_id
                        WHERE daily_grants.lot_id = day_lot_id AND credits = 0) AS empty_taken
                     FROM accounts WHERE day_on IS NOT NULL) AS days
            WHERE (day_withdrawn AND NOT taken AND NOT empty_taken)
               OR (taken AND NOT day_withdrawn)""",
    ),
    "every purchase has the credits that its entry granted": (
        "SELECT count(*) FROM purchases",
        """SELECT format('purchase %s: %s credits, %s of its lot; its entry brought %s',
                  payment_key, purchases.credits, backings.credits, amount)
             FROM purchases JOIN backings ON backings.id = backing_id
             LEFT JOIN entries ON entries.journal_id = purchases.journal_id
              AND entries.kind = 'purchase'
            WHERE (purchases.credits, backings.credits) IS DISTINCT FROM (amount, amount)""",
    ),
    "every run granted what its opened days say": (
        "SELECT count(*) FROM runs",
        """SELECT format('run %s of %s: %s issued with %s credits stand; its days say %s with %s',
                  id, day_on, issued, issued_credits, days, credits)
             FROM (SELECT runs.*, opened.* FROM runs LEFT JOIN LATERAL (
                       SELECT count(*) AS days, coalesce(sum(credits), 0) AS credits
                         FROM daily_grants WHERE daily_grants.day_on = runs.day_on
                          AND starts_at = wave_at AND run_id = runs.id) AS opened ON true) AS summed
            WHERE (issued, issued_credits) IS DISTINCT FROM (days, credits)""",
    ),
    "every correction has an operator's act": (
        "SELECT count(*) FROM journals WHERE kind IN ('grant', 'adjustment', 'reversal')",
        # The reversal of a run is one act. A payer's debt for a gift belongs to the webhook's act.
        """SELECT format('journal %s (%s): no operator asked for it', id, kind) FROM journals
            WHERE kind IN ('grant', 'adjustment', 'reversal') AND event_id IS NULL
              AND NOT EXISTS (SELECT FROM operator_acts AS act WHERE act.journal_id = journals.id)
              AND NOT EXISTS (SELECT FROM reversals
                               WHERE reversals.journal_id = journals.id AND part_of IS NOT NULL)""",
    ),
    "every opening names its run, and every purchase its event": (
        "SELECT count(*) FROM daily_grants",
        """SELECT format('the day %s of account %s is of run %s; its journal %s is of run %s',
                  day_on, opened.account_id, opened.run_id, journals.id, journals.run_id)
             FROM daily_grants AS opened
             JOIN entries ON entries.lot_id = opened.lot_id AND entries.kind = 'grant'
             JOIN journals ON journals.id = journal_id AND journals.kind = 'opening'
            WHERE opened.run_id IS DISTINCT FROM journals.run_id
            UNION ALL
           SELECT format('purchase %s is of event %s; its journal %s is of event %s', payment_key,
                  purchases.event_id, journals.id, journals.event_id)
             FROM purchases JOIN journals ON journals.id = journal_id
            WHERE purchases.event_id IS DISTINCT FROM journals.event_id
            UNION ALL
           SELECT format('journal %s (%s) is of event %s, of which no purchase is', journals.id,
                  kind, journals.event_id)
             FROM journals
            WHERE kind = 'purchase'
              AND NOT EXISTS (SELECT FROM purchases WHERE journal_id = journals.id)""",
    ),
    "no account has a tier that no subscription gives": (
        "SELECT count(*) FROM accounts WHERE tier <> 'FREE'",
        # If something is due, a grace period that just ended may have given the tier.
        """SELECT format('account %s is %s, and no subscription gives it that', id, tier)
             FROM accounts
            WHERE tier <> 'FREE' AND due_at > tallybook_now()
              AND closed_at IS NULL AND suspended_at IS NULL
              AND NOT EXISTS (SELECT FROM subscriptions AS one
                               WHERE one.account_id = accounts.id
                                 AND accounts.tier IN (one.tier, one.grace_tier))""",
    ),
    "every account's due time is that of the first thing that falls due": (
        "SELECT count(*) FROM accounts WHERE joined_to IS NULL",
        # A dormant account's day waits until it is used, a suspended one's until it is resumed.
        """SELECT format('account %s is looked at again at %s; something is due at %s', id, due_at,
                  falls_due)
             FROM (SELECT accounts.id, due_at, least(
                       CASE WHEN suspended_at IS NULL AND (
                                 closed_at IS NOT NULL OR held > 0
                                 OR coalesce(last_used_at, opened_at) >= day_starts_at)
                            THEN day_ends_at END,
                       (SELECT min(expires_at) FROM lots
                         WHERE account_id = accounts.id AND live AND free > 0
                           AND NOT (source IN ('daily', 'carried') AND expires_at = day_ends_at)),
                       (SELECT min(expires_at) FROM holds
                         WHERE account_id = accounts.id AND state = 'held'),
                       (SELECT min(grace_ends_at) FROM subscriptions
                         WHERE subscriptions.account_id = accounts.id AND subscriptions.tier IS NULL
                           AND grace_ends_at > greatest(day_starts_at, tallybook_now())
                           AND catalogue_id = day_catalogue_id)) AS falls_due
                     FROM accounts WHERE joined_to IS NULL) AS due
            WHERE due_at > falls_due""",
    ),
    "every customer is linked as its claims say": (
        "SELECT count(*) FROM customers",
        """WITH best AS (
               SELECT DISTINCT ON (customer_id) customer_id, rank, external_id FROM claims
                WHERE stands AND external_id <> '' AND rank IN (2, 3)
                ORDER BY customer_id, rank, first_at, first_event_id
           )
           SELECT format('customer %s is tied to account %s by rank %s; its claims say %s by %s',
                  customers.id, customers.account_id, customers.rank,
                  coalesce('account ' || known_ids.account_id, 'its own'), coalesce(best.rank, 4))
             FROM customers LEFT JOIN best ON customer_id = customers.id
             LEFT JOIN known_ids USING (external_id)
            -- What the application PUT is said by nothing else.
            WHERE customers.rank <> 1 AND (customers.rank, customers.account_id) IS DISTINCT FROM
                  (coalesce(best.rank, 4), coalesce(known_ids.account_id, customers.account_id))""",
    ),
    "every subscription's account is the one named for it, else its customer's": (
        "SELECT count(*) FROM subscriptions WHERE account_id IS NOT NULL",
        """WITH named AS (
               SELECT DISTINCT ON (subscriptions.id) subscriptions.id, subscriptions.account_id,
                      customers.account_id AS tied_to, external_id,
                      (SELECT known_ids.account_id FROM known_ids
                        WHERE known_ids.external_id = claims.external_id LIMIT 1) AS known,
                      (SELECT named.account_id FROM customers AS named
                        WHERE named.id = claims.external_id) AS of_customer
                 FROM subscriptions JOIN customers ON customers.id = customer_id
                 LEFT JOIN claims ON claims.customer_id = customers.id AND stands
                  AND object_id = subscriptions.id AND external_id <> ''
                  AND (claims.rank = 3 OR state <> 'created')
                  AND (claims.rank IN (3, 5) OR claims.rank = 6 AND customers.rank = 4)
                WHERE subscriptions.account_id IS NOT NULL
                ORDER BY subscriptions.id, claims.rank, first_at, first_event_id
           )
           SELECT format('subscription %s is received by account %s; named for it is %s', id,
                  account_id, coalesce(known, of_customer, tied_to))
             FROM named WHERE account_id IS DISTINCT FROM coalesce(known, of_customer, tied_to)""",
    ),
    "every subscription has the state of its last transition": (
        "SELECT count(*) FROM subscriptions",
        """SELECT format('subscription %s is %s; its last transition led to %s', subscriptions.id,
                  state, to_state)
             FROM subscriptions LEFT JOIN LATERAL (
                 SELECT to_state FROM transitions WHERE subscription_id = subscriptions.id
                  ORDER BY id DESC LIMIT 1) AS last ON true
            WHERE state IS DISTINCT FROM to_state""",
    ),
}
