-- Какая доля решённых обращений возвращается к нам в течение 7 дней?
-- What share of resolved tickets comes back within 7 days?
--
-- By the week (Moscow, from Monday) of the resolution, this week and the twelve before; each cycle of a ticket
-- is a resolution of its own. A resolution counts once its 7 days are over, so nothing of the present week is
-- told yet; merged tickets and spam are left out. `no_reply` are those that silence resolved.
WITH period AS (
  SELECT (date_trunc('week', now() AT TIME ZONE 'Europe/Moscow') - interval '12 weeks')
    AT TIME ZONE 'Europe/Moscow' AS since
),
changes AS (
  SELECT e.ticket_id, e.time, e.details ->> 'after' AS after, (e.details ->> 'cycle')::integer AS cycle,
    e.details ->> 'closing_reason' AS reason
  FROM analyst.ticket_events e, period
  WHERE e.type = 'StageChanged' AND e.time >= period.since
),
resolutions AS (
  SELECT c.ticket_id, c.cycle, c.time AS resolved_at, c.reason
  FROM changes c JOIN analyst.tickets t USING (ticket_id)
  WHERE c.after = 'resolved' AND c.time <= now() - interval '168 hours'
    AND t.stage NOT IN ('merged', 'spam')
),
reopenings AS (
  SELECT ticket_id, cycle, min(time) AS reopened_at FROM changes GROUP BY ticket_id, cycle
)
SELECT date_trunc('week', r.resolved_at AT TIME ZONE 'Europe/Moscow')::date AS week,
  count(*) AS resolved,
  count(*) FILTER (WHERE r.reason = 'no_reply') AS no_reply,
  count(o.reopened_at) AS reopened,
  round(count(o.reopened_at)::numeric / count(*), 3) AS reopen_rate,
  percentile_cont(0.5) WITHIN GROUP (
    ORDER BY extract(epoch FROM o.reopened_at - r.resolved_at)::double precision / 3600
  ) AS median_hours_until
FROM resolutions r
LEFT JOIN reopenings o
  ON o.ticket_id = r.ticket_id AND o.cycle = r.cycle + 1
  AND o.reopened_at <= r.resolved_at + interval '168 hours'
GROUP BY week
ORDER BY week;
