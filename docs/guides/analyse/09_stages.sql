-- Сколько времени обращения проводят на каждом этапе?
-- How long do tickets stay in each stage?
--
-- Stays that ended in the last 30 days (Moscow), in hours of clock time; and those that last, with the longest.
-- A stay begins when the ticket is opened (`new`) or its stage changes, and ends with the next change. The ends
-- closed, merged, spam and abandoned are left out: nobody waits there.
WITH period AS (
  SELECT (date_trunc('day', now() AT TIME ZONE 'Europe/Moscow') - interval '30 days')
    AT TIME ZONE 'Europe/Moscow' AS since
),
stays AS (
  SELECT e.ticket_id,
    CASE e.type WHEN 'TicketOpened' THEN 'new' ELSE e.details ->> 'after' END AS stage,
    e.time AS began,
    lead(e.time) OVER (PARTITION BY e.ticket_id ORDER BY e.sequence) AS ended
  FROM analyst.ticket_events e JOIN analyst.tickets t USING (ticket_id), period p
  WHERE e.type IN ('TicketOpened', 'StageChanged')
    -- Whatever has not changed since, and is over, has no stay to tell of.
    AND (t.open OR t.stage = 'resolved' OR t.changed_at >= p.since)
),
timed AS (
  SELECT s.stage, s.ended,
    extract(epoch FROM coalesce(s.ended, now()) - s.began)::double precision / 3600 AS hours
  FROM stays s, period
  WHERE (s.ended IS NULL OR s.ended >= period.since)
    AND s.stage NOT IN ('closed', 'merged', 'spam', 'abandoned')
)
SELECT stage,
  count(ended) AS ended,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY hours) FILTER (WHERE ended IS NOT NULL) AS median_hours,
  percentile_cont(0.9) WITHIN GROUP (ORDER BY hours) FILTER (WHERE ended IS NOT NULL) AS p90_hours,
  coalesce(sum(hours) FILTER (WHERE ended IS NOT NULL), 0) AS hours_in_all,
  count(*) FILTER (WHERE ended IS NULL) AS lasting,
  max(hours) FILTER (WHERE ended IS NULL) AS longest_lasting_hours
FROM timed
GROUP BY stage
ORDER BY hours_in_all DESC, stage;
