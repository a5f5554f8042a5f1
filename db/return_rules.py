"""The rules of returns: one versioned list."""

from db.base import Base
from db.rule_versions import RuleVersion, RuleVersions


class ReturnRuleVersion(RuleVersion, Base):
    """One version of the rules; the highest is in force. ``rules`` are `domain.return_rules.ReturnRule`s as JSON."""

    __tablename__ = "return_rules"


RULES = RuleVersions(ReturnRuleVersion, "return rules")
