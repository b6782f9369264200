"""Floor 0: what every room needs and no shopkeeper would name: money, ids, clock, outcomes, pool, batching, paging.

Nothing in here knows what a card is.
"""
