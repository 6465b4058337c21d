"""The tensors that torch's networks have, without num_batches_tracked.

    python3 tensors.py > tensors.tsv

Columns: network, number of tensors, number of elements, SHA-256 of the lines
"name dims" in the order of the state_dict.
"""
import hashlib
from nets import NETWORKS, make

for name in NETWORKS:
    state = {k: v for k, v in make(name, 1000)[0].state_dict().items() if not k.endswith("num_batches_tracked")}
    text = "".join("%s %s\n" % (k, " ".join(map(str, v.shape))) for k, v in state.items())
    print(name, len(state), sum(v.numel() for v in state.values()), hashlib.sha256(text.encode()).hexdigest(), sep="\t", flush=True)
