-- Every event of a card, and every issue of cards and vouchers, is a leaf of the log (ADR 0035). What there was before gets
-- one leaf for each slot and kind, over all of it: reads cards, their events and vouchers whole, about a minute for each ten
-- million. The two indexes on events take a lock that changes of cards and vouchers wait for meanwhile; payments without
-- vouchers do not.

CREATE TABLE evidence_issue (
  slot     smallint    NOT NULL,
  id       uuid        NOT NULL,
  book_id  integer     NOT NULL,
  kind     text        NOT NULL COLLATE "C",
  of_id    uuid        NOT NULL,
  batch_id uuid,
  terms    text        NOT NULL,
  at       timestamptz NOT NULL,
  ids      uuid[]      NOT NULL,
  last4    text[]      NOT NULL,
  CONSTRAINT evidence_issue_pkey PRIMARY KEY (slot, id),
  CONSTRAINT evidence_issue_kind CHECK (kind IN ('card', 'voucher'))
);
-- random bytes: nothing to compress
ALTER TABLE evidence_issue ALTER COLUMN ids SET STORAGE EXTERNAL;
CREATE INDEX evidence_issue_by_time ON evidence_issue (slot, at);
COMMENT ON TABLE evidence_issue IS
  'Cards or vouchers that were issued in one commit, in their order, with one evidence leaf under the id of the first';
COMMENT ON COLUMN evidence_issue.of_id IS 'The programme of the cards, or the template of the vouchers';
COMMENT ON COLUMN evidence_issue.terms IS
  'What all of them have in common, as the canonical bytes have it: [form, version of the terms] or [face_fen, valid_from_us]';

CREATE TABLE evidence_start (
  slot  smallint    NOT NULL,
  id    uuid        NOT NULL,
  what  text        NOT NULL COLLATE "C",
  size  bigint      NOT NULL,
  hash  bytea       NOT NULL,
  at    timestamptz NOT NULL,
  CONSTRAINT evidence_start_pkey PRIMARY KEY (slot, what),
  CONSTRAINT evidence_start_what CHECK (what IN ('card', 'card_event', 'voucher'))
);
COMMENT ON TABLE evidence_start IS
  'What there was of a slot before its kind had leaves: how much, and a hash over all of it, with an evidence leaf each';

CREATE INDEX cards_event_by_id ON cards_event (slot, id);
CREATE INDEX vouchers_event_by_id ON vouchers_event (slot, id);

-- The start. A row counts as the SHA-256 of the JSON array of what never changes of it; rows whose ids begin with the same
-- three bytes, in the order of their ids, as the SHA-256 over theirs; and all as the SHA-256 over those, in their order.
WITH stated AS (
  SELECT slot, 'card' AS what, id, id AS of,
         jsonb_build_array(slot, id, book_id, programme_id, batch_id, form, number_last4,
           (extract(epoch FROM created_at) * 1000000)::bigint) AS told
  FROM cards_card
  UNION ALL
  SELECT slot, 'card_event', id, card_id,
         jsonb_build_array(slot, id, card_id, book_id, kind, (extract(epoch FROM at) * 1000000)::bigint, actor, reason,
           status, version, details)
  FROM cards_event
  UNION ALL
  SELECT slot, 'voucher', id, id,
         jsonb_build_array(slot, id, book_id, template_id, batch_id, face_fen, code_last4,
           (extract(epoch FROM valid_from) * 1000000)::bigint, granted_by,
           (extract(epoch FROM created_at) * 1000000)::bigint)
  FROM vouchers_voucher AS v
  WHERE NOT EXISTS (
    SELECT FROM vouchers_event AS e
    WHERE e.slot = v.slot AND e.voucher_id = v.id AND e.kind IN ('granted', 'assigned'))
), grouped AS (
  SELECT slot, what, substr(uuid_send(id), 1, 3) AS head, count(*) AS rows,
         sha256(string_agg(sha256(convert_to(told::text, 'UTF8')), ''::bytea ORDER BY id, of)) AS hash
  FROM stated GROUP BY slot, what, head
)
INSERT INTO evidence_start (slot, id, what, size, hash, at)
SELECT slot, gen_random_uuid(), what, sum(rows), sha256(string_agg(hash, ''::bytea ORDER BY head)),
       date_trunc('milliseconds', clock_timestamp())
FROM grouped GROUP BY slot, what;

INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt)
SELECT slot, id,
       sha256('\x00'::bytea || convert_to(
         '["kaquan-start/1",' || slot || ',"' || encode(uuid_send(id), 'hex') || '","' || what || '",' || size || ',"'
         || encode(hash, 'hex') || '",' || (extract(epoch FROM at) * 1000000)::bigint || ']', 'UTF8')),
       NULL
FROM evidence_start;

-- Write events of cards with their leaves, one leaf for each. The serving role can write neither by itself.
CREATE FUNCTION cards_record_v1(
  p_slot smallint, p_kind text, p_at timestamptz, p_actor text, p_reason text, p_details jsonb,
  p_cards uuid[], p_ids uuid[], p_books integer[], p_statuses text[], p_versions integer[], p_leaves bytea[],
  p_salts bytea[]
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO cards_event (slot, card_id, id, book_id, kind, at, actor, reason, status, version, details)
  SELECT p_slot, e.card_id, e.id, e.book_id, p_kind, p_at, p_actor, p_reason, e.status, e.version, p_details
  FROM unnest(p_cards, p_ids, p_books, p_statuses, p_versions) AS e (card_id, id, book_id, status, version);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt)
  SELECT p_slot, l.id, l.leaf, l.salt FROM unnest(p_ids, p_leaves, p_salts) AS l (id, leaf, salt);
$$;

-- The same of vouchers, whose leaves now state who did it and why behind a commitment.
DROP FUNCTION vouchers_record_v1;
CREATE FUNCTION vouchers_record_v2(
  p_slot smallint, p_at timestamptz, p_actor text, p_reason text, p_kind text,
  p_vouchers uuid[], p_ids uuid[], p_books integer[], p_templates uuid[], p_from text[], p_to text[],
  p_holder_kinds text[], p_holders uuid[], p_transactions uuid[], p_amounts bigint[], p_faces bigint[], p_leaves bytea[],
  p_salts bytea[]
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO vouchers_event (slot, voucher_id, id, book_id, template_id, kind, from_status, to_status, at, actor,
    holder_kind, holder_id, transaction_id, amount_fen, face_fen, reason)
  SELECT p_slot, e.voucher_id, e.id, e.book_id, e.template_id, p_kind, e.from_status, e.to_status, p_at, p_actor,
         e.holder_kind, e.holder_id, e.transaction_id, e.amount_fen, e.face_fen, p_reason
  FROM unnest(p_vouchers, p_ids, p_books, p_templates, p_from, p_to, p_holder_kinds, p_holders, p_transactions,
    p_amounts, p_faces) AS e (voucher_id, id, book_id, template_id, from_status, to_status, holder_kind, holder_id,
    transaction_id, amount_fen, face_fen);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt)
  SELECT p_slot, l.id, l.leaf, l.salt FROM unnest(p_ids, p_leaves, p_salts) AS l (id, leaf, salt);
$$;

-- Write what was issued, with its leaf.
CREATE FUNCTION evidence_issue_v1(
  p_slot smallint, p_id uuid, p_book integer, p_kind text, p_of uuid, p_batch uuid, p_terms text, p_at timestamptz,
  p_ids uuid[], p_last4 text[], p_leaf bytea
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO evidence_issue (slot, id, book_id, kind, of_id, batch_id, terms, at, ids, last4)
  VALUES (p_slot, p_id, p_book, p_kind, p_of, p_batch, p_terms, p_at, p_ids, p_last4);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt) VALUES (p_slot, p_id, p_leaf, NULL);
$$;

COMMENT ON TABLE evidence_leaf IS
  'RFC 9162 leaf hash of the canonical bytes of each transaction, approved change of rules, key of the log, event of a card, event of a voucher, issue and start';
COMMENT ON COLUMN evidence_leaf.salt IS
  'Of transactions and events of cards and vouchers: what their private fields are salted with, null once both are erased';

REVOKE INSERT ON cards_event FROM kaquan_app;
GRANT SELECT ON evidence_issue, evidence_start TO kaquan_app;
GRANT SELECT, INSERT ON cards_event, evidence_issue TO kaquan_ledger;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION cards_record_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION vouchers_record_v2 OWNER TO kaquan_ledger;
ALTER FUNCTION evidence_issue_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION cards_record_v1, vouchers_record_v2, evidence_issue_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cards_record_v1, vouchers_record_v2, evidence_issue_v1 TO kaquan_app;
