-- name: has_cards
SELECT EXISTS (SELECT FROM cards_number) OR EXISTS (SELECT FROM parties_customer);
