-- Points that offers give with a payment, what captures earn, points for another card, and benefits that are vouchers.
-- Columns with constant defaults or none, checks over rows that hold them, and one index over rows that are new: takes the
-- locks of points_earning, points_benefit and payments_instalment for as long as each is read once.

ALTER TABLE points_earning
  ADD COLUMN payment_id    uuid,
  ADD COLUMN granted       bigint NOT NULL DEFAULT 0,
  ADD COLUMN granted_taken bigint NOT NULL DEFAULT 0,
  ADD CONSTRAINT points_earning_granted CHECK (granted BETWEEN 0 AND points AND granted_taken BETWEEN 0 AND granted
    AND granted_taken <= taken);
COMMENT ON TABLE points_earning IS 'What a purchase, a capture or an offer on a load earned; the id is that of its transaction';
COMMENT ON COLUMN points_earning.payment_id IS 'Of a capture: the authorization that it is of';
COMMENT ON COLUMN points_earning.granted IS 'What of the points offers gave; granted_taken: what of taken is of that';
CREATE INDEX points_earning_of_payment ON points_earning (slot, payment_id) WHERE payment_id IS NOT NULL;
GRANT UPDATE (granted_taken) ON points_earning TO kaquan_app;

ALTER TABLE payments_instalment
  ADD COLUMN what text NOT NULL DEFAULT 'bonus' COLLATE "C",
  ADD CONSTRAINT payments_instalment_what CHECK (what IN ('bonus', 'points'));
COMMENT ON COLUMN payments_instalment.what IS 'What amount_fen is: money for the bonus pocket, or points';

ALTER TABLE points_benefit
  ADD COLUMN template_id   uuid,
  ADD COLUMN voucher_count integer,
  ADD CONSTRAINT points_benefit_vouchers CHECK ((template_id IS NULL) = (voucher_count IS NULL) AND voucher_count > 0);
COMMENT ON COLUMN points_benefit.template_id IS 'Of the vouchers that are given; null: whoever gives it knows what it is';
