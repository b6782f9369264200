"""Guesses: who may go on after wrong numbers, secrets and PINs, counted over all server processes together.

It counts callers by a hash and knows neither cards nor numbers. It costs those who are right nothing.
"""

from kaquan.guesses.guard import Guard, caller_of, forget_guesses
from kaquan.guesses.outcomes import TOO_MANY_WRONG_ANSWERS

__all__ = ["TOO_MANY_WRONG_ANSWERS", "Guard", "caller_of", "forget_guesses"]
