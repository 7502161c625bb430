-- Где стояли обращения в тот момент, когда срок был нарушен?
-- Where did tickets stand at the moment when a deadline was missed?
--
-- Clocks that passed their due moment in the last 30 days (Moscow), met later or not; merged tickets and spam
-- are left out, and abandoned tickets without a breach are in question 4 only. `stood` says who had the ticket
-- then, by what was recorded until that moment:
--   with_operator     somebody had accepted it
--   offered           an offer was open, and nobody had accepted it
--   nobody_available  it lay in its queue, and routing's latest word was that nobody could be offered it
--   in_queue          it lay in its queue
--   not_routed        no queue had been chosen
WITH period AS (
  SELECT (date_trunc('day', now() AT TIME ZONE 'Europe/Moscow') - interval '30 days')
    AT TIME ZONE 'Europe/Moscow' AS since
),
breaches AS (
  SELECT s.ticket_id, s.clock, coalesce(s.breached_at, s.due_at) AS moment
  FROM analyst.sla_outcomes s, period
  WHERE (s.breached OR (s.state = 'running' AND s.due_at <= now()))
    AND coalesce(s.breached_at, s.due_at) >= period.since
    AND s.stage IS DISTINCT FROM 'merged' AND s.stage IS DISTINCT FROM 'spam'
    AND (s.cancel_reason IS NULL OR s.cancel_reason NOT IN ('merged', 'spam'))
),
standing AS (
  SELECT b.clock, queue.queue_id,
    CASE
      WHEN assignment.type = 'TicketAccepted' THEN 'with_operator'
      WHEN offer.type = 'TicketOffered' THEN 'offered'
      WHEN queue.queue_id IS NULL THEN 'not_routed'
      WHEN decision.kind = 'nobody' THEN 'nobody_available'
      ELSE 'in_queue'
    END AS stood
  FROM breaches b
  LEFT JOIN LATERAL (
    SELECT e.type FROM analyst.ticket_events e
    WHERE e.ticket_id = b.ticket_id AND e.time <= b.moment
      AND e.type IN ('TicketAccepted', 'TicketUnassigned')
    ORDER BY e.sequence DESC LIMIT 1
  ) assignment ON true
  LEFT JOIN LATERAL (
    SELECT e.type FROM analyst.ticket_events e
    WHERE e.ticket_id = b.ticket_id AND e.time <= b.moment
      AND e.type IN ('TicketOffered', 'OfferDeclined', 'OfferEnded', 'TicketAccepted')
    ORDER BY e.sequence DESC LIMIT 1
  ) offer ON true
  LEFT JOIN LATERAL (
    SELECT (e.details ->> 'queue_id')::uuid AS queue_id FROM analyst.ticket_events e
    WHERE e.ticket_id = b.ticket_id AND e.time <= b.moment AND e.type = 'TicketRouted'
    ORDER BY e.sequence DESC LIMIT 1
  ) queue ON true
  LEFT JOIN LATERAL (
    SELECT d.kind FROM analyst.routing_decisions d
    WHERE d.ticket_id = b.ticket_id AND d.decided_at <= b.moment
    ORDER BY d.decided_at DESC LIMIT 1
  ) decision ON true
)
SELECT s.clock, s.queue_id, q.name AS queue, s.stood, count(*) AS breaches,
  round(count(*) / sum(count(*)) OVER (PARTITION BY s.clock), 3) AS share_of_clock
FROM standing s LEFT JOIN analyst.queues q USING (queue_id)
GROUP BY s.clock, s.queue_id, q.name, s.stood
ORDER BY s.clock, breaches DESC, q.name NULLS LAST, s.queue_id, s.stood;
