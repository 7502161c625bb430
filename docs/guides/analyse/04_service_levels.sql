-- Какая доля сроков выдержана — по каждой политике и месяцу?
-- What share of deadlines did we keep, per policy and month?
--
-- By the month (Moscow) in which a clock is due, this month and the five before. What is open and overdue
-- counts as breached, and so does an abandoned ticket: silence must be seen. Merged tickets and spam are left
-- out. `pending` is not due yet, or stands still. Elapsed time is business time, of clocks that were met.
WITH period AS (
  SELECT (date_trunc('month', now() AT TIME ZONE 'Europe/Moscow') - interval '5 months')
      AT TIME ZONE 'Europe/Moscow' AS since,
    (date_trunc('month', now() AT TIME ZONE 'Europe/Moscow') + interval '1 month')
      AT TIME ZONE 'Europe/Moscow' AS before
),
clocks AS (
  SELECT date_trunc('month', s.due_at AT TIME ZONE 'Europe/Moscow')::date AS month,
    s.policy_id, s.clock, s.state, s.elapsed_seconds,
    s.breached
      OR (s.state = 'running' AND s.due_at <= now())
      OR (s.state = 'cancelled' AND coalesce('abandoned' IN (s.cancel_reason, s.stage), false)) AS late
  FROM analyst.sla_outcomes s, period
  WHERE s.due_at >= period.since AND s.due_at < period.before
    AND s.stage IS DISTINCT FROM 'merged' AND s.stage IS DISTINCT FROM 'spam'
    AND (s.cancel_reason IS NULL OR s.cancel_reason NOT IN ('merged', 'spam'))
)
SELECT month, policy_id, clock,
  count(*) FILTER (WHERE state = 'met' AND NOT late) AS met,
  count(*) FILTER (WHERE late) AS breached,
  count(*) FILTER (WHERE state IN ('running', 'paused') AND NOT late) AS pending,
  round(
    count(*) FILTER (WHERE state = 'met' AND NOT late)::numeric
      / nullif(count(*) FILTER (WHERE late OR state = 'met'), 0),
    3
  ) AS attainment,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY elapsed_seconds::double precision / 3600)
    FILTER (WHERE state = 'met') AS median_hours
FROM clocks
GROUP BY month, policy_id, clock
ORDER BY month, policy_id, clock;
