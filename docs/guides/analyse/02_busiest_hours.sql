-- В какие часы и дни недели сообщений больше всего (по московскому времени)?
-- At which hours of which weekdays do most messages come, by Moscow time?
--
-- The last 8 whole weeks, Monday to Sunday; `per_week` is the average. Hours without a message have no row.
WITH period AS (
  SELECT (date_trunc('week', now() AT TIME ZONE 'Europe/Moscow') - interval '8 weeks')
      AT TIME ZONE 'Europe/Moscow' AS since,
    date_trunc('week', now() AT TIME ZONE 'Europe/Moscow') AT TIME ZONE 'Europe/Moscow' AS before
),
hours AS (
  SELECT f.bucket AT TIME ZONE 'Europe/Moscow' AS local, f.received
  FROM analyst.flow f, period
  WHERE f.bucket >= period.since AND f.bucket < period.before
)
SELECT extract(isodow FROM local)::integer AS weekday,
  (ARRAY['пн', 'вт', 'ср', 'чт', 'пт', 'сб', 'вс'])[extract(isodow FROM local)::integer] AS weekday_name,
  extract(hour FROM local)::integer AS hour,
  sum(received) AS received,
  round(sum(received) / 8, 2) AS per_week
FROM hours
GROUP BY weekday, weekday_name, hour
HAVING sum(received) > 0
ORDER BY weekday, hour;
