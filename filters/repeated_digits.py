"""Rejects text with a digit many times in a row."""

from curate.api import Field, Verdict, present, rejects, text


@rejects
def repeated_digits(*, of: Field = "conversation", times: int = 9) -> Verdict:
    """Text in which one digit stands `times` times in a row.

    Why: a model that falls into a loop writes such numbers. Nine is FastChat's
    (fastchat/data/optional_clean.py, `--reduce-rep`, in any turn); its authors warn that good data goes too,
    such as addresses in memory, and prepare_all.py does not ask for it.
    Rejects: One third is 0.33333333333 to eleven places.
    Keeps: A million is 1000000, a hundred million 100000000.
    """
    return present(text(of), "|".join(f"{digit}{{{times}}}" for digit in range(10)))
