-- Pin the plans of the payment path whole. Before a table is analysed the planner takes "slot = …" to leave one row in
-- two hundred, so on a new database it read every card, or every lot, once for each item of a batch: 38 ms for a load that
-- takes 0.5, until autovacuum came by. Now what a plan costs is how many rows it looks at and nothing else, so that a look-up
-- by the whole key always wins, and tables are joined in the order in which they are written, beginning with the batch.
-- Changes settings of functions only: takes no lock that anybody waits for.

ALTER FUNCTION ledger_post_batch_v1 SET cpu_tuple_cost = 1;
ALTER FUNCTION ledger_post_batch_v1 SET random_page_cost = 0;
ALTER FUNCTION ledger_post_batch_v1 SET seq_page_cost = 0;
ALTER FUNCTION ledger_post_batch_v1 SET enable_bitmapscan = off;
ALTER FUNCTION ledger_post_batch_v1 SET enable_material = off;
ALTER FUNCTION ledger_post_batch_v1 SET join_collapse_limit = 1;

ALTER FUNCTION payments_post_batch_v1 SET cpu_tuple_cost = 1;
ALTER FUNCTION payments_post_batch_v1 SET random_page_cost = 0;
ALTER FUNCTION payments_post_batch_v1 SET seq_page_cost = 0;
ALTER FUNCTION payments_post_batch_v1 SET enable_hashjoin = off;
ALTER FUNCTION payments_post_batch_v1 SET enable_bitmapscan = off;
ALTER FUNCTION payments_post_batch_v1 SET enable_material = off;
ALTER FUNCTION payments_post_batch_v1 SET join_collapse_limit = 1;

ALTER FUNCTION payments_load_cards_v1 SET cpu_tuple_cost = 1;
ALTER FUNCTION payments_load_cards_v1 SET random_page_cost = 0;
ALTER FUNCTION payments_load_cards_v1 SET seq_page_cost = 0;
ALTER FUNCTION payments_load_cards_v1 SET enable_bitmapscan = off;
ALTER FUNCTION payments_load_cards_v1 SET enable_material = off;
ALTER FUNCTION payments_load_cards_v1 SET join_collapse_limit = 1;
