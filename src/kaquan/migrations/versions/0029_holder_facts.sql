-- What offers ask of a store (its district) and of a holder (birthday, segments). New columns without a value are added
-- without a rewrite; the checks read parties_store and parties_customer once under their locks, the index is built under
-- that of parties_customer.

ALTER TABLE parties_store ADD COLUMN district text COLLATE "C";
COMMENT ON COLUMN parties_store.district IS 'Where it is, in the words that offers use';
GRANT UPDATE (district) ON parties_store TO kaquan_app;

ALTER TABLE parties_customer
  ADD COLUMN birthday smallint,
  ADD COLUMN segments text[] COLLATE "C" NOT NULL DEFAULT '{}',
  ADD CONSTRAINT parties_customer_birthday
    CHECK (birthday BETWEEN 101 AND 1231 AND mod(birthday, 100) BETWEEN 1 AND 31),
  ADD CONSTRAINT parties_customer_facts_erased
    CHECK (forgotten_at IS NULL OR (birthday IS NULL AND segments = '{}'));
COMMENT ON COLUMN parties_customer.birthday IS 'Month and day as MMDD: no year, for offers need none';
COMMENT ON COLUMN parties_customer.segments IS 'Labels that operators gave, sorted, each once';
CREATE INDEX parties_customer_by_segment ON parties_customer USING gin (segments) WHERE segments <> '{}';
GRANT UPDATE (birthday, segments) ON parties_customer TO kaquan_app;
