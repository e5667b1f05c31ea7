import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from curate.selection.quotas import draw_quotas
from curate.selection.together import components


def pairs_of(pairs):
    return pl.DataFrame(pairs, schema={"id_a": pl.String, "id_b": pl.String}, orient="row")


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=20),
)
def test_components_are_those_of_a_walk_through_the_graph(threads, pairs):
    ids = [f"{n:02}" for n in range(len(threads))]
    edges = [(f"{a:02}", f"{b:02}") for a, b in pairs]
    edges += [(ids[threads.index(thread)], ids[n]) for n, thread in enumerate(threads)]

    def reached(start):
        seen, found = {start}, [start]
        for node in found:
            for a, b in edges:
                for one, other in ((a, b), (b, a)):
                    if one == node and other not in seen:
                        seen.add(other)
                        found.append(other)
        return seen

    of = components(pl.Series(ids), np.array(threads), pairs_of([(f"{a:02}", f"{b:02}") for a, b in pairs]))
    for n, id in enumerate(ids):
        assert {ids[m] for m in np.flatnonzero(of == of[n])} == reached(id) & set(ids)


def test_near_duplicates_are_never_in_two_splits(eligible, quota):
    records = eligible([{"score": 3.0}, {"score": 2.0}, {"score": 1.0}])
    quotas = [quota("held-out", split="test", take=1, prefer="score"), quota("rest")]
    together = pairs_of([("jsonl:0000", "jsonl:0002")])
    picks = draw_quotas(records, quotas, seed=13, together=together)
    assert picks["split"].to_list() == ["test", "train", None]
    assert picks["why"][2] == "quota held-out is full; what it is like is in test"


def test_a_dropped_copy_links_the_two_that_it_is_a_copy_of(eligible, quota):
    records = eligible([{"score": 3.0}, {"score": 2.0}])
    together = pairs_of([("jsonl:0000", "jsonl:gone"), ("jsonl:0001", "jsonl:gone")])
    picks = draw_quotas(
        records, [quota("t", split="dev", take=1, prefer="score"), quota()], seed=13, together=together
    )
    assert picks["split"].to_list() == ["dev", None]
