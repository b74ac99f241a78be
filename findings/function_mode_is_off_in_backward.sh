#!/usr/bin/env bash
# torch 2.13.0: a TorchFunctionMode around a forward and its backward, with activation checkpointing.
#
# Guess:  both lie within the `with` block, so the mode sees every call in it: also those of the forward that a
#         checkpoint runs again during `backward()`, as a TorchDispatchMode does.
# Seen:   `backward` is itself a function that the mode is asked about, and the mode is off while it runs. The second
#         forward is not seen. A reentrant checkpoint reports nothing: what the mode replaces in the first forward is the
#         original again in the second, from which the gradients are taken. Entering the mode anew around the call does
#         not help, for `torch.autograd.backward` asks it again.
# Why it matters: precision and quantisation tools, and faster kernels, that a mode puts in the place of torch's own give
#         gradients of another function than the one whose loss was logged.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq torch==2.13.0 numpy
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint


class Functions(TorchFunctionMode):
    seen = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is functional.relu:
            self.seen += 1
            return args[0] * 3  # so that the gradient says which of the two was used
        return func(*args, **(kwargs or {}))


class FunctionsAgain(Functions):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.backward:
            with self:
                return torch.autograd.backward(args[0])
        return super().__torch_function__(func, types, args, kwargs)


class Operations(TorchDispatchMode):
    seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen += func is torch.ops.aten.relu.default
        return func(*args, **(kwargs or {}))


runs = 0


def block(states):
    global runs
    runs += 1
    return functional.relu(states)


found = {}
for kind in (Functions, FunctionsAgain, Operations):
    states, runs = torch.ones(4, requires_grad=True), 0
    with kind() as mode:
        result = checkpoint(block, states, use_reentrant=True).sum()
        result.backward()
    found[kind.__name__] = mode.seen
    print(f"{kind.__name__}: the block ran {runs} times, the mode saw {mode.seen}; result {result.item():.0f},",
          f"its gradient by the states {states.grad.tolist()}")
    assert runs == 2
    if kind is not Operations:
        # The result is 3 times the states, and the gradient says that it is 1 times.
        assert result.item() == 12 and states.grad.tolist() == [1, 1, 1, 1], "the mode holds in a backward now"
assert found == {"Functions": 1, "FunctionsAgain": 1, "Operations": 2}, "the modes see other calls now"
print("torch", torch.__version__)
PYTHON
