"""Rows that belong together: groups (a patient, a speaker), and rows of one content."""

from __future__ import annotations

import itertools

import numpy as np

from sterna.domains.domain import Domain


def group_codes(groups: np.ndarray) -> np.ndarray:
    """A code from 0 on for the group of each row, ``(n,)`` int64; a row without one (``None``, NaN) is on its own.

    Examples
    --------
    >>> group_codes(np.array(["b", None, "a", "b", None], dtype=object))
    array([1, 2, 0, 1, 3])
    """
    alone = [group is None or group != group for group in groups]
    names = [f"(row {i})" if alone[i] else str(group) for i, group in enumerate(groups)]
    _, codes = np.unique(np.asarray(names), return_inverse=True)
    return codes.astype(np.int64)


def joined_groups(*domains: Domain) -> np.ndarray | None:
    """The groups of the rows of several domains, one below the other; ``None`` where none of them names groups."""
    if all(domain.groups is None for domain in domains):
        return None
    return np.concatenate([np.full(len(d), None) if d.groups is None else d.groups for d in domains])


def unit_ids(*domains: Domain) -> np.ndarray:
    """Number of the unit of each row, ``(n,)``: rows that share a group or a content, directly or through others.

    Rows that are the same in another form (rounded, in other case, with other spaces) share their content.

    Parameters
    ----------
    *domains
        One or several, whose rows count one below the other; a group of the same name is the same group in all.
    """
    keys = itertools.chain.from_iterable(domain.inputs.keys() for domain in domains)
    _, contents = np.unique(np.asarray(list(keys), dtype=str), return_inverse=True)
    starts = np.cumsum([0, *(len(domain) for domain in domains)])
    pairs = [domain.inputs.near_pairs() + start for domain, start in zip(domains, starts, strict=False)]
    near = contents[np.concatenate(pairs)]
    near = near[near[:, 0] != near[:, 1]]
    named = joined_groups(*domains)
    if named is None and not len(near):
        return contents.astype(np.int64)
    import scipy.sparse as sparse

    groups = np.empty(0, dtype=np.int64) if named is None else group_codes(named)
    # Equal groups, equal contents and near copies are edges of one graph of groups and contents.
    nodes = groups.max(initial=-1) + 1 + contents
    ends = np.concatenate([np.stack([groups, nodes[: len(groups)]], axis=1), near + groups.max(initial=-1) + 1]).T
    size = nodes.max(initial=-1) + 1
    edges = sparse.coo_matrix((np.ones(ends.shape[1], dtype=np.int8), tuple(ends)), shape=(size, size))
    _, component = sparse.csgraph.connected_components(edges, directed=False)
    return np.asarray(component[nodes], dtype=np.int64)
