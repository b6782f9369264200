-- The terms of programmes have versions, and a card keeps those that it was issued under. Acceptance by trade. The
-- columns of cards_programme that were terms become its first version and are dropped. It takes the locks of
-- cards_programme, cards_batch and cards_card that exclude everybody until it commits, which is at once: columns with
-- constant defaults are added and others dropped without a walk over the rows.

CREATE TABLE cards_programme_terms (
  programme_id   uuid        NOT NULL,
  version        integer     NOT NULL,
  book_id        integer     NOT NULL,
  terms          jsonb       NOT NULL,
  effective_from timestamptz NOT NULL,
  changed_by     text        NOT NULL COLLATE "C",
  approval_id    uuid,
  created_at     timestamptz NOT NULL,
  CONSTRAINT cards_programme_terms_pkey PRIMARY KEY (programme_id, version),
  CONSTRAINT cards_programme_terms_version CHECK (version > 0),
  CONSTRAINT cards_programme_terms_approval CHECK (version = 1 OR approval_id IS NOT NULL),
  CONSTRAINT cards_programme_terms_programme
    FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme (book_id, id)
);
COMMENT ON TABLE cards_programme_terms IS 'Every version of the terms of a programme. Nobody may change or remove a row';
COMMENT ON COLUMN cards_programme_terms.terms IS 'As JSON; a term that is not there has the value that means: nothing said';
COMMENT ON COLUMN cards_programme_terms.changed_by IS 'Who made it: an API key (key_…) or system';

INSERT INTO cards_programme_terms
  (programme_id, version, book_id, terms, effective_from, changed_by, approval_id, created_at)
SELECT id, 1, book_id,
       jsonb_build_object(
         'spend_order', to_jsonb(spend_order), 'max_balance_fen', max_balance_fen,
         'authorization_ttl_s', authorization_ttl_s, 'principal_valid_days', principal_valid_days,
         'bonus_valid_days', bonus_valid_days, 'pin_required_above_fen', pin_required_above_fen,
         'pin_max_attempts', pin_max_attempts, 'loss_effective_within_s', loss_effective_within_s),
       created_at, 'system', NULL, created_at
FROM cards_programme;

ALTER TABLE cards_programme
  DROP COLUMN spend_order,
  DROP COLUMN max_balance_fen,
  DROP COLUMN authorization_ttl_s,
  DROP COLUMN principal_valid_days,
  DROP COLUMN bonus_valid_days,
  DROP COLUMN pin_required_above_fen,
  DROP COLUMN pin_max_attempts,
  DROP COLUMN loss_effective_within_s;

ALTER TABLE cards_batch ADD COLUMN terms_version integer NOT NULL DEFAULT 1;
ALTER TABLE cards_card ADD COLUMN terms_version integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN cards_card.terms_version IS
  'The version of the terms of its programme that it was issued under; a replacement takes that of the card before it';

-- Besides merchants and stores: every store of a trade, its own or else its merchant's.
CREATE TABLE cards_acceptance_trade (
  book_id      integer NOT NULL,
  programme_id uuid    NOT NULL,
  trade        text    NOT NULL COLLATE "C",
  CONSTRAINT cards_acceptance_trade_pkey PRIMARY KEY (programme_id, trade),
  CONSTRAINT cards_acceptance_trade_programme
    FOREIGN KEY (book_id, programme_id) REFERENCES cards_programme (book_id, id)
);

-- As version 2, with the version of the terms of each card.
CREATE FUNCTION payments_load_cards_v3(
  p_slot smallint, p_cards uuid[], p_payments uuid[], p_every_pocket boolean, p_places boolean
) RETURNS TABLE (
  n integer, book_id integer, programme_id uuid, terms_version integer, customer_id uuid, status text,
  expires_at timestamptz, book_version bigint, account_id bigint, kind text, account_version bigint, posted_fen bigint,
  reserved_fen bigint, lot integer, available_fen bigint, paid_fen bigint, given_fen bigint, lot_expires_at timestamptz,
  last_store_id uuid, last_latitude_udeg integer, last_longitude_udeg integer, last_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
SET enable_material = off SET join_collapse_limit = 1 SET cpu_tuple_cost = 1 SET random_page_cost = 0
SET seq_page_cost = 0 SET jit = off AS $$
BEGIN
  IF cardinality(p_payments) > 0 THEN
    p_cards := p_cards || ARRAY (
      SELECT p.card_id
      FROM unnest(p_payments) WITH ORDINALITY AS asked (id, n)
      LEFT JOIN payments_payment p ON p.slot = p_slot AND p.id = asked.id
      ORDER BY asked.n);
  END IF;
  RETURN QUERY
  SELECT asked.n::integer, c.book_id, c.programme_id, c.terms_version, c.customer_id, c.status, c.expires_at, b.version,
         a.id, a.kind, a.version, a.credits_posted - a.debits_posted, a.debits_pending,
         l.lot, l.remaining_fen - l.reserved_fen, l.paid_fen, l.given_fen, l.expires_at,
         w.store_id, w.latitude_udeg, w.longitude_udeg, w.at
  FROM unnest(p_cards) WITH ORDINALITY AS asked (id, n)
  JOIN cards_card c ON c.slot = p_slot AND c.id = asked.id
  JOIN parties_book b ON b.id = c.book_id
  LEFT JOIN ledger_account a ON a.slot = p_slot AND a.owner_id = c.id AND a.floor_rule = 'credit'
    AND (p_every_pocket OR a.credits_posted > 0)
  LEFT JOIN ledger_lot l ON l.slot = p_slot AND l.account_id = a.id AND l.remaining_fen > l.reserved_fen
  LEFT JOIN payments_last_place w ON p_places AND w.slot = p_slot AND w.card_id = c.id;
END $$;

GRANT SELECT, INSERT ON cards_programme_terms, cards_acceptance_trade TO kaquan_app;
GRANT DELETE ON cards_acceptance_trade TO kaquan_app;
GRANT UPDATE (terms_version) ON cards_card TO kaquan_app;
REVOKE EXECUTE ON FUNCTION payments_load_cards_v3 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payments_load_cards_v3 TO kaquan_app;
