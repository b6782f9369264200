"""The worker: one process that does what nobody waits for, on a schedule.

Any number of workers may run on one database, and any of them may be killed: each job is safe when it is done twice,
half or late, and the next one goes on where it stopped. The rules are the rooms'; here are only names and times.
"""
