-- While a new release is rolled out, processes of the one before serve on its schema: they may where everything since
-- their own revision was only added. A revision that they could not live with raises the floor to itself, in its own
-- transaction: UPDATE schema_floor SET revision = '0099'. Only a table of one row is made: takes no lock that anybody
-- waits for.

CREATE TABLE schema_floor (
  row_id boolean NOT NULL DEFAULT true,
  revision text NOT NULL,
  CONSTRAINT schema_floor_pkey PRIMARY KEY (row_id),
  CONSTRAINT schema_floor_one CHECK (row_id)
);
COMMENT ON COLUMN schema_floor.revision IS 'the oldest revision whose release may serve on this schema';
INSERT INTO schema_floor (revision) VALUES ('0033');
GRANT SELECT ON schema_floor TO kaquan_app;
