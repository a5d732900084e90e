"""The program as a module, for launchers: `torchrun --nproc-per-node 2 -m rmset_cli.fertrain semi …`."""

from .app import main

main()
