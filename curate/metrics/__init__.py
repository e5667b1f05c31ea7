"""Numbers that describe a set of rows: how diverse, how clean, in which style and how long.

Nothing here judges a record: a metric is of a set, and is told beside random draws from the same pool, since alone
it says little (`curate.controls`). A family of metrics is a module, a metric a function with its formula and its
source:

| module | asks |
|---|---|
| `lexical` | how much words repeat one another |
| `structure` | what prompts ask for, and which categories there are |
| `semantic` | how rows lie in the space of an encoder, and how they stand for their pool |
| `quality` | which plain defects there are |
| `style` | how responses are written, apart from what they say |
| `lengths` | how long they are |

What all sets from one pool share is made once, by `Prepared`; a set then is an array of places in the pool. The
order of rows, and the number of threads, change no value.
"""

from curate.metrics.contract import MetricInfo, Sample
from curate.metrics.panel import measure, panel
from curate.metrics.prepared import Chosen, Prepared, metrics
from curate.metrics.verbs import verb_nouns

__all__ = ["Chosen", "MetricInfo", "Prepared", "Sample", "measure", "metrics", "panel", "verb_nouns"]
