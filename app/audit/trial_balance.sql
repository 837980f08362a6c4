-- name: sums
-- Debits and credits of each account, sides and house, by then. The two are summed apart, so that
-- equal totals are found and not assumed.
WITH summed AS MATERIALIZED (
    SELECT debit, credit, sum(amount) AS amount FROM entries
     WHERE recorded_at <= :as_of GROUP BY debit, credit
)
SELECT account, sum(debits) AS debits, sum(credits) AS credits
  FROM (SELECT debit AS account, amount AS debits, 0 AS credits FROM summed
        UNION ALL SELECT credit, 0, amount FROM summed) AS sided
 GROUP BY account
