-- W3C traceparent of the latest attempt, so that the next one can point to it. Absent while nobody traced one; a retry
-- forgets it, because it is a request of its own.
ALTER TABLE jobs ADD COLUMN attempt_trace_context TEXT;
