-- name: insert_change
INSERT INTO policy_change (id, book_id, issuer_id, note, added, ended, proposed_by, proposed_at)
VALUES (%(id)s, %(book_id)s, %(issuer_id)s, %(note)s, %(added)s, %(ended)s, %(proposed_by)s, %(proposed_at)s);

-- name: changes
SELECT c.id, c.book_id, c.issuer_id, c.note, c.added, c.ended, c.proposed_by, c.proposed_at,
       d.decision, d.decided_by, d.decided_at, d.reason, d.version
FROM policy_change c LEFT JOIN policy_decision d ON d.change_id = c.id
WHERE c.book_id = %(book_id)s
  AND (%(id)s::uuid IS NULL OR c.id = %(id)s)
  AND (%(after_id)s::uuid IS NULL OR c.id < %(after_id)s)
  AND (%(created_after)s::timestamptz IS NULL OR c.proposed_at > %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR c.proposed_at < %(created_before)s)
  AND (%(issuer_id)s::uuid IS NULL OR c.issuer_id = %(issuer_id)s)
  AND (%(status)s::text IS NULL OR coalesce(d.decision, 'proposed') = %(status)s)
ORDER BY c.id DESC LIMIT %(limit)s;

-- name: approve
SELECT policy_approve_v1(%(slot)s::smallint, %(change_id)s, %(book_id)s, %(owner_id)s, %(version)s, %(proposed_by)s,
                         %(decided_by)s, %(decided_at)s, %(reason)s, %(rules)s, %(endings)s, %(leaf_hash)s);

-- name: reject
SELECT policy_reject_v1(%(change_id)s, %(proposed_by)s, %(decided_by)s, %(decided_at)s, %(reason)s);

-- name: rule_sets
-- Of everybody in these books, or of one owner: the newest, or as of a version.
SELECT DISTINCT ON (book_id, owner_id) book_id, owner_id, version, rules, endings
FROM policy_rule_set
WHERE book_id = ANY (%(book_ids)s::int[]) AND (%(owner_id)s::uuid IS NULL OR owner_id = %(owner_id)s)
  AND (%(version)s::bigint IS NULL OR version <= %(version)s)
ORDER BY book_id, owner_id, version DESC;

-- name: book_versions
SELECT id, version FROM parties_book;
