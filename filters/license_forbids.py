"""Rejects what the licences of its texts do not permit to be used as declared."""

import polars as pl

from curate.api import LicensePolicy, Verdict, allowed_licenses, forbidding_license, outside, rejects


@rejects
def license_forbids(
    *, policy: LicensePolicy = "commercial", target: str = "CC-BY-SA-4.0", also: tuple[str, ...] = ()
) -> Verdict:
    """A text whose licence forbids the use that `policy` declares.

    Why: a set is bound by the licence of each text in it, and on more than half of the data sets that others host
    the licence is wrong (Longpre et al., 2023, arXiv 2310.16787). Every work of a record counts, not the strictest
    alone. `commercial` allows licences that permit any use, and passing on what is adapted. `share_alike_safe`
    allows those whose works may all go into one work under `target`, a share-alike licence; BY-SA 2.5 goes into
    BY-SA 4.0, and not the other way round. `also` are licences that you vouch for, such as a contract of your own
    (`LicenseRef-ours`).

    The evidence is the licence that forbids. A record without a known licence is `license_forbids:unknown`. This
    is a reading of licences, and no legal advice.
    """
    use = target if policy == "share_alike_safe" else "commercial use"
    allowed = allowed_licenses(policy, target=target, also=also)
    return outside(forbidding_license(pl.col("license"), pl.col("works"), allowed, otherwise=use), (use,))
