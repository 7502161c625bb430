-- Кто сколько сделал, кто отказывается и не отвечает на предложения, и поровну ли они распределены?
-- Who did how much, who declines offers or lets them pass, and are they dealt out evenly?
--
-- Days in UTC (that is how they are kept), the last 30 and today. Everybody who is employed or did something;
-- names are not here: they are personal. `evenness` is the operator's offers over the average of those who are
-- employed: 1 is an even share, where all have the same hours and skills. `refused_share` is declined and
-- timed-out offers, of all that were made to them.
WITH period AS (
  SELECT (now() AT TIME ZONE 'UTC')::date - 30 AS since
),
done AS (
  SELECT l.operator_id, sum(l.offered) AS offered, sum(l.accepted) AS accepted, sum(l.declined) AS declined,
    sum(l.timed_out) AS timed_out, sum(l.replies) AS replies, sum(l.resolved) AS resolved
  FROM analyst.operator_load l, period
  WHERE l.day >= period.since
  GROUP BY l.operator_id
)
SELECT operator_id,
  coalesce(o.employed, false) AS employed,
  coalesce(d.offered, 0) AS offered,
  coalesce(d.accepted, 0) AS accepted,
  coalesce(d.declined, 0) AS declined,
  coalesce(d.timed_out, 0) AS timed_out,
  coalesce(d.replies, 0) AS replies,
  coalesce(d.resolved, 0) AS resolved,
  round((d.declined + d.timed_out) / nullif(d.offered, 0), 3) AS refused_share,
  CASE
    WHEN o.employed
    THEN round(
      coalesce(d.offered, 0) / nullif(avg(coalesce(d.offered, 0)) FILTER (WHERE o.employed) OVER (), 0), 2
    )
  END AS evenness,
  coalesce(o.open_tickets, 0) AS open_now,
  coalesce(o.open_offers, 0) AS offered_now
FROM analyst.operators o FULL JOIN done d USING (operator_id)
WHERE o.employed OR d.operator_id IS NOT NULL
ORDER BY offered DESC, operator_id;
