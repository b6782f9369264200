-- name: exports
SELECT id, book_id, batch_id, turn, kind, with_pin, reader_fingerprint, card_count, size_bytes, sha256, exported_by,
       approval_id, exported_at
FROM production_export WHERE book_id = %(book_id)s AND batch_id = %(batch_id)s ORDER BY turn;

-- name: insert_export
INSERT INTO production_export
  (id, book_id, batch_id, turn, kind, with_pin, reader_fingerprint, card_count, size_bytes, sha256, exported_by,
   approval_id, exported_at)
VALUES (%(id)s, %(book_id)s, %(batch_id)s, %(turn)s, %(kind)s, %(with_pin)s, %(reader_fingerprint)s, %(card_count)s,
        %(size_bytes)s, %(sha256)s, %(exported_by)s, %(approval_id)s, %(exported_at)s);
