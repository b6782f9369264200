-- Points (ADR 0031): the terms of programmes, whose points are whose, what each purchase earned, partners, adjustments and
-- benefits. The points themselves are accounts of the ledger in the currency PTS. New tables only; locks nothing that is there.

CREATE TABLE points_terms (
  book_id        integer     NOT NULL,
  programme_id   uuid        NOT NULL,
  version        integer     NOT NULL,
  terms          jsonb       NOT NULL,
  effective_from timestamptz NOT NULL,
  created_by     text        NOT NULL COLLATE "C",
  created_at     timestamptz NOT NULL,
  CONSTRAINT points_terms_pkey PRIMARY KEY (book_id, programme_id, version),
  CONSTRAINT points_terms_version CHECK (version > 0),
  CONSTRAINT points_terms_programme FOREIGN KEY (programme_id) REFERENCES cards_programme (id)
);
COMMENT ON TABLE points_terms IS 'How the cards of a programme earn, keep and spend points: every version, none of them ever changed';

-- Points have accounts of their own, which belong to an id that follows from the card's: what looks at the pockets of cards
-- looks at money.
CREATE TABLE points_member (
  slot         smallint    NOT NULL,
  id           uuid        NOT NULL,
  book_id      integer     NOT NULL,
  card_id      uuid        NOT NULL,
  programme_id uuid        NOT NULL,
  issuer_id    uuid        NOT NULL,
  tier         text,
  tier_until   timestamptz,
  created_at   timestamptz NOT NULL,
  CONSTRAINT points_member_pkey PRIMARY KEY (slot, id),
  CONSTRAINT points_member_card UNIQUE (slot, card_id)
) WITH (fillfactor = 85);
COMMENT ON TABLE points_member IS 'Cards that collect points; the id owns their accounts';

CREATE TABLE points_earning (
  slot          smallint    NOT NULL,
  id            uuid        NOT NULL,
  book_id       integer     NOT NULL,
  member_id     uuid        NOT NULL,
  terms_version integer     NOT NULL,
  points        bigint      NOT NULL,
  basis_fen     bigint      NOT NULL,
  parts         jsonb       NOT NULL,
  returned      jsonb       NOT NULL DEFAULT '{}',
  returned_fen  bigint      NOT NULL DEFAULT 0,
  taken         bigint      NOT NULL DEFAULT 0,
  lot           integer,
  matures_at    timestamptz,
  matured       boolean     NOT NULL DEFAULT false,
  at            timestamptz NOT NULL,
  CONSTRAINT points_earning_pkey PRIMARY KEY (slot, id),
  CONSTRAINT points_earning_amounts CHECK (points >= 0 AND basis_fen >= 0 AND taken BETWEEN 0 AND points
    AND returned_fen BETWEEN 0 AND basis_fen)
) WITH (fillfactor = 85);
COMMENT ON TABLE points_earning IS 'What a purchase earned; the id is that of its transaction';
COMMENT ON COLUMN points_earning.parts IS 'By line of the purchase: what it paid, and its part of the points; what a refund takes back';
COMMENT ON COLUMN points_earning.lot IS 'The lot of points_pending that waits until matures_at; null: there is none';
CREATE INDEX points_earning_maturing ON points_earning (slot, matures_at) WHERE NOT matured AND lot IS NOT NULL;
CREATE INDEX points_earning_of_member ON points_earning (slot, member_id, at);

CREATE TABLE points_partner (
  book_id      integer     NOT NULL,
  id           uuid        NOT NULL,
  code         text        NOT NULL COLLATE "C",
  name         text        NOT NULL,
  currency     text        NOT NULL COLLATE "C",
  out_points   integer,
  out_units    integer,
  in_units     integer,
  in_points    integer,
  created_at   timestamptz NOT NULL,
  ended_at     timestamptz,
  CONSTRAINT points_partner_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT points_partner_code UNIQUE (book_id, code),
  CONSTRAINT points_partner_out CHECK ((out_points IS NULL) = (out_units IS NULL) AND out_points > 0 AND out_units > 0),
  CONSTRAINT points_partner_in CHECK ((in_points IS NULL) = (in_units IS NULL) AND in_points > 0 AND in_units > 0),
  CONSTRAINT points_partner_currency CHECK (currency <> 'PTS')
);
COMMENT ON TABLE points_partner IS 'With whom points are exchanged, and at which rates: out_points of ours for out_units of theirs, and back';

-- What was done by hand or by the holder, each with its transaction; cost-free benefits have none.
CREATE TABLE points_deed (
  slot        smallint    NOT NULL,
  id          uuid        NOT NULL,
  book_id     integer     NOT NULL,
  member_id   uuid        NOT NULL,
  kind        text        NOT NULL COLLATE "C",
  points      bigint      NOT NULL,
  subject_id  uuid,
  units       bigint,
  reference   text,
  approval_id uuid,
  made_by     text        NOT NULL COLLATE "C",
  made_at     timestamptz NOT NULL,
  CONSTRAINT points_deed_pkey PRIMARY KEY (slot, id),
  CONSTRAINT points_deed_kind CHECK (kind IN ('adjustment', 'exchange_out', 'exchange_in', 'benefit')),
  CONSTRAINT points_deed_approval CHECK ((kind = 'adjustment') = (approval_id IS NOT NULL))
);
COMMENT ON TABLE points_deed IS 'Adjustments, exchanges with partners and benefits taken; points is what the card gained (below zero: gave)';
CREATE INDEX points_deed_of_member ON points_deed (slot, member_id, id);
CREATE UNIQUE INDEX points_deed_reference ON points_deed (slot, subject_id, reference) WHERE kind = 'exchange_in';

CREATE TABLE points_benefit (
  book_id       integer     NOT NULL,
  id            uuid        NOT NULL,
  programme_id  uuid        NOT NULL,
  code          text        NOT NULL COLLATE "C",
  name          text        NOT NULL,
  cost_points   bigint      NOT NULL,
  tiers         text[]      NOT NULL,
  birthday_only boolean     NOT NULL,
  max_per_year  integer,
  stock         integer,
  taken         integer     NOT NULL DEFAULT 0,
  created_at    timestamptz NOT NULL,
  ended_at      timestamptz,
  CONSTRAINT points_benefit_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT points_benefit_code UNIQUE (book_id, programme_id, code),
  CONSTRAINT points_benefit_amounts CHECK (cost_points >= 0 AND max_per_year > 0 AND stock >= 0
    AND taken >= 0 AND (stock IS NULL OR taken <= stock))
) WITH (fillfactor = 50);
COMMENT ON TABLE points_benefit IS 'What members may take for points, or for nothing: birthday gifts, parking, goods, services';

CREATE TABLE points_reminded (
  slot       smallint NOT NULL,
  account_id bigint   NOT NULL,
  lot        integer  NOT NULL,
  CONSTRAINT points_reminded_pkey PRIMARY KEY (slot, account_id, lot)
);
COMMENT ON TABLE points_reminded IS 'Lots of points of whose end their holder was told';

GRANT SELECT, INSERT ON points_terms, points_member, points_earning, points_partner, points_deed, points_benefit,
  points_reminded TO kaquan_app;
GRANT UPDATE (tier, tier_until) ON points_member TO kaquan_app;
GRANT UPDATE (returned, returned_fen, taken, matured) ON points_earning TO kaquan_app;
GRANT UPDATE (ended_at) ON points_partner TO kaquan_app;
GRANT UPDATE (ended_at, taken) ON points_benefit TO kaquan_app;
