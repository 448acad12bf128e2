"""Traps of PyTorch code that the ledger knows."""

import ast
import re
from collections.abc import Iterator

from bench.lesson.check.program import (
    Finding,
    Function,
    Program,
    keyword,
    last_name,
    number,
    owner,
    with_argument,
)

IMAGES = re.compile(r"(?i)(image|img|photo|pixel|batch|picture)")
SCHEDULERS = re.compile(r"(LR|Restarts)$")  # but ReduceLROnPlateau, which has no D-id
WITH_BATCH_NORM = re.compile(
    r"(resnet|resnext|mobilenet|efficientnet|densenet|inception|googlenet|mnasnet|"
    r"regnet|shufflenet|vgg\d+_bn)"
)


def frozen_batch_norm(program: Program) -> Iterator[Finding]:
    """[D01] Parameters are frozen, and train() lets batch norm go on."""
    if not _freezes(program) or _overrides_train(program):
        return
    if any(_is_part(call) for call in program.calls("eval")):
        return
    source = ast.unparse(program.tree)
    if not WITH_BATCH_NORM.search(source) or "BatchNorm" in source:
        return  # there is none, or the program cares for it
    for call in program.calls("train"):
        if call.args or call.keywords or not owner(call):
            continue
        model = owner(call)
        yield Finding(
            call.lineno,
            "D01",
            "the parameters are frozen, but train() lets the batch norm of the frozen "
            "layers take each batch's statistics",
            f"{model}.train()\n"
            f"for layer in {model}.modules():\n"
            "    if isinstance(layer, nn.BatchNorm2d):\n"
            "        layer.eval()",
        )


def _freezes(program: Program) -> bool:
    for call in program.calls("requires_grad_"):
        if call.args and ast.unparse(call.args[0]) == "False":
            return True
    return any(
        isinstance(node, ast.Assign)
        and any(last_name(target) == "requires_grad" for target in node.targets)
        and ast.unparse(node.value) == "False"
        for node in ast.walk(program.tree)
    )


def _overrides_train(program: Program) -> bool:
    return any(
        isinstance(node, ast.ClassDef)
        and any(getattr(one, "name", "") == "train" for one in node.body)
        for node in ast.walk(program.tree)
    )


def _is_part(call: ast.Call) -> bool:
    """Return whether eval() is called on a part of a model, or on a layer."""
    return "." in owner(call) or owner(call) in ("backbone", "layer", "module", "m")


def swapped_axes(program: Program) -> Iterator[Finding]:
    """[D04] Two axes are swapped where the channels should move."""
    for call in program.calls("swapaxes", "transpose", "swapdims"):
        axes = [number(argument) for argument in call.args]
        name = owner(call)
        if name in ("np", "numpy", "torch"):
            name, axes = ast.unparse(call.args[0]), axes[1:]
        orders = {(1.0, 3.0): "0, 3, 1, 2", (0.0, 2.0): "2, 0, 1"}
        pair = tuple(sorted(one for one in axes if one is not None))
        if len(axes) == 2 and pair in orders:
            yield Finding(
                call.lineno,
                "D04",
                "swapping two axes moves the channels and transposes the image as well",
                f"{name}.permute({orders[pair]})  # channels first",
            )
    for node in ast.walk(program.tree):
        if isinstance(node, ast.Attribute) and node.attr == "T":
            name = last_name(node.value)
            if IMAGES.search(name):
                yield Finding(
                    node.lineno,
                    "D04",
                    ".T reverses all axes, and so transposes the image as well",
                    f"{name}.permute(2, 0, 1)  # from (H, W, C) to (C, H, W)",
                )


def softmax_before_loss(program: Program) -> Iterator[Finding]:
    """[D13] The network ends in a softmax, and the loss applies another one."""
    if not program.has_call("CrossEntropyLoss", "cross_entropy"):
        return
    forwards = [one for one in program.functions if one.name == "forward"]
    layers = [*program.calls("Softmax", "LogSoftmax")]
    inside = [
        call
        for forward in forwards
        for call in program.calls("softmax", "log_softmax", inside=forward)
        if isinstance(call, ast.Call)
    ]
    for call in [*layers, *_given_to_loss(program), *inside]:
        yield Finding(
            call.lineno,
            "D13",
            "cross entropy applies a softmax itself, and takes the logits before it",
            "return logits  # softmax only where you need probabilities",
        )


def _given_to_loss(program: Program) -> Iterator[ast.Call]:
    for loss in program.calls("cross_entropy", "criterion", "loss_fn"):
        for argument in loss.args[:1]:
            yield from program.calls("softmax", inside=argument)


def missing_eval(program: Program) -> Iterator[Finding]:
    """[D20] Nothing turns dropout and batch norm's training mode off."""
    if program.has_call("eval") or not program.has_call("backward"):
        return
    networks = {owner(call) for call in program.calls("parameters", "train")}
    for node in ast.walk(program.tree):
        if not isinstance(node, ast.With):
            continue
        modes = [last_name(call.func) for call in _contexts(node)]
        if not {"no_grad", "inference_mode"} & {*modes}:
            continue
        called = {
            ast.unparse(c.func) for c in ast.walk(node) if isinstance(c, ast.Call)
        }
        if used := sorted(networks & called):
            yield Finding(
                node.lineno,
                "D20",
                "there is no eval(), so dropout and batch norm stay in training mode "
                "where the network is only used",
                f"{used[0]}.eval()\n{program.statement(node)}",
            )
            return


def _contexts(node: ast.With) -> list[ast.Call]:
    expressions = [item.context_expr for item in node.items]
    return [one for one in expressions if isinstance(one, ast.Call)]


def coupled_decay(program: Program) -> Iterator[Finding]:
    """[D09] Adam adds the weight decay to the gradient; Keras's does not."""
    for call in program.calls("Adam"):
        decay = keyword(call, "weight_decay")
        if decay is not None and number(decay) != 0:
            text = ast.unparse(call)
            yield Finding(
                call.lineno,
                "D09",
                "PyTorch's Adam adds the decay to the gradient (L2); Keras's Adam and "
                "AdamW shrink the weights",
                text.replace("Adam(", "AdamW(", 1),
            )


def mean_of_means(program: Program) -> Iterator[Finding]:
    """[D10] The loss of an epoch is a mean of batch means."""
    for scope in program.scopes():
        sums = {
            last_name(node.target): node
            for node in ast.walk(scope)
            if isinstance(node, ast.AugAssign)
            and isinstance(node.op, ast.Add)
            and isinstance(node.value, ast.Call)
            and last_name(node.value.func) == "item"
            and "loss" in ast.unparse(node.value)
        }
        for node in ast.walk(scope):
            if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
                continue
            right = ast.unparse(node.right)
            if last_name(node.left) in sums and re.fullmatch(
                r"len\(\w*loader\w*\)", right
            ):
                added = sums.pop(last_name(node.left))
                yield Finding(
                    added.lineno,
                    "D10",
                    "a mean of batch means gives the images of a smaller last batch "
                    "more weight; Keras's mean does not",
                    f"{ast.unparse(added)} * len(labels)  # and divide by "
                    f"{right[:-1]}.dataset)",
                )


def rotation_in_turns(program: Program) -> Iterator[Finding]:
    """[D11] An angle in degrees is given as a share of a turn."""
    for call in program.calls("RandomRotation"):
        angle = number(keyword(call, "degrees") or (call.args or [None])[0])
        if angle is not None and 0 < angle < 1:
            yield Finding(
                call.lineno,
                "D11",
                f"torchvision takes degrees: {angle:g} is almost no rotation; Keras "
                "takes a share of a turn",
                f"{ast.unparse(call.func)}({360 * angle:g})",
            )


def unshuffled_training(program: Program) -> Iterator[Finding]:
    """[D14] A DataLoader does not shuffle by itself; Keras's fit() does."""
    for call in program.calls("DataLoader"):
        if not call.args or "train" not in ast.unparse(call.args[0]).lower():
            continue
        given = {one.arg for one in call.keywords}
        if len(call.args) > 2 or given & {"shuffle", "sampler", "batch_sampler", None}:
            continue
        yield Finding(
            call.lineno,
            "D14",
            "a DataLoader keeps the order of the files, so batches have one class; "
            "Keras's fit() shuffles",
            with_argument(call, "shuffle", "True"),
        )


def forgotten_step(program: Program) -> Iterator[Finding]:
    """[D29] A scheduler that is never stepped."""
    for node in ast.walk(program.tree):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        kind = last_name(node.value.func)
        if not SCHEDULERS.search(kind) or "optim" not in ast.unparse(node.value):
            continue
        names = [last_name(target) for target in node.targets]
        steps = [call for call in program.calls("step") if owner(call) in names]
        passed = [
            use
            for use in ast.walk(program.tree)
            if isinstance(use, ast.Name) and use.id in names and use not in node.targets
        ]
        if not steps and not passed:
            yield Finding(
                node.lineno,
                "D29",
                "the scheduler has no step(), so the learning rate never changes",
                f"{names[0]}.step()  # after optimizer.step()",
            )


def missing_zero_grad(program: Program) -> Iterator[Finding]:
    """[D40] Nothing takes the gradients of the last step away."""
    if program.has_call("zero_grad") or not program.has_call("step"):
        return
    if re.search(r"\.grad = None|Accelerator|Lightning", ast.unparse(program.tree)):
        return
    repeated = ast.For | ast.While | Function
    loops = [node for node in ast.walk(program.tree) if isinstance(node, repeated)]
    for loop in loops:
        for call in program.calls("backward", inside=loop):
            yield Finding(
                call.lineno,
                "D40",
                "backward() adds to the gradients of the steps before, since nothing "
                "takes them away",
                f"optimizer.zero_grad()\n{program.statement(call)}",
            )


def unsafe_load(program: Program) -> Iterator[Finding]:
    """[D41] A checkpoint may run code while it is read."""
    for call in program.calls("load"):
        if owner(call) != "torch":
            continue
        value = keyword(call, "weights_only")
        if value is None or ast.unparse(value) == "False":
            yield Finding(
                call.lineno,
                "D41",
                "a file from a stranger can run code while it is read, without "
                "weights_only before PyTorch 2.6, and with weights_only=False always",
                with_argument(call, "weights_only", "True"),
            )


def fixed_batch(program: Program) -> Iterator[Finding]:
    """[D42] An exported file takes batches of one size only."""
    free = {"dynamic_shapes", "dynamic_axes", None}  # None: **options
    for call in program.calls("export"):
        if owner(call) != "torch.onnx" or free & {one.arg for one in call.keywords}:
            continue
        yield Finding(
            call.lineno,
            "D42",
            "the exported file takes only batches of the size of the example",
            with_argument(call, "dynamic_shapes", "({0: torch.export.Dim('batch')},)"),
        )


RULES = (
    frozen_batch_norm,
    swapped_axes,
    softmax_before_loss,
    missing_eval,
    coupled_decay,
    mean_of_means,
    rotation_in_turns,
    unshuffled_training,
    forgotten_step,
    missing_zero_grad,
    unsafe_load,
    fixed_batch,
)
