-- Как быстро каждая очередь отвечает впервые: медиана, 90-й процентиль, и кто ещё ждёт?
-- How fast does each queue answer for the first time: median, 90th percentile, and who still waits?
--
-- Tickets opened in the last 30 days (Moscow), by the queue in which they stand now; merged ones and spam are
-- left out, and so are tickets on which no person wrote, or on which we wrote first. Hours of clock time, from
-- the arrival of the first message to the first public answer of an operator; for business time see
-- question 4. Unanswered tickets are counted apart, with the age of the oldest that is open.
WITH period AS (
  SELECT (date_trunc('day', now() AT TIME ZONE 'Europe/Moscow') - interval '30 days')
    AT TIME ZONE 'Europe/Moscow' AS since
),
asked AS (
  SELECT t.queue_id, t.first_customer_at, t.first_operator_at, t.open,
    t.first_response_seconds::double precision / 3600 AS hours
  FROM analyst.tickets t, period
  WHERE t.opened_at >= period.since
    AND t.stage NOT IN ('merged', 'spam')
    AND t.first_customer_at IS NOT NULL
    AND (t.first_operator_at IS NULL OR t.first_operator_at >= t.first_customer_at)
)
SELECT a.queue_id,
  q.name AS queue,
  count(a.hours) AS answered,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY a.hours) AS median_hours,
  percentile_cont(0.9) WITHIN GROUP (ORDER BY a.hours) AS p90_hours,
  avg(a.hours) AS mean_hours,
  count(*) FILTER (WHERE a.first_operator_at IS NULL) AS unanswered,
  max(extract(epoch FROM now() - a.first_customer_at)::double precision / 3600)
    FILTER (WHERE a.first_operator_at IS NULL AND a.open) AS oldest_waiting_hours
FROM asked a LEFT JOIN analyst.queues q USING (queue_id)
GROUP BY a.queue_id, q.name
ORDER BY q.name NULLS LAST, a.queue_id;
