"""A real model, as small as one can be: random weights, two layers, a vocabulary of bytes; it talks nonsense, truly.

The file is written here in the GGUF format (version 3, of the ggml project) and served by llama.cpp's own
OpenAI-compatible server, from the package ``xllamacpp``, so that one test meets an endpoint that we did not write.
"""

import os
import signal
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from freehold.testing.server import Behaviour, Server
from freehold.wire import child

CONTEXT: Final = 2_048
_WIDTH, _LAYERS, _HEADS, _INNER = 64, 2, 4, 128
_SPACE: Final = "\u2581"
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_PLAIN: Final = {_U32: "<I", _I32: "<i", _F32: "<f", _BOOL: "<?"}
_NORMAL_TOKEN, _UNKNOWN_TOKEN, _CONTROL_TOKEN, _BYTE_TOKEN = 1, 2, 3, 6
_ALIGNMENT: Final = 32
_TEMPLATE: Final = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant: "
)


class TinyModel(Server):
    """The tiny model as a process of its own; a context manager. ``url`` is the base address of its calls."""

    module = "freehold.testing.tiny"

    def __init__(self, folder: Path, *, port: int = 0, behaviour: Behaviour | None = None) -> None:
        super().__init__(folder, port=port, behaviour=behaviour)
        write(folder / "tiny.gguf")

    @property
    def url(self) -> str:
        """The base address of its calls."""
        return f"http://127.0.0.1:{self.port}/v1"


def write(path: Path, seed: int = 7) -> None:
    """Write the model's file; the same ``seed`` gives the same bytes."""
    tensors = _tensors(np.random.default_rng(seed))
    fields = _fields()
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(fields))]
    head += [_string(name) + _value(kind, value) for name, (kind, value) in fields.items()]
    offset = 0
    for name, data in tensors.items():
        shape = data.shape[::-1]  # the dimension that lies closest in memory comes first
        head.append(_string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset))
        offset += data.nbytes + -data.nbytes % _ALIGNMENT
    meta = b"".join(head)
    with path.open("wb") as file:
        file.write(meta + bytes(-len(meta) % _ALIGNMENT))
        for data in tensors.values():
            file.write(data.tobytes() + bytes(-data.nbytes % _ALIGNMENT))


def _tensors(random: np.random.Generator) -> dict[str, "np.ndarray[Any, np.dtype[np.float32]]"]:
    def weights(out: int, into: int) -> "np.ndarray[Any, np.dtype[np.float32]]":
        made: np.ndarray[Any, np.dtype[np.float32]] = random.standard_normal((out, into), np.float32)
        return made * np.float32(into**-0.5)

    ones = np.ones(_WIDTH, np.float32)
    found = {"token_embd.weight": weights(len(_tokens()), _WIDTH), "output_norm.weight": ones}
    for layer in range(_LAYERS):
        block = f"blk.{layer}."
        found |= {f"{block}attn_norm.weight": ones, f"{block}ffn_norm.weight": ones}
        found |= {f"{block}attn_{part}.weight": weights(_WIDTH, _WIDTH) for part in ("q", "k", "v", "output")}
        found |= {f"{block}ffn_{part}.weight": weights(_INNER, _WIDTH) for part in ("gate", "up")}
        found[f"{block}ffn_down.weight"] = weights(_WIDTH, _INNER)
    return found


def _tokens() -> list[tuple[str, int]]:
    special = [("<unk>", _UNKNOWN_TOKEN), ("<s>", _CONTROL_TOKEN), ("</s>", _CONTROL_TOKEN)]
    return [*special, *((f"<0x{byte:02X}>", _BYTE_TOKEN) for byte in range(256)), (_SPACE, _NORMAL_TOKEN)]


def _fields() -> Mapping[str, tuple[int, Any]]:
    tokens = _tokens()
    return {
        "general.architecture": (_STRING, "llama"),
        "general.name": (_STRING, "tiny"),
        "general.file_type": (_U32, 0),
        "llama.context_length": (_U32, CONTEXT),
        "llama.embedding_length": (_U32, _WIDTH),
        "llama.block_count": (_U32, _LAYERS),
        "llama.feed_forward_length": (_U32, _INNER),
        "llama.attention.head_count": (_U32, _HEADS),
        "llama.attention.head_count_kv": (_U32, _HEADS),
        "llama.attention.layer_norm_rms_epsilon": (_F32, 1e-5),
        "llama.rope.dimension_count": (_U32, _WIDTH // _HEADS),
        "llama.vocab_size": (_U32, len(tokens)),
        "tokenizer.ggml.model": (_STRING, "llama"),
        "tokenizer.ggml.tokens": (_ARRAY, (_STRING, [text for text, _ in tokens])),
        "tokenizer.ggml.scores": (_ARRAY, (_F32, [0.0] * len(tokens))),
        "tokenizer.ggml.token_type": (_ARRAY, (_I32, [kind for _, kind in tokens])),
        "tokenizer.ggml.unknown_token_id": (_U32, 0),
        "tokenizer.ggml.bos_token_id": (_U32, 1),
        "tokenizer.ggml.eos_token_id": (_U32, 2),
        "tokenizer.ggml.add_space_prefix": (_BOOL, False),
        "tokenizer.chat_template": (_STRING, _TEMPLATE),
    }


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(kind: int, value: Any) -> bytes:
    return struct.pack("<I", kind) + _bare(kind, value)


def _bare(kind: int, value: Any) -> bytes:
    if kind == _STRING:
        return _string(value)
    if kind == _ARRAY:
        inner, members = value
        return struct.pack("<IQ", inner, len(members)) + b"".join(_bare(inner, one) for one in members)
    return struct.pack(_PLAIN[kind], value)


def main() -> None:
    """Serve until killed; the arguments are the folder, the port and the parent's pid."""
    import xllamacpp

    child.die_with_parent(int(sys.argv[3]))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.umask(0o077)
    params = xllamacpp.CommonParams()
    params.model.path = str(Path(sys.argv[1]) / "tiny.gguf")
    params.port = int(sys.argv[2])
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.sampling.ignore_eos = True  # by chance it would end early, and a test could not say what it costs
    with (Path(sys.argv[1]) / "log").open("ab") as log:
        os.dup2(log.fileno(), 2)  # it says there what it does
    server = xllamacpp.Server(params)
    print(server.listening_address.rpartition(":")[2].rstrip("/"), flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
