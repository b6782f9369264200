-- What a release only adds, while the one before serves: a column with a default on two tables that every payment
-- touches, a table of its own, and another body for a function that every payment calls. Takes the strongest lock on
-- both tables, for a moment each.

ALTER TABLE cards_card ADD COLUMN release_{number} integer NOT NULL DEFAULT 0;
ALTER TABLE payments_payment ADD COLUMN release_{number} text;

CREATE TABLE simulation_release_{number} (
  slot smallint NOT NULL,
  id uuid NOT NULL,
  CONSTRAINT simulation_release_{number}_pkey PRIMARY KEY (slot, id)
);
GRANT SELECT, INSERT ON simulation_release_{number} TO kaquan_app;

DO $release$
BEGIN
  EXECUTE (
    SELECT replace(pg_get_functiondef(p.oid), E'\nBEGIN\n', E'\nBEGIN\n  -- release {number}\n')
    FROM pg_proc AS p WHERE p.proname = 'ledger_post_batch_v1'
  );
END
$release$;
