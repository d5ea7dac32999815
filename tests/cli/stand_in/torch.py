"""Stands in for torch where only the handling of the worker is tested: importing the real one takes a second."""


def set_num_threads(count: int) -> None:
    global threads
    threads = count
