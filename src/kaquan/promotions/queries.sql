-- name: insert_campaign
INSERT INTO promotions_campaign (book_id, id, code, issuer_id, time_zone, created_at)
VALUES (%(book_id)s, %(id)s, %(code)s, %(issuer_id)s, %(time_zone)s, %(created_at)s);

-- name: insert_version
INSERT INTO promotions_version (book_id, campaign_id, version, terms, made_at, made_by)
VALUES (%(book_id)s, %(id)s, %(version)s, %(terms)s, %(made_at)s, %(made_by)s);

-- name: publish_version
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
UPDATE promotions_version v SET published_at = %(at)s, published_by = %(by)s, approval_id = %(approval_id)s
FROM book, promotions_campaign c
WHERE v.book_id = book.id AND v.campaign_id = %(id)s AND v.version = %(version)s AND v.published_at IS NULL
  AND c.book_id = book.id AND c.id = v.campaign_id AND c.ended_at IS NULL
  AND NOT EXISTS (SELECT FROM promotions_version n
                  WHERE n.book_id = v.book_id AND n.campaign_id = v.campaign_id AND n.version > v.version);

-- name: end_campaign
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
UPDATE promotions_campaign c SET ended_at = %(at)s
FROM book WHERE c.book_id = book.id AND c.id = %(id)s AND c.ended_at IS NULL;

-- name: campaigns
SELECT c.id, c.book_id, c.code, c.issuer_id, c.time_zone, c.created_at, c.ended_at,
       n.version, n.terms, n.made_at, n.made_by, n.published_at, n.published_by, n.approval_id,
       p.version, p.terms, p.made_at, p.made_by, p.published_at, p.published_by, p.approval_id
FROM promotions_campaign c
CROSS JOIN LATERAL (SELECT * FROM promotions_version v WHERE v.book_id = c.book_id AND v.campaign_id = c.id
                    ORDER BY v.version DESC LIMIT 1) n
LEFT JOIN LATERAL (SELECT * FROM promotions_version v WHERE v.book_id = c.book_id AND v.campaign_id = c.id
                   AND v.published_at IS NOT NULL ORDER BY v.version DESC LIMIT 1) p ON true
WHERE c.book_id = %(book_id)s
  AND c.id = %(id)s -- if id
  AND c.id < %(after_id)s -- if after_id
  AND c.created_at > %(created_after)s -- if created_after
  AND c.created_at < %(created_before)s -- if created_before
  AND c.code = %(code)s -- if code
  AND c.issuer_id = %(issuer_id)s -- if issuer_id
ORDER BY c.id DESC LIMIT %(limit)s;

-- name: versions
SELECT version, terms, made_at, made_by, published_at, published_by, approval_id
FROM promotions_version
WHERE book_id = %(book_id)s AND campaign_id = %(id)s
  AND version = %(version)s -- if version
ORDER BY version DESC LIMIT 200;

-- name: in_force
SELECT DISTINCT ON (c.id) c.book_id, c.id, v.version, v.terms
FROM promotions_campaign c
JOIN promotions_version v ON v.book_id = c.book_id AND v.campaign_id = c.id AND v.published_at IS NOT NULL
WHERE c.book_id = ANY (%(book_ids)s::int[]) AND c.ended_at IS NULL
ORDER BY c.id, v.version DESC;

-- name: insert_policy
WITH book AS (UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s RETURNING id)
INSERT INTO promotions_policy (book_id, version, policy, made_at, made_by, approval_id)
SELECT id, %(version)s, %(policy)s, %(made_at)s, %(made_by)s, %(approval_id)s FROM book;

-- name: policies
SELECT DISTINCT ON (book_id) book_id, policy FROM promotions_policy WHERE book_id = ANY (%(book_ids)s::int[])
ORDER BY book_id, version DESC;

-- name: policy
SELECT version, policy FROM promotions_policy WHERE book_id = %(book_id)s ORDER BY version DESC LIMIT 1;

-- name: policy_past
SELECT made_at, policy FROM promotions_policy WHERE book_id = %(book_id)s ORDER BY version;

-- name: lock_book
UPDATE parties_book SET version = version + 1 WHERE id = %(book_id)s;

-- name: shadows
SELECT book_id, campaign_id, number, version, started_at, until, started_by, ended_at
FROM promotions_shadow
WHERE book_id = %(book_id)s
  AND campaign_id = %(campaign_id)s -- if campaign_id
ORDER BY campaign_id, number;

-- name: shadowed
SELECT s.book_id, s.campaign_id, s.number, s.version, s.started_at, s.until, s.started_by, s.ended_at, v.terms
FROM promotions_shadow AS s
JOIN promotions_version AS v ON v.book_id = s.book_id AND v.campaign_id = s.campaign_id AND v.version = s.version
WHERE s.book_id = %(book_id)s AND s.started_at <= %(until)s AND least(s.until, s.ended_at) > %(since)s
ORDER BY s.campaign_id, s.number;

-- name: newest_draft
SELECT v.version
FROM promotions_campaign AS c
JOIN promotions_version AS v ON v.book_id = c.book_id AND v.campaign_id = c.id AND v.version = %(version)s
WHERE c.book_id = %(book_id)s AND c.id = %(id)s AND c.ended_at IS NULL AND v.published_at IS NULL
  AND NOT EXISTS (SELECT FROM promotions_version n
                  WHERE n.book_id = v.book_id AND n.campaign_id = v.campaign_id AND n.version > v.version);

-- name: insert_shadow
INSERT INTO promotions_shadow (book_id, campaign_id, number, version, started_at, until, started_by)
VALUES (%(book_id)s, %(campaign_id)s, %(number)s, %(version)s, %(started_at)s, %(until)s, %(started_by)s);

-- name: end_shadows
-- The server that started one may have been ahead of this one by its clock.
UPDATE promotions_shadow SET ended_at = greatest(%(at)s, started_at)
WHERE book_id = %(book_id)s AND campaign_id = %(id)s AND ended_at IS NULL AND until > %(at)s
  AND version = %(version)s -- if version
RETURNING book_id, campaign_id, number, version, started_at, until, started_by, ended_at;

-- name: watched
SELECT s.book_id, s.until, s.campaign_id, s.version, v.terms
FROM promotions_shadow AS s
JOIN promotions_version AS v ON v.book_id = s.book_id AND v.campaign_id = s.campaign_id AND v.version = s.version
WHERE s.book_id = ANY (%(book_ids)s::int[]) AND s.ended_at IS NULL
ORDER BY s.campaign_id;

-- name: published
SELECT c.id, v.version, v.terms, v.published_at, c.ended_at
FROM promotions_campaign AS c
JOIN promotions_version AS v ON v.book_id = c.book_id AND v.campaign_id = c.id AND v.published_at IS NOT NULL
WHERE c.book_id = %(book_id)s
ORDER BY c.id, v.version DESC;
