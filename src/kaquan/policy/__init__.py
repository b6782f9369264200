"""Floor 3: rules as data. Dated rows of law with their source, and house rules that issuers give themselves.

Ask for a fact: which figure binds, at a place, on a day, for a kind of issuer, card and buyer; the answer names its row
and source (:class:`RuleBook`, :class:`Policy`). Check a programme's terms (:func:`check_terms`). Change rules: propose,
and a second person approves, which makes a version and an evidence leaf; nothing is ever rewritten.

Rows that nobody verified and drafts are kept as advisory: they are shown as such and never answer. A house rule is
stricter than the law or refused. No figure of law stands in code, here or elsewhere: code names a metric.
"""

from kaquan.policy.changes import get_rule_set, list_changes
from kaquan.policy.check_rules import RuleProblem, check_house, check_overlaps, effective_law, plan_rules
from kaquan.policy.check_terms import Terms, check_terms, fee_is_barred
from kaquan.policy.decide import approve_change, get_change, leaf_of, reject_change
from kaquan.policy.files import (
    COLUMNS,
    CRITERIA,
    MAX_RULES,
    FileFormat,
    LineProblem,
    RuleFile,
    read_rule,
    read_rule_file,
    show_raw,
)
from kaquan.policy.law import (
    LAW_JURISDICTION,
    LAW_TIME_ZONE,
    RuleFileError,
    house_template,
    released_book,
    released_law,
)
from kaquan.policy.metrics import Action, Metric, Operator, Subject, Unit
from kaquan.policy.places import chain_of, read_jurisdiction
from kaquan.policy.policy import Policy
from kaquan.policy.propose import check_file, import_file, propose_change
from kaquan.policy.retention import RECORDS, retention_table
from kaquan.policy.rulebook import RuleBook, ask, is_weaker
from kaquan.policy.sources import Source, describe_source, read_source
from kaquan.policy.types import (
    Buyer,
    CardClass,
    Change,
    ChangeStatus,
    Channel,
    Condition,
    Confidence,
    Decision,
    Ending,
    Fact,
    Industry,
    IssuerClass,
    NewChange,
    Question,
    Reach,
    Rule,
    RuleSet,
    Scheme,
    Search,
    Standing,
)
from kaquan.policy.words import show_demand, show_source, show_value

__all__ = [
    "COLUMNS",
    "CRITERIA",
    "LAW_JURISDICTION",
    "LAW_TIME_ZONE",
    "MAX_RULES",
    "RECORDS",
    "Action",
    "Buyer",
    "CardClass",
    "Change",
    "ChangeStatus",
    "Channel",
    "Condition",
    "Confidence",
    "Decision",
    "Ending",
    "Fact",
    "FileFormat",
    "Industry",
    "IssuerClass",
    "LineProblem",
    "Metric",
    "NewChange",
    "Operator",
    "Policy",
    "Question",
    "Reach",
    "Rule",
    "RuleBook",
    "RuleFile",
    "RuleFileError",
    "RuleProblem",
    "RuleSet",
    "Scheme",
    "Search",
    "Source",
    "Standing",
    "Subject",
    "Terms",
    "Unit",
    "approve_change",
    "ask",
    "chain_of",
    "check_file",
    "check_house",
    "check_overlaps",
    "check_terms",
    "describe_source",
    "effective_law",
    "fee_is_barred",
    "get_change",
    "get_rule_set",
    "house_template",
    "import_file",
    "is_weaker",
    "leaf_of",
    "list_changes",
    "plan_rules",
    "propose_change",
    "read_jurisdiction",
    "read_rule",
    "read_rule_file",
    "read_source",
    "reject_change",
    "released_book",
    "released_law",
    "retention_table",
    "show_demand",
    "show_raw",
    "show_source",
    "show_value",
]
