-- Что у нас сейчас не закрыто, как давно, и за кем ход?
-- What is open now, for how long, and whose turn is it?
--
-- Every open ticket, by its queue and its age since it was opened (clock time). `our_turn`: a person on the
-- customer's side had the last word. `overdue`: a clock of its present cycle has passed its due moment, whether
-- it was met since or not.
SELECT t.queue_id,
  q.name AS queue,
  CASE
    WHEN t.opened_at > now() - interval '24 hours' THEN '1: under 1 day'
    WHEN t.opened_at > now() - interval '72 hours' THEN '2: 1 to 3 days'
    WHEN t.opened_at > now() - interval '168 hours' THEN '3: 3 to 7 days'
    WHEN t.opened_at > now() - interval '720 hours' THEN '4: 7 to 30 days'
    ELSE '5: over 30 days'
  END AS age,
  count(*) AS tickets,
  count(*) FILTER (WHERE t.assignee_id IS NULL) AS with_nobody,
  count(*) FILTER (WHERE t.last_message_kind = 'customer') AS our_turn,
  count(*) FILTER (WHERE t.stage IN ('waiting_customer', 'waiting_third_party', 'waiting_until')) AS waiting,
  count(*) FILTER (WHERE late.late) AS overdue,
  min(t.opened_at) AS oldest_opened_at
FROM analyst.tickets t
LEFT JOIN analyst.queues q USING (queue_id)
CROSS JOIN LATERAL (
  SELECT EXISTS (
    SELECT FROM analyst.sla_outcomes s
    WHERE s.ticket_id = t.ticket_id AND s.cycle = t.cycle
      AND (s.breached OR (s.state = 'running' AND s.due_at <= now()))
  ) AS late
) late
WHERE t.open
GROUP BY t.queue_id, q.name, age
ORDER BY q.name NULLS LAST, t.queue_id, age;
