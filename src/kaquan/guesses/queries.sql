-- name: count_failures
-- Two at once take turns on the row, so none is given beyond the last.
INSERT INTO guesses_caller AS c (caller, full_at)
SELECT caller, %(now)s::timestamptz + %(share)s::interval FROM unnest(%(callers)s::uuid[]) AS asked (caller)
ORDER BY caller
ON CONFLICT ON CONSTRAINT guesses_caller_pkey DO UPDATE
SET full_at = greatest(c.full_at, %(now)s::timestamptz) + %(share)s::interval
WHERE greatest(c.full_at, %(now)s::timestamptz) + %(share)s::interval <= %(now)s::timestamptz + %(window)s::interval
RETURNING caller, full_at;

-- name: full
SELECT caller, full_at FROM guesses_caller WHERE caller = ANY (%(callers)s::uuid[]);

-- name: waiting
SELECT caller, full_at FROM guesses_caller WHERE full_at > %(full_after)s ORDER BY full_at DESC LIMIT 100000;

-- name: forget
DELETE FROM guesses_caller WHERE full_at < %(full_before)s;
