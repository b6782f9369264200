-- name: has_cards
SELECT EXISTS (SELECT FROM cards_number);
