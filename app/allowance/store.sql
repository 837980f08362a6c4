-- name: write
-- Write what was drafted on sheets, and beside it the days that were opened and the rows of their
-- accounts, whole. A lot that is new has no id yet but its place in the parameter of lots.
-- include: ledger/statement.sql drafts
, opened AS (
    INSERT INTO daily_grants (account_id, day_on, opening, starts_at, ends_at, time_zone, tier,
                              credits, previous_on, lot_id, carried_lot_id, carry_over_max,
                              previous_allowed, run_id, recorded_at, after_dormancy)
    SELECT day.account_id, day_on, opening, starts_at, ends_at, time_zone, tier, credits,
           previous_on, coalesce(day.lot_id, lot_in.id),
           coalesce(day.carried_lot_id, carried_in.id), carry_over_max, previous_allowed, run_id,
           recorded_at, after_dormancy
      FROM unnest(:opened::opened_day[]) AS day
      LEFT JOIN lot_in ON lot_in.ord = day.lot_ord
      LEFT JOIN lot_in AS carried_in ON carried_in.ord = day.carried_lot_ord
), days_changed AS (
    UPDATE accounts SET
        free = change.free, held = change.held, debt = change.debt,
        last_used_at = coalesce(change.used_at, accounts.last_used_at),
        written_at = greatest(accounts.written_at, change.written_at),
        tier = change.tier, time_zone = change.time_zone,
        day_on = change.day_on, day_opening = change.day_opening,
        day_starts_at = change.day_starts_at, day_ends_at = change.day_ends_at,
        day_lot_id = coalesce(change.day_lot_id, lot_in.id),
        day_carried_lot_id = coalesce(change.day_carried_lot_id, carried_in.id),
        day_catalogue_id = change.day_catalogue_id, day_used_brought = change.day_used_brought,
        brought_until = change.brought_until, day_withdrawn = change.day_withdrawn, due_at = change.due_at
      FROM unnest(:days::account_day[]) AS change
      LEFT JOIN lot_in ON lot_in.ord = change.day_lot_ord
      LEFT JOIN lot_in AS carried_in ON carried_in.ord = change.day_carried_lot_ord
     WHERE accounts.id = change.id
)
-- include: ledger/statement.sql numbers
