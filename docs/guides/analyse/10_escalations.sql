-- Из каких очередей и между какими уровнями обращения передают, почему, и сколько возвращают?
-- From which queues and between which levels do tickets go, why, and how many come back?
--
-- Escalations of the last 30 days (Moscow), by the queue in which the ticket stood then (none: not routed).
-- `reason`: manual, timeout (a service-level step) or criteria. `back`: to a lower level. `returned` are
-- escalations up after which the same ticket went down again later.
WITH period AS (
  SELECT (date_trunc('day', now() AT TIME ZONE 'Europe/Moscow') - interval '30 days')
    AT TIME ZONE 'Europe/Moscow' AS since
),
moves AS (
  SELECT e.ticket_id, e.sequence, (e.details ->> 'before')::integer AS from_level,
    (e.details ->> 'after')::integer AS to_level, e.details ->> 'reason' AS reason
  FROM analyst.ticket_events e, period
  WHERE e.type = 'Escalated' AND e.time >= period.since
)
SELECT queue.queue_id,
  q.name AS queue,
  m.from_level,
  m.to_level,
  m.reason,
  count(*) AS escalations,
  count(DISTINCT m.ticket_id) AS tickets,
  m.to_level < m.from_level AS back,
  count(*) FILTER (
    WHERE m.to_level > m.from_level AND EXISTS (
      SELECT FROM moves later
      WHERE later.ticket_id = m.ticket_id AND later.sequence > m.sequence AND later.to_level < later.from_level
    )
  ) AS returned
FROM moves m
LEFT JOIN LATERAL (
  SELECT (e.details ->> 'queue_id')::uuid AS queue_id FROM analyst.ticket_events e
  WHERE e.ticket_id = m.ticket_id AND e.sequence < m.sequence AND e.type = 'TicketRouted'
  ORDER BY e.sequence DESC LIMIT 1
) queue ON true
LEFT JOIN analyst.queues q ON q.queue_id = queue.queue_id
GROUP BY queue.queue_id, q.name, m.from_level, m.to_level, m.reason
ORDER BY q.name NULLS LAST, queue.queue_id, m.from_level, m.to_level, m.reason;
