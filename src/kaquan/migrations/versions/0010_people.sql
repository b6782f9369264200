-- Who the parties are before the law (legal entity, group, brand, place, filing), the people who hold cards with what is
-- known of their identity, the people who work for a tenant, proposals that need a second pair of eyes, and the trail of
-- every action. New columns are empty or have a constant default, so nothing is rewritten: each small reference table is
-- locked for a moment only. Nothing here belongs to one card, so nothing carries a slot.

ALTER TABLE parties_issuer
  ADD COLUMN issuer_class        text COLLATE "C",
  ADD COLUMN legal_name          text,
  ADD COLUMN legal_code          text COLLATE "C",
  ADD COLUMN group_code          text COLLATE "C",
  ADD COLUMN brand               text,
  ADD COLUMN province            text COLLATE "C",
  ADD COLUMN filing_number       text COLLATE "C",
  ADD COLUMN filed_on            date,
  ADD COLUMN business_started_on date,
  ADD COLUMN calendar            text COLLATE "C",
  ADD COLUMN payment_licence     text COLLATE "C",
  ADD COLUMN version             integer NOT NULL DEFAULT 1,
  ADD CONSTRAINT parties_issuer_class CHECK (issuer_class IN ('group', 'brand', 'scale', 'other'));
COMMENT ON COLUMN parties_issuer.legal_code IS 'Unified social credit code of the legal entity (GB 32100-2015)';
COMMENT ON COLUMN parties_issuer.group_code IS 'Unified social credit code of the legal person that controls the entity';
COMMENT ON COLUMN parties_issuer.payment_licence IS
  'Licence of whoever holds the funds, the issuer or its licensed partner; without one a card is single-purpose only';
COMMENT ON COLUMN parties_issuer.version IS 'Grows with every change; a change names the version that it was decided on';

ALTER TABLE parties_merchant
  ADD COLUMN legal_name text,
  ADD COLUMN legal_code text COLLATE "C",
  ADD COLUMN group_code text COLLATE "C",
  ADD COLUMN brand      text,
  ADD COLUMN version    integer NOT NULL DEFAULT 1;

ALTER TABLE parties_store
  ADD COLUMN trade          text COLLATE "C",
  ADD COLUMN latitude_udeg  integer,
  ADD COLUMN longitude_udeg integer,
  ADD COLUMN version        integer NOT NULL DEFAULT 1,
  ADD CONSTRAINT parties_store_latitude CHECK (latitude_udeg BETWEEN -90000000 AND 90000000),
  ADD CONSTRAINT parties_store_longitude CHECK (longitude_udeg BETWEEN -180000000 AND 180000000),
  ADD CONSTRAINT parties_store_whole_place CHECK ((latitude_udeg IS NULL) = (longitude_udeg IS NULL));
COMMENT ON COLUMN parties_store.latitude_udeg IS 'Millionths of a degree, WGS 84, north positive';

-- People who work for a tenant

CREATE TABLE parties_operator (
  id         uuid        NOT NULL,
  book_id    integer     NOT NULL,
  code       text        NOT NULL COLLATE "C",
  name       text        NOT NULL,
  roles      text[]      NOT NULL,
  store_ids  uuid[],
  status     text        NOT NULL COLLATE "C",
  created_at timestamptz NOT NULL,
  version    integer     NOT NULL DEFAULT 1,
  CONSTRAINT parties_operator_pkey PRIMARY KEY (id),
  CONSTRAINT parties_operator_in_book UNIQUE (book_id, id),
  CONSTRAINT parties_operator_code UNIQUE (book_id, code),
  CONSTRAINT parties_operator_status CHECK (status IN ('active', 'suspended')),
  CONSTRAINT parties_operator_has_a_role CHECK (cardinality(roles) > 0),
  CONSTRAINT parties_operator_book FOREIGN KEY (book_id) REFERENCES parties_book (id)
);
COMMENT ON COLUMN parties_operator.store_ids IS 'Where the operator may act; null is everywhere';

ALTER TABLE parties_api_key
  ADD COLUMN operator_id uuid,
  ADD CONSTRAINT parties_api_key_operator FOREIGN KEY (book_id, operator_id) REFERENCES parties_operator (book_id, id)
    NOT VALID;
-- every row of before has no operator: there is nothing to read for this
ALTER TABLE parties_api_key VALIDATE CONSTRAINT parties_api_key_operator;

CREATE TABLE parties_approval (
  book_id       integer     NOT NULL,
  id            uuid        NOT NULL,
  kind          text        NOT NULL COLLATE "C",
  subject       text        NOT NULL COLLATE "C",
  payload       text        NOT NULL,
  payload_hash  bytea       NOT NULL,
  reason        text        NOT NULL,
  proposed_by   uuid        NOT NULL,
  proposed_at   timestamptz NOT NULL,
  expires_at    timestamptz NOT NULL,
  status        text        NOT NULL COLLATE "C" DEFAULT 'proposed',
  decided_by    uuid,
  decided_at    timestamptz,
  decided_why   text,
  executed_at   timestamptz,
  CONSTRAINT parties_approval_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT parties_approval_status
    CHECK (status IN ('proposed', 'approved', 'rejected', 'withdrawn', 'expired', 'executed')),
  CONSTRAINT parties_approval_four_eyes CHECK (status NOT IN ('approved', 'executed') OR decided_by <> proposed_by),
  CONSTRAINT parties_approval_decided
    CHECK (status NOT IN ('approved', 'rejected', 'executed') OR (decided_by IS NOT NULL AND decided_at IS NOT NULL)),
  CONSTRAINT parties_approval_executed CHECK ((status = 'executed') = (executed_at IS NOT NULL)),
  CONSTRAINT parties_approval_hash CHECK (payload_hash = sha256(convert_to(payload, 'UTF8'))),
  CONSTRAINT parties_approval_proposer FOREIGN KEY (book_id, proposed_by) REFERENCES parties_operator (book_id, id),
  CONSTRAINT parties_approval_decider FOREIGN KEY (book_id, decided_by) REFERENCES parties_operator (book_id, id)
);
COMMENT ON TABLE parties_approval IS 'What one operator proposes and another allows; executed once, in the transaction of what it allows';
COMMENT ON COLUMN parties_approval.payload IS 'JSON with sorted keys and no spaces: the same words have the same hash';
CREATE INDEX parties_approval_by_subject ON parties_approval (book_id, subject, id);
CREATE INDEX parties_approval_open ON parties_approval (expires_at) WHERE status IN ('proposed', 'approved');

-- The trail

CREATE TABLE parties_audit (
  book_id     integer     NOT NULL,
  id          uuid        NOT NULL,
  at          timestamptz NOT NULL,
  kind        text        NOT NULL COLLATE "C",
  subject     text        NOT NULL COLLATE "C",
  key_id      uuid,
  operator_id uuid,
  request_id  text,
  before      jsonb,
  after       jsonb,
  CONSTRAINT parties_audit_pkey PRIMARY KEY (book_id, id)
);
COMMENT ON TABLE parties_audit IS
  'Who did what to whom: written in the transaction of the action, and never altered (the application has no right to)';
CREATE INDEX parties_audit_by_subject ON parties_audit (book_id, subject, id);
CREATE INDEX parties_audit_by_time ON parties_audit (book_id, at);
CREATE INDEX parties_audit_by_kind ON parties_audit (book_id, kind, id);
CREATE INDEX parties_audit_by_operator ON parties_audit (book_id, operator_id, id) WHERE operator_id IS NOT NULL;
CREATE INDEX parties_audit_by_key ON parties_audit (book_id, key_id, id) WHERE key_id IS NOT NULL;

-- People who hold cards

CREATE TABLE parties_customer (
  book_id         integer     NOT NULL,
  id              uuid        NOT NULL,
  name            bytea,
  phone           bytea,
  document_kind   text        COLLATE "C",
  document        bytea,
  phone_lookup    uuid,
  phone_last4     uuid,
  document_lookup uuid,
  document_last4  uuid,
  level           text        NOT NULL COLLATE "C",
  created_at      timestamptz NOT NULL,
  forgotten_at    timestamptz,
  retained_until  timestamptz,
  retained_by     text,
  version         integer     NOT NULL DEFAULT 1,
  CONSTRAINT parties_customer_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT parties_customer_document UNIQUE (book_id, document_lookup),
  CONSTRAINT parties_customer_level
    CHECK (level IN ('none', 'contact', 'document', 'four_factors', 'four_factors_face')),
  CONSTRAINT parties_customer_document_kind CHECK (document_kind IN ('resident_id', 'social_credit_code')),
  CONSTRAINT parties_customer_whole_document CHECK ((document IS NULL) = (document_kind IS NULL)),
  CONSTRAINT parties_customer_forgotten CHECK (
    forgotten_at IS NULL
    OR (phone_lookup IS NULL AND phone_last4 IS NULL AND document_lookup IS NULL AND document_last4 IS NULL
        AND level = 'none')),
  CONSTRAINT parties_customer_retained CHECK (
    (retained_until IS NULL) = (retained_by IS NULL) AND (retained_until IS NULL OR forgotten_at IS NOT NULL)),
  CONSTRAINT parties_customer_erased CHECK (
    forgotten_at IS NULL OR retained_until IS NOT NULL
    OR (name IS NULL AND phone IS NULL AND document IS NULL)),
  CONSTRAINT parties_customer_book FOREIGN KEY (book_id) REFERENCES parties_book (id)
);
COMMENT ON TABLE parties_customer IS
  'A person or an organisation. name, phone and document are sealed by the key ring; *_lookup and *_last4 are keyed HMACs';
COMMENT ON COLUMN parties_customer.retained_by IS 'The rule that asks to keep what a forgotten customer''s record still holds';
CREATE INDEX parties_customer_by_phone ON parties_customer (book_id, phone_lookup, id) WHERE phone_lookup IS NOT NULL;
CREATE INDEX parties_customer_by_phone_last4 ON parties_customer (book_id, phone_last4, id)
  WHERE phone_last4 IS NOT NULL;
CREATE INDEX parties_customer_by_document_last4 ON parties_customer (book_id, document_last4, id)
  WHERE document_last4 IS NOT NULL;
CREATE INDEX parties_customer_retained_until ON parties_customer (retained_until) WHERE retained_until IS NOT NULL;

CREATE TABLE parties_level_change (
  book_id     integer     NOT NULL,
  customer_id uuid        NOT NULL,
  id          uuid        NOT NULL,
  level       text        NOT NULL COLLATE "C",
  reason      text        NOT NULL COLLATE "C",
  provider    text        COLLATE "C",
  at          timestamptz NOT NULL,
  CONSTRAINT parties_level_change_pkey PRIMARY KEY (book_id, customer_id, id),
  CONSTRAINT parties_level_change_reason CHECK (reason IN ('verified', 'corrected', 'forgotten'))
);

CREATE TABLE parties_identity_attempt (
  book_id     integer     NOT NULL,
  customer_id uuid        NOT NULL,
  id          uuid        NOT NULL,
  level       text        NOT NULL COLLATE "C",
  provider    text        NOT NULL COLLATE "C",
  started_at  timestamptz NOT NULL,
  result      text        NOT NULL COLLATE "C" DEFAULT 'pending',
  code        text        COLLATE "C",
  ended_at    timestamptz,
  CONSTRAINT parties_identity_attempt_pkey PRIMARY KEY (book_id, customer_id, id),
  CONSTRAINT parties_identity_attempt_result CHECK (result IN ('pending', 'matched', 'mismatched', 'error')),
  CONSTRAINT parties_identity_attempt_ended CHECK ((result = 'pending') = (ended_at IS NULL))
);
COMMENT ON TABLE parties_identity_attempt IS 'A check by an identity provider: that it was made and how it ended, never what was shown';

CREATE TABLE parties_identity_guard (
  book_id    integer     NOT NULL,
  subject    uuid        NOT NULL,
  mismatches integer     NOT NULL,
  pending    integer     NOT NULL,
  checks     integer     NOT NULL,
  day        date        NOT NULL,
  claimed_at timestamptz NOT NULL,
  version    integer     NOT NULL DEFAULT 1,
  CONSTRAINT parties_identity_guard_pkey PRIMARY KEY (book_id, subject),
  CONSTRAINT parties_identity_guard_counts CHECK (mismatches >= 0 AND pending >= 0 AND checks >= 0)
);
COMMENT ON TABLE parties_identity_guard IS
  'How often a customer, or a bank card (by its keyed HMAC), was checked: counted before the provider is asked';

GRANT SELECT, INSERT ON parties_operator, parties_approval, parties_audit, parties_customer, parties_level_change,
  parties_identity_attempt, parties_identity_guard TO kaquan_app;
GRANT UPDATE (issuer_class, legal_name, legal_code, group_code, brand, province, filing_number, filed_on,
  business_started_on, calendar, payment_licence, version) ON parties_issuer TO kaquan_app;
GRANT UPDATE (legal_name, legal_code, group_code, brand, version) ON parties_merchant TO kaquan_app;
GRANT UPDATE (trade, latitude_udeg, longitude_udeg, version) ON parties_store TO kaquan_app;
GRANT UPDATE (name, roles, store_ids, status, version) ON parties_operator TO kaquan_app;
GRANT UPDATE (status, decided_by, decided_at, decided_why, executed_at) ON parties_approval TO kaquan_app;
GRANT UPDATE (name, phone, document_kind, document, phone_lookup, phone_last4, document_lookup, document_last4, level,
  forgotten_at, retained_until, retained_by, version) ON parties_customer TO kaquan_app;
GRANT UPDATE (result, code, ended_at) ON parties_identity_attempt TO kaquan_app;
GRANT UPDATE (mismatches, pending, checks, day, claimed_at, version) ON parties_identity_guard TO kaquan_app;
