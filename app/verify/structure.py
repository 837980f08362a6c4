"""What must stand in the schema, whatever stands in its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# name → (what it counts, what it finds wrong); each finding is one text.
STRUCTURE: Final[Mapping[str, tuple[str, str]]] = {
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
    "the functions are those that were shipped": (
        "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        """SELECT format('function %s is not the shipped one', shipped.name)
             FROM (VALUES ('refuse_change', '07bb301dcf9484a0a98834116a1a6d48'),
                          ('keep_payload', '0597d14081c78347925e86ee7295fbec'),
                          ('tallybook_now', 'e8446831b7f39377495038158b148084'))
               AS shipped (name, body_md5)
            WHERE NOT EXISTS (SELECT FROM pg_proc WHERE proname = shipped.name
                                AND pronamespace = 'public'::regnamespace
                                AND md5(pg_get_functiondef(oid)) = shipped.body_md5)""",
    ),
}
