"""computeside.py HOST CARDS: one nova-compute, with the driver of `gpu_cards.py`.

Runs with the lab's OpenStack environment, against real RabbitMQ, conductor and Placement.
"""

# ruff: noqa: PLC0415 - nova decides on its threading before anything of it may be imported.

import sys
import threading

CONF = ("--config-file", "/etc/nova/nova.conf", "--config-dir", "/etc/nova/nova.conf.d")


def main():
    """Serve until the process is ended."""
    host, cards = sys.argv[1], int(sys.argv[2])
    sys.argv = ["nova-compute", *CONF, "--config-file", f"/lab/etc/computes/{host}.conf"]
    from nova import monkey_patch

    monkey_patch.patch(backend="threading")
    import gpu_cards
    import nova.virt

    gpu_cards.CARDS = cards
    # nova takes drivers from nova.virt alone.
    sys.modules["nova.virt.gpu_cards"] = nova.virt.gpu_cards = gpu_cards
    from nova.cmd import compute

    # Its threads do the work; it is ended from outside.
    compute.service.serve = lambda service, **_how: service.start()
    compute.service.wait = threading.Event().wait
    compute.main()


if __name__ == "__main__":
    main()
