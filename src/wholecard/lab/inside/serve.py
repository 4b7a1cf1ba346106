"""serve.py PORT MODULE: run an OpenStack service's WSGI application under cheroot, on loopback.

Runs with the lab's OpenStack environment, one process per service, for each has one global
configuration. `MODULE` holds `application`, as the service's own WSGI entry point does.
"""

import importlib
import sys

THREADS = 8


def main() -> None:
    port, module = int(sys.argv[1]), sys.argv[2]
    # The services parse sys.argv themselves when they are imported.
    sys.argv = [module]
    application = importlib.import_module(module).application
    # After the service: nova decides on its threading before anything else may be imported.
    from cheroot import wsgi
    from sqlalchemy.orm import configure_mappers

    # Else SQLAlchemy makes the models' relations at the first query, and neutron 29's list of
    # ports reads one before: a fresh server's first answer would be a 500.
    configure_mappers()
    server = wsgi.Server(
        ("127.0.0.1", port), application, numthreads=THREADS, max=4 * THREADS, request_queue_size=64
    )
    # A connection that is kept is one that a client takes up again in the moment in which it is
    # closed here, or after the machine was saved and woken: seen, and the request was lost.
    server.keep_alive_conn_limit = 0
    try:
        server.start()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
