-- Rules as data: changes that are proposed, decided by a second person, and the rule sets that they make. The law that
-- comes with a release is a file of the release; here is what a book adds to it or ends of it, and each issuer's house
-- rules. New tables only: takes no lock that anybody waits for, but for a moment that of foreign keys on
-- parties_book and parties_issuer. Small reference tables: on a cluster they are copied to every node.
--
-- Nothing is ever updated or deleted, and a decision is only made through functions that write the rule set and the
-- evidence leaf in the same commit: the serving role may read, and propose.

CREATE TABLE policy_change (
  id          uuid        NOT NULL,
  book_id     integer     NOT NULL,
  issuer_id   uuid,
  note        text        NOT NULL,
  added       jsonb       NOT NULL,
  ended       jsonb       NOT NULL,
  proposed_by uuid        NOT NULL,
  proposed_at timestamptz NOT NULL,
  CONSTRAINT policy_change_pkey PRIMARY KEY (id),
  CONSTRAINT policy_change_of_proposer UNIQUE (id, proposed_by),
  CONSTRAINT policy_change_book FOREIGN KEY (book_id) REFERENCES parties_book (id),
  CONSTRAINT policy_change_issuer FOREIGN KEY (book_id, issuer_id) REFERENCES parties_issuer (book_id, id)
);
CREATE INDEX policy_change_newest ON policy_change (book_id, id);
COMMENT ON TABLE policy_change IS 'Proposed changes of rules, as they were proposed';
COMMENT ON COLUMN policy_change.issuer_id IS 'Whose house rules change; null for the law of the book';
COMMENT ON COLUMN policy_change.proposed_by IS 'The API key, or the operator, who proposed it';

CREATE TABLE policy_decision (
  change_id   uuid        NOT NULL,
  decision    text        NOT NULL COLLATE "C",
  proposed_by uuid        NOT NULL,
  decided_by  uuid        NOT NULL,
  decided_at  timestamptz NOT NULL,
  reason      text        NOT NULL,
  version     bigint,
  slot        smallint,
  CONSTRAINT policy_decision_pkey PRIMARY KEY (change_id),
  CONSTRAINT policy_decision_kind CHECK (decision IN ('approved', 'rejected')),
  CONSTRAINT policy_decision_four_eyes CHECK (decision <> 'approved' OR decided_by <> proposed_by),
  CONSTRAINT policy_decision_version CHECK ((decision = 'approved') = (version IS NOT NULL AND slot IS NOT NULL)),
  CONSTRAINT policy_decision_change FOREIGN KEY (change_id, proposed_by) REFERENCES policy_change (id, proposed_by)
);
COMMENT ON TABLE policy_decision IS 'What became of a change: at most one decision for each';
COMMENT ON COLUMN policy_decision.proposed_by IS 'Who proposed the change, so that a constraint can tell the two apart';
COMMENT ON COLUMN policy_decision.slot IS 'Where the evidence leaf of an approved change is';

CREATE TABLE policy_rule_set (
  book_id   integer NOT NULL,
  owner_id  uuid    NOT NULL,
  version   bigint  NOT NULL,
  change_id uuid    NOT NULL,
  rules     jsonb   NOT NULL,
  endings   jsonb   NOT NULL,
  CONSTRAINT policy_rule_set_pkey PRIMARY KEY (book_id, owner_id, version),
  CONSTRAINT policy_rule_set_of_change UNIQUE (change_id),
  CONSTRAINT policy_rule_set_version CHECK (version > 0),
  CONSTRAINT policy_rule_set_change FOREIGN KEY (change_id) REFERENCES policy_change (id)
);
COMMENT ON TABLE policy_rule_set IS
  'Every version, whole: the house rules of an issuer, or what a book added to the law and ended of it';
COMMENT ON COLUMN policy_rule_set.owner_id IS 'The issuer; all zeros for the law of the book';

-- Approve a change: its decision, the rule set that it makes, its evidence leaf, and a word to the copies in memory.
-- What stands against it is a constraint: policy_decision_pkey (it is decided), policy_rule_set_pkey (another change
-- came before it), policy_decision_four_eyes.
CREATE FUNCTION policy_approve_v1(
  p_slot smallint, p_change uuid, p_book integer, p_owner uuid, p_version bigint, p_proposed_by uuid,
  p_decided_by uuid, p_at timestamptz, p_reason text, p_rules jsonb, p_endings jsonb, p_leaf bytea
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO policy_decision (change_id, decision, proposed_by, decided_by, decided_at, reason, version, slot)
  VALUES (p_change, 'approved', p_proposed_by, p_decided_by, p_at, p_reason, p_version, p_slot);
  INSERT INTO policy_rule_set (book_id, owner_id, version, change_id, rules, endings)
  VALUES (p_book, p_owner, p_version, p_change, p_rules, p_endings);
  INSERT INTO evidence_leaf (slot, transaction_id, leaf_hash, salt) VALUES (p_slot, p_change, p_leaf, NULL);
  UPDATE parties_book SET version = version + 1 WHERE id = p_book;
END $$;

-- Reject a change, or withdraw one's own.
CREATE FUNCTION policy_reject_v1(
  p_change uuid, p_proposed_by uuid, p_decided_by uuid, p_at timestamptz, p_reason text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO policy_decision (change_id, decision, proposed_by, decided_by, decided_at, reason)
  VALUES (p_change, 'rejected', p_proposed_by, p_decided_by, p_at, p_reason);
END $$;

COMMENT ON TABLE evidence_leaf IS
  'RFC 9162 leaf hash of the canonical bytes of each transaction and each approved change of rules, not yet ordered';

GRANT SELECT, INSERT ON policy_change TO kaquan_app;
GRANT SELECT ON policy_decision, policy_rule_set TO kaquan_app;
GRANT SELECT, INSERT ON policy_decision, policy_rule_set TO kaquan_ledger;
GRANT SELECT ON parties_book TO kaquan_ledger;
GRANT UPDATE (version) ON parties_book TO kaquan_ledger;
GRANT CREATE ON SCHEMA public TO kaquan_ledger;
ALTER FUNCTION policy_approve_v1 OWNER TO kaquan_ledger;
ALTER FUNCTION policy_reject_v1 OWNER TO kaquan_ledger;
REVOKE CREATE ON SCHEMA public FROM kaquan_ledger;
REVOKE EXECUTE ON FUNCTION policy_approve_v1, policy_reject_v1 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy_approve_v1, policy_reject_v1 TO kaquan_app;
