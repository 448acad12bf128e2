"""Job that follows one image through the plain program."""

from bench.processes.request import FollowImage
from bench.worker.job import Worker
from bench.worker.side import PlainSide
from shared.model.weights import initial_head


def follow_image(worker: Worker[FollowImage]) -> dict:
    """Store what each step of the plain program makes of an image.

    Both sides get the same head, so that their logits can be compared. [D07]
    """
    request, num_classes = worker.request, worker.request.num_classes
    with worker.stage("build"):
        plain = PlainSide(request.arm)
        network, scaling, _ = plain.model.load_pretrained(request.weights)
    with worker.stage("follow"):
        head = initial_head(worker.config, num_classes)
        arrays = worker.side.walk.follow_image(
            str(request.photo), network, head, num_classes, scaling
        )
    return {"arrays": worker.store("walk", arrays)}
