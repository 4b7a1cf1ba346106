"""nova-compute killed between two statements, and what its next process does: in nova's Python."""

from __future__ import annotations

from nova import objects


class Killed(BaseException):
    """nova-compute ends here, as by SIGKILL: nothing of nova's catches it."""


class Life:
    """How many statements nova-compute still does; None is for ever."""

    def __init__(self):
        self.left = None

    def goes_on(self, *_):
        """Before each request to Placement and each transaction in the cell."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed

    def spend(self, work, begins, left):
        """Whether it was killed in this work, so many statements after the stage `begins`.

        The first stage where that is None.
        """
        spent = False
        try:
            for stage in work:
                if not spent and begins in (None, stage):
                    spent, self.left = True, left
        except Killed:
            return True
        finally:
            self.left = None
        return False


def interrupted(moves, host):
    """compute/manager.py, _init_instance: what the last process had begun, before anything else."""
    for row in objects.InstanceList.get_by_host(moves.world.context, host):
        instance = moves.server(row.uuid)
        if instance.vm_state == "deleted" or instance.task_state == "deleting":
            yield from moves.end_delete(instance, host)
        elif instance.vm_state == "building" or instance.task_state in ("scheduling", "spawning"):
            moves.set(instance, vm_state="error", task_state=None)
            yield "error"
