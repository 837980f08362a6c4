-- An account's present public id: the application's, else that of the customer under whose id it
-- was opened. An account that was joined to another has the id of that one.
CREATE VIEW account_names AS
SELECT owner.id AS account_id, present.id AS present_id,
       coalesce(present.external_id,
                (SELECT customers.id FROM customers WHERE customers.account_id = present.id
                  ORDER BY rank DESC, tied_at, customers.id LIMIT 1)) AS public_id
  FROM accounts AS owner
  JOIN accounts AS present ON present.id = coalesce(owner.joined_to, owner.id);

-- Entries with what they do to the balance (free + held - debt), and the balance after them.
CREATE VIEW entry_changes AS
SELECT entries.*,
       amount * ((credit IN ('free', 'held', 'debt'))::int
                 - (debit IN ('free', 'held', 'debt'))::int) AS change,
       free_after + held_after - debt_after AS balance_after
  FROM entries;

-- Entries as auditors read them: with their journal's header, their lot's source and their
-- account's present public id.
CREATE VIEW audited_entries AS
SELECT entries.id, entries.journal_id, entries.account_id AS owner_id, entries.kind,
       entries.debit, entries.credit, entries.amount, entries.change, entries.balance_after,
       entries.lot_id, lots.source AS lot_source, entries.hold_id, entries.reverses_entry_id,
       entries.effective_at, entries.recorded_at,
       journals.kind AS journal_kind, journals.event_id, journals.run_id,
       journals.idempotency_key, journals.label, journals.member, journals.source, journals.actor, notes.reason,
       account_names.public_id AS account_id
  FROM entry_changes AS entries
  JOIN journals ON journals.id = entries.journal_id
  JOIN lots ON lots.id = entries.lot_id
  JOIN account_names ON account_names.account_id = entries.account_id
  LEFT JOIN notes ON notes.journal_id = entries.journal_id;
