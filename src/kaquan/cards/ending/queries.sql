-- name: add_end
-- One stands at a time. The version of the book moves, so that whoever decides next reads the programme again.
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO cards_programme_end
  (id, book_id, programme_id, stops_at, last_day, ends_at, reason, announcement, notice_days, notice_rule,
   notice_source, announced_by, approval_id, announced_at)
SELECT %(id)s, book.id, %(programme_id)s, %(stops_at)s, %(last_day)s, %(ends_at)s, %(reason)s, %(announcement)s,
       %(notice_days)s, %(notice_rule)s, %(notice_source)s, %(announced_by)s, %(approval_id)s, %(announced_at)s
FROM book
ON CONFLICT (programme_id) WHERE withdrawn_at IS NULL DO NOTHING;

-- name: withdraw
WITH withdrawn AS (
  UPDATE cards_programme_end
  SET withdrawn_by = %(by)s, withdrawal_reason = %(reason)s, withdrawn_at = %(at)s
  WHERE book_id = %(book_id)s AND id = %(id)s AND withdrawn_at IS NULL AND stops_at > %(at)s
  RETURNING book_id
)
UPDATE parties_book SET version = version + 1 WHERE id IN (SELECT book_id FROM withdrawn);

-- name: ends
SELECT id, book_id, programme_id, stops_at, last_day, ends_at, reason, announcement, notice_days, notice_rule,
       notice_source, announced_by, approval_id, announced_at, withdrawn_by, withdrawal_reason, withdrawn_at,
       stop_told_at, end_told_at
FROM cards_programme_end
WHERE book_id = %(book_id)s
  AND id = %(id)s  -- if id
  AND id < %(after_id)s  -- if after_id
  AND programme_id = %(programme_id)s  -- if programme_id
  AND withdrawn_at IS NULL AND %(standing)s  -- if standing
  AND announced_at > %(created_after)s  -- if created_after
  AND announced_at < %(created_before)s  -- if created_before
ORDER BY id DESC LIMIT %(limit)s;

-- name: for_worker
SELECT id, book_id, programme_id, stops_at, last_day, ends_at, reason, announcement, notice_days, notice_rule,
       notice_source, announced_by, approval_id, announced_at, withdrawn_by, withdrawal_reason, withdrawn_at,
       stop_told_at, end_told_at
FROM cards_programme_end WHERE ends_at > %(ended_since)s OR end_told_at IS NULL AND withdrawn_at IS NULL
ORDER BY id;

-- name: tell_stop
UPDATE cards_programme_end SET stop_told_at = %(at)s WHERE id = %(id)s AND stop_told_at IS NULL AND stops_at <= %(at)s;

-- name: tell_end
UPDATE cards_programme_end SET end_told_at = %(at)s WHERE id = %(id)s AND end_told_at IS NULL AND ends_at <= %(at)s;
