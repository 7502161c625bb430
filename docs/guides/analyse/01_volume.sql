-- Сколько обращений приходит каждый день на каждую линию, и успеваем ли мы их разбирать?
-- How much comes in each day on each line, and do we keep up with it?
--
-- Days of Moscow, the last 30 and today; a day on which nothing happened has no row. `growth` is what was
-- opened or reopened less what was resolved: above 0, more came than went (what ended as merged, spam or
-- abandoned is in it). `automatic_share`: messages that machines wrote on tickets that were there, or that made
-- no ticket at all (bounces, lists), of all that were received.
WITH period AS (
  SELECT (date_trunc('day', now() AT TIME ZONE 'Europe/Moscow') - interval '30 days')
    AT TIME ZONE 'Europe/Moscow' AS since
)
SELECT (f.bucket AT TIME ZONE 'Europe/Moscow')::date AS day,
  f.line_name,
  f.channel,
  sum(f.received) AS received,
  sum(f.opened) AS opened,
  sum(f.customer_replies) AS customer_replies,
  sum(f.operator_replies) AS operator_replies,
  sum(f.resolved) AS resolved,
  sum(f.reopened) AS reopened,
  sum(f.closed) AS closed,
  sum(f.opened + f.reopened - f.resolved) AS growth,
  round(sum(f.automatic + f.set_aside) / nullif(sum(f.received), 0), 3) AS automatic_share
FROM analyst.flow f, period
WHERE f.bucket >= period.since
GROUP BY day, f.line_id, f.line_name, f.channel
HAVING sum(f.received + f.opened + f.customer_replies + f.operator_replies + f.resolved + f.reopened + f.closed
  + f.automatic + f.set_aside) > 0
ORDER BY day, f.line_name, f.line_id;
