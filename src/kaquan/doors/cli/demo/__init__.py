"""``kaquan demo``: a year of grocery baskets paid with prepaid cards through the HTTP API, over real sockets.

It is a client like any other: it holds an address and an API key, and knows no room of the server.
"""
