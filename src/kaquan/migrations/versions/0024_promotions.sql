-- Campaigns with their versions, and the stacking policy of a book: what purchases and top-ups are priced with. Reference
-- data, kept in memory by every process. New tables only; locks nothing that is there.

CREATE TABLE promotions_campaign (
  book_id    integer     NOT NULL,
  id         uuid        NOT NULL,
  code       text        NOT NULL COLLATE "C",
  issuer_id  uuid        NOT NULL,
  time_zone  text        NOT NULL COLLATE "C",
  created_at timestamptz NOT NULL,
  ended_at   timestamptz,
  CONSTRAINT promotions_campaign_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT promotions_campaign_code UNIQUE (book_id, code),
  CONSTRAINT promotions_campaign_issuer FOREIGN KEY (book_id, issuer_id) REFERENCES parties_issuer (book_id, id)
);
COMMENT ON TABLE promotions_campaign IS 'Time-boxed marketing activities that own budgets and offers';
COMMENT ON COLUMN promotions_campaign.time_zone IS 'The issuer''s: what the wall clocks of the terms are meant by';
COMMENT ON COLUMN promotions_campaign.ended_at IS 'When somebody ended it before its time';

CREATE TABLE promotions_version (
  book_id      integer     NOT NULL,
  campaign_id  uuid        NOT NULL,
  version      integer     NOT NULL,
  terms        jsonb       NOT NULL,
  made_at      timestamptz NOT NULL,
  made_by      text        NOT NULL COLLATE "C",
  published_at timestamptz,
  published_by text        COLLATE "C",
  approval_id  uuid,
  CONSTRAINT promotions_version_pkey PRIMARY KEY (book_id, campaign_id, version),
  CONSTRAINT promotions_version_campaign FOREIGN KEY (book_id, campaign_id)
    REFERENCES promotions_campaign (book_id, id),
  CONSTRAINT promotions_version_published CHECK ((published_at IS NULL) = (published_by IS NULL))
);
COMMENT ON TABLE promotions_version IS 'What a campaign promises: terms are never changed, only followed by others';
COMMENT ON COLUMN promotions_version.published_at IS 'Since when it is in force, within its own time; null: a draft';

CREATE TABLE promotions_policy (
  book_id     integer     NOT NULL,
  version     integer     NOT NULL,
  policy      jsonb       NOT NULL,
  made_at     timestamptz NOT NULL,
  made_by     text        NOT NULL COLLATE "C",
  approval_id uuid,
  CONSTRAINT promotions_policy_pkey PRIMARY KEY (book_id, version)
);
COMMENT ON TABLE promotions_policy IS 'What binds all campaigns of a book in one basket; the newest version holds';

GRANT SELECT, INSERT ON promotions_campaign, promotions_version, promotions_policy TO kaquan_app;
GRANT UPDATE (ended_at) ON promotions_campaign TO kaquan_app;
GRANT UPDATE (published_at, published_by, approval_id) ON promotions_version TO kaquan_app;
