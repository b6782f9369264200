"""Floor 4: tenants with their live and test books, API keys, issuers, merchants, stores, terminals, and people.

Everything belongs to one book, and nothing of another book is ever found. It never moves value, and it
never keeps the secret of a key nor shows it after it was issued. People have front doors of their own:
``parties.customers`` (who holds cards, and how well they are known), ``parties.staff`` (who works for the tenant, and
what two of them must agree on), ``parties.trail`` (who did what).
"""

from kaquan.parties.directory import BookDirectory, Directory
from kaquan.parties.funders import create_funder, get_funder, list_funders
from kaquan.parties.issuers import change_issuer, create_issuer, get_issuer, list_issuers, time_zones
from kaquan.parties.keys import issue_key, keys_of_person, list_keys, revoke_key
from kaquan.parties.merchants import change_merchant, create_merchant, get_merchant, list_merchants
from kaquan.parties.scheme import Scheme, SchemeRule, SchemeRules, fit_scheme
from kaquan.parties.stores import change_store, create_store, get_store, list_stores
from kaquan.parties.tenants import create_tenant, get_tenant, list_tenants, load_book_versions
from kaquan.parties.terminals import change_terminal, create_terminal, get_terminal, list_terminals
from kaquan.parties.types import (
    ApiKey,
    Book,
    Funder,
    FunderKind,
    IssuedKey,
    Issuer,
    IssuerChange,
    IssuerClass,
    IssuerProfile,
    Merchant,
    MerchantChange,
    MerchantProfile,
    Mode,
    Place,
    Principal,
    Scope,
    Search,
    Store,
    StoreChange,
    StoreProfile,
    Tenant,
    Terminal,
    TerminalStatus,
)

__all__ = [
    "ApiKey",
    "Book",
    "BookDirectory",
    "Directory",
    "Funder",
    "FunderKind",
    "IssuedKey",
    "Issuer",
    "IssuerChange",
    "IssuerClass",
    "IssuerProfile",
    "Merchant",
    "MerchantChange",
    "MerchantProfile",
    "Mode",
    "Place",
    "Principal",
    "Scheme",
    "SchemeRule",
    "SchemeRules",
    "Scope",
    "Search",
    "Store",
    "StoreChange",
    "StoreProfile",
    "Tenant",
    "Terminal",
    "TerminalStatus",
    "change_issuer",
    "change_merchant",
    "change_store",
    "change_terminal",
    "create_funder",
    "create_issuer",
    "create_merchant",
    "create_store",
    "create_tenant",
    "create_terminal",
    "fit_scheme",
    "get_funder",
    "get_issuer",
    "get_merchant",
    "get_store",
    "get_tenant",
    "get_terminal",
    "issue_key",
    "keys_of_person",
    "list_funders",
    "list_issuers",
    "list_keys",
    "list_merchants",
    "list_stores",
    "list_tenants",
    "list_terminals",
    "load_book_versions",
    "revoke_key",
    "time_zones",
]
