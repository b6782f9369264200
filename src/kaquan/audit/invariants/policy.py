"""Approved changes of rules against their evidence leaves, and rule sets against the changes that made them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from kaquan.audit.types import Audit, Row
from kaquan.evidence import policy_leaf_hash
from kaquan.policy import Change, Decision, Ending, Rule, leaf_of

_rules = msgspec.json.Decoder(tuple[Rule, ...]).decode
_endings = msgspec.json.Decoder(tuple[Ending, ...]).decode


def judge_changes(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """What is wrong with approved changes: another leaf, one person for two, or a rule set that is not theirs."""
    wrong: list[Row] = []
    for (
        id_, book_id, issuer_id, note, added, ended, proposed_by, proposed_at, decided_by, decided_at, version, slot,
        leaf_hash, rules, endings, rules_before, endings_before,
    ) in rows:  # fmt: skip
        if decided_by is None:
            wrong.append(
                {
                    "change_id": id_,
                    "book_id": book_id,
                    "what": "approval of the rule set",
                    "expected": "one",
                    "actual": None,
                }
            )
            continue
        change = Change(
            id_, book_id, issuer_id, note, _rules(added), _endings(ended), proposed_by, proposed_at,
            Decision.APPROVED, decided_by, decided_at, None, version,
        )  # fmt: skip
        if proposed_by == decided_by:
            wrong.append(_row(change, "second person", "another one", decided_by.hex))
        if leaf_hash is None:
            wrong.append(_row(change, "leaf", "one of its id", None))
        elif (expected := policy_leaf_hash(leaf_of(change, slot))) != leaf_hash:
            wrong.append(_row(change, "leaf_hash", expected, leaf_hash))
        if rules is None:
            wrong.append(_row(change, "rule set", f"version {version}", None))
            continue
        before, after = _rules(rules_before or "[]"), _rules(rules)
        known_endings = _endings(endings_before or "[]")
        made = _made(change, before, known_endings)
        if (set(after), set(_endings(endings))) != made:
            wrong.append(_row(change, "rule set", "the one before with this change", f"version {version}"))
    return wrong


def _made(change: Change, rules: tuple[Rule, ...], endings: tuple[Ending, ...]) -> tuple[set[Rule], set[Ending]]:
    """What a change makes of the rule set before it."""
    ends = {(ending.rule_id, ending.effective_from): ending for ending in change.end}
    own = {(rule.id, rule.effective_from) for rule in rules}
    changed = {
        msgspec.structs.replace(rule, effective_to=ends[rule.id, rule.effective_from].effective_to)
        if (rule.id, rule.effective_from) in ends
        else rule
        for rule in rules
    }
    outside = {key: ending for key, ending in ends.items() if key not in own}
    kept = {ending for ending in endings if (ending.rule_id, ending.effective_from) not in outside}
    return changed | set(change.add), kept | set(outside.values())


def _row(change: Change, what: str, expected: object, actual: object) -> Row:
    return {"change_id": change.id, "book_id": change.book_id, "what": what, "expected": expected, "actual": actual}


AUDIT = Audit(
    name="policy",
    proves_en="Every approved change of rules was approved by a second person, has its evidence leaf, which is the "
    "hash of the change, and made the rule set of its version out of the one before.",
    proves_zh="每项已批准的规则变更均由第二人批准，有与其内容哈希一致的存证叶，且其版本的规则集由上一版本加此变更得出。",
    reading_en="expected is what the change says, actual what is kept: the change, its decision, its leaf or a rule "
    "set was altered after the fact.",
    reading_zh="expected 为变更本身所述，actual 为现存内容：变更、审批、存证叶或规则集在事后被改动。",
    counts="changes",
    count_sql="SELECT count(*) FROM policy_decision WHERE decision = 'approved'",
    sql="""
SELECT c.id, c.book_id, c.issuer_id, c.note, c.added::text, c.ended::text, c.proposed_by, c.proposed_at, d.decided_by,
       d.decided_at, d.version, d.slot, l.leaf_hash, s.rules::text, s.endings::text, b.rules::text, b.endings::text
FROM policy_decision d
JOIN policy_change c ON c.id = d.change_id
LEFT JOIN evidence_leaf l ON l.slot = d.slot AND l.transaction_id = c.id
LEFT JOIN policy_rule_set s ON s.change_id = c.id AND s.version = d.version
LEFT JOIN policy_rule_set b ON b.book_id = s.book_id AND b.owner_id = s.owner_id AND b.version = s.version - 1
WHERE d.decision = 'approved'
UNION ALL
SELECT s.change_id, s.book_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, s.version, NULL, NULL, NULL, NULL, NULL,
       NULL
FROM policy_rule_set s
WHERE NOT EXISTS (
  SELECT FROM policy_decision d
  WHERE d.change_id = s.change_id AND d.decision = 'approved' AND d.version = s.version)
""",
    judge=judge_changes,
)
