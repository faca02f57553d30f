"""rule-head: the rules predict."""

from __future__ import annotations

from sterna.bench import Bench, Fitted
from sterna.bench.drawn_rules import RuleSettings, rules_for
from sterna.methods.method import Method, Needs
from sterna.networks.freezing import freeze
from sterna.networks.identity import identity_body
from sterna.networks.rule_vote import RuleVote
from sterna.preparations.rules import BY_KIND


class RuleHead(RuleSettings, Method):
    """Rules predict directly: those that fire on a row vote, each with what its confidence adds to its class's share.

    What moves: rules, written by someone who knows, or extracted from the source by a small tree that learns its
    model's predictions. A rule of confidence c for class y, which a share π of the training labels has, adds
    log(c / (1 − c)) − log(π / (1 − π)) to the logit log π; one rule alone gives back its confidence. Rules that the
    training labels show to repeat each other add less. Of numbers the prediction is the mean of what the rules say,
    weighted by confidence. Where none fires, OTHERWISE is the prediction, or else the share of each class among
    the target's training labels.

    When to use it: the prediction must be explained, rows are few or labels none, or the knowledge is in somebody's
    head. When it hurts: thresholds that mean something else in the target (other units, another laboratory), and
    anything that a few conditions cannot say; ``weak-labels`` generalises beyond the rules.

    References
    ----------
    Craven and Shavlik, "Extracting tree-structured representations of trained networks", NIPS 1995 (rules of a
    surrogate). Genest and Zidek, "Combining probability distributions", Statistical Science 1986 (the vote).
    """

    needs = Needs.UNLABELLED_TARGET
    suits = Needs.RULES

    def run(self, bench: Bench) -> Fitted:
        found = rules_for(bench, self)
        seen = bench.problem.target_inputs()
        silent = len(seen) - len(found.firing(seen)[0])
        if silent:
            bench.say(f"No rule fires on {silent} of the {len(seen)} target rows that may be seen without labels.")
        rules, head = found.rules, RuleVote.of(found.votes(bench))
        network = bench.network(BY_KIND[bench.problem.target.kind](rules), identity_body(len(rules)), head)
        freeze(network)
        return Fitted(network, found.choices)
