"""What happens next in a day: anything that can, most days only some of it."""

from collections.abc import Callable

from hypothesis.stateful import Rule, RuleStrategy


class Choosing(RuleStrategy):
    """As Hypothesis chooses, which switches rules off for a day at random, so that others happen more often.

    A day in which nothing is left that could happen goes on with what is switched off. Hypothesis would break it off:
    one day in four, with all that it has cost by then.
    """

    def _rule_is_enabled(self, rule: Rule) -> bool:
        on: Callable[[Rule], bool] = super()._rule_is_enabled
        return on(rule) or (self.is_valid(rule) and not any(on(other) for other in self.rules))
