"""Freed memory is used again: how many pages the kernel hands to a process that frees and requests large buffers."""

import os
import platform
import subprocess
import sys

import pytest

# by itself glibc keeps buffers of up to 32 MiB
ROUNDS, SIZE = 8, 40 << 20
PAGES = ROUNDS * SIZE // 4096

FAULTS = f"""
import ctypes, resource
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({ROUNDS}):
        buffer = malloc({SIZE})
        ctypes.memset(buffer, 1, {SIZE})
        free(buffer)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")


def pages(code: str, **settings: str) -> list[int]:
    """Run code that prints numbers, in a process of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    code = FAULTS + code
    done = subprocess.run([sys.executable, "-c", code], env={**plain, **settings}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


@glibc
def test_a_process_that_keeps_freed_memory_gets_its_pages_once():
    again, kept, once = pages(
        "print(faults())\nfrom fertrain.allocator import keep_freed_memory\nprint(int(keep_freed_memory()))\n"
        "faults(); print(faults())"
    )
    assert kept
    assert again > 0.9 * PAGES
    assert once < 0.1 * PAGES


@glibc
@pytest.mark.parametrize(
    "settings", [{"MALLOC_MMAP_THRESHOLD_": "1000000"}, {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=1000000"}]
)
def test_settings_of_the_user_take_precedence(settings):
    kept, again = pages(
        "from fertrain.allocator import keep_freed_memory\nprint(int(keep_freed_memory()))\nprint(faults())",
        **settings,
    )
    assert not kept
    assert again > 0.9 * PAGES


@glibc
def test_the_program_keeps_freed_memory():
    *_, once = pages(
        "import contextlib, io, sys\nfrom rmset_cli.fertrain.app import main\nsys.argv = ['fertrain', 'recipes']\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n    main()\n"
        "faults(); print(faults())"
    )
    assert once < 0.1 * PAGES
