-- Drafts that run beside live traffic (ADR 0036), and budgets of which a part comes back. New tables; two functions are
-- replaced, which locks nothing that is there.

-- A version of a campaign that is tried beside live traffic for a time. Reference data, kept in memory by every process.
CREATE TABLE promotions_shadow (
  book_id     integer     NOT NULL,
  campaign_id uuid        NOT NULL,
  number      integer     NOT NULL,
  version     integer     NOT NULL,
  started_at  timestamptz NOT NULL,
  until       timestamptz NOT NULL,
  started_by  text        NOT NULL COLLATE "C",
  ended_at    timestamptz,
  CONSTRAINT promotions_shadow_pkey PRIMARY KEY (book_id, campaign_id, number),
  CONSTRAINT promotions_shadow_version FOREIGN KEY (book_id, campaign_id, version)
    REFERENCES promotions_version (book_id, campaign_id, version),
  CONSTRAINT promotions_shadow_time CHECK (until > started_at AND ended_at >= started_at)
);
COMMENT ON TABLE promotions_shadow IS 'Drafts that are priced beside live traffic: nothing moves by them';
COMMENT ON COLUMN promotions_shadow.ended_at IS 'When somebody ended it before its time, or its version was published';
CREATE INDEX promotions_shadow_open ON promotions_shadow (book_id, until) WHERE ended_at IS NULL;

-- What a payment was priced by while a draft ran beside it, until the worker has priced it with the draft too.
CREATE TABLE payments_seen (
  slot           smallint    NOT NULL,
  transaction_id uuid        NOT NULL,
  book_id        integer     NOT NULL,
  recorded_at    timestamptz NOT NULL,
  seen           bytea       NOT NULL,
  CONSTRAINT payments_seen_pkey PRIMARY KEY (slot, transaction_id)
);
COMMENT ON COLUMN payments_seen.seen IS 'A JSON array; its layout is in payments/seen.py';

-- What a draft would have done with a payment.
CREATE TABLE payments_shadow (
  slot           smallint    NOT NULL,
  book_id        integer     NOT NULL,
  campaign_id    uuid        NOT NULL,
  number         integer     NOT NULL,
  transaction_id uuid        NOT NULL,
  recorded_at    timestamptz NOT NULL,
  day            date        NOT NULL,
  is_load        boolean     NOT NULL,
  store_id       uuid,
  holder_id      uuid        NOT NULL,
  amount_fen     bigint      NOT NULL,
  fate           text        NOT NULL COLLATE "C",
  discount_fen   bigint      NOT NULL,
  granted_fen    bigint      NOT NULL,
  points         bigint      NOT NULL,
  others_fen     bigint      NOT NULL,
  gave_own_fen   bigint      NOT NULL,
  gave_fen       bigint      NOT NULL,
  funder_kinds   text[]      NOT NULL,
  funder_ids     uuid[]      NOT NULL,
  funder_fen     bigint[]    NOT NULL,
  offers         text[]      NOT NULL,
  whys           text[]      NOT NULL,
  CONSTRAINT payments_shadow_pkey PRIMARY KEY (slot, book_id, campaign_id, number, transaction_id),
  CONSTRAINT payments_shadow_fate CHECK (fate IN ('applied', 'held_back', 'over_budget', 'skipped')),
  CONSTRAINT payments_shadow_lists CHECK (cardinality(funder_kinds) = cardinality(funder_ids)
    AND cardinality(funder_kinds) = cardinality(funder_fen) AND cardinality(offers) = cardinality(whys))
);
COMMENT ON COLUMN payments_shadow.day IS 'By the wall clock of the issuer';
COMMENT ON COLUMN payments_shadow.others_fen IS 'What other campaigns and vouchers would have given beside the draft';
COMMENT ON COLUMN payments_shadow.gave_own_fen IS 'What the version in force of the same campaign gave';
COMMENT ON COLUMN payments_shadow.gave_fen IS 'What the others gave';
COMMENT ON COLUMN payments_shadow.offers IS 'The offers of the draft that would not have applied, with why';

-- The budgets of a draft as it would have used them: counters of its own, which nobody else looks at.
CREATE TABLE payments_shadow_budget (
  book_id      integer NOT NULL,
  campaign_id  uuid    NOT NULL,
  number       integer NOT NULL,
  budget_id    uuid    NOT NULL,
  subject_id   uuid    NOT NULL,
  period       text    NOT NULL COLLATE "C",
  used_fen     bigint  NOT NULL,
  used_count   bigint  NOT NULL,
  exhausted_at timestamptz,
  CONSTRAINT payments_shadow_budget_pkey PRIMARY KEY (book_id, campaign_id, number, budget_id, subject_id, period)
);
COMMENT ON COLUMN payments_shadow_budget.subject_id IS 'Whose part of it; of a budget of all together 32 zeros';
COMMENT ON COLUMN payments_shadow_budget.period IS 'Which day, month or year, as 2026-01-31, 2026-01 or 2026; empty: all time';
COMMENT ON COLUMN payments_shadow_budget.exhausted_at IS 'When it first left no room for a payment';

-- Take uses off their counters. What a subject used in a day (month, year) that it has left behind is not taken off. Of a
-- use whose year_max_count is -1 the amount comes back alone: its payment still counts.
CREATE OR REPLACE FUNCTION payments_give_back_v1(p_slot smallint, p_uses payments_use_v1[]) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM 1 FROM payments_usage WHERE slot = p_slot AND key = ANY (ARRAY (SELECT u.key FROM unnest(p_uses) AS u))
  ORDER BY key FOR NO KEY UPDATE;
  UPDATE payments_usage o
  SET day_fen = o.day_fen - m.day_fen, day_count = o.day_count - m.day_count,
      month_fen = o.month_fen - m.month_fen, month_count = o.month_count - m.month_count,
      year_fen = o.year_fen - m.year_fen, year_count = o.year_count - m.year_count
  FROM (
    SELECT u.key,
           coalesce(sum(u.amount_fen) FILTER (WHERE u.day = k.day), 0)::bigint AS day_fen,
           count(*) FILTER (WHERE u.day = k.day AND u.year_max_count IS DISTINCT FROM -1) AS day_count,
           coalesce(sum(u.amount_fen) FILTER (WHERE u.month = k.month), 0)::bigint AS month_fen,
           count(*) FILTER (WHERE u.month = k.month AND u.year_max_count IS DISTINCT FROM -1) AS month_count,
           coalesce(sum(u.amount_fen) FILTER (WHERE u.year = k.year), 0)::bigint AS year_fen,
           count(*) FILTER (WHERE u.year = k.year AND u.year_max_count IS DISTINCT FROM -1) AS year_count
    FROM unnest(p_uses) AS u JOIN payments_usage k ON k.slot = p_slot AND k.key = u.key GROUP BY u.key
  ) AS m
  WHERE o.slot = p_slot AND o.key = m.key;
END $$;

-- End reservations: what was not paid is given back, and so is what a payment that was paid gives back.
CREATE OR REPLACE FUNCTION payments_settle_v1(p_slot smallint, p_paid uuid[], p_unpaid uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_uses payments_use_v1[];
  v_trails payments_trail_use_v1[];
  v_use payments_trail_use_v1;
BEGIN
  DELETE FROM payments_reservation WHERE slot = p_slot AND id = ANY (p_paid);
  WITH gone AS (
    DELETE FROM payments_reservation WHERE slot = p_slot AND id = ANY (p_unpaid) RETURNING uses, trail_uses
  )
  SELECT ARRAY (SELECT u FROM gone, unnest(gone.uses) AS u), ARRAY (SELECT t FROM gone, unnest(gone.trail_uses) AS t)
  INTO v_uses, v_trails;
  PERFORM payments_give_back_v1(p_slot, v_uses);
  FOR v_use IN SELECT t.* FROM unnest(v_trails) AS t ORDER BY t.key LOOP
    UPDATE payments_trail o
    SET fen[(17 - (o.step - v_use.step))::integer]
          = o.fen[(17 - (o.step - v_use.step))::integer] - v_use.amount_fen,
        count[(17 - (o.step - v_use.step))::integer] = o.count[(17 - (o.step - v_use.step))::integer] - 1
    WHERE o.slot = p_slot AND o.key = v_use.key AND o.step - v_use.step BETWEEN 0 AND 16;
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE (ended_at) ON promotions_shadow TO kaquan_app;
GRANT SELECT, INSERT, DELETE ON payments_seen TO kaquan_app;
GRANT SELECT, INSERT ON payments_shadow TO kaquan_app;
GRANT SELECT, INSERT, UPDATE (used_fen, used_count, exhausted_at) ON payments_shadow_budget TO kaquan_app;
