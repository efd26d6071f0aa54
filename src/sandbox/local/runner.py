"""Runs /sandbox/code/main.py as `__main__` and says on descriptor 3 which exception ended it.

Sits in the sandbox, next to untrusted code: nothing that it says is believed. Kept small, because it runs every time.
"""

import os
import sys

REPORT = 3
PATH = "/sandbox/code/main.py"


def report(kind, message):
    """Tell the host the exception's name; only ever shown to the user."""
    try:
        os.write(REPORT, (kind[:200] + "\n" + message[:2000]).encode("utf-8", "backslashreplace"))
    except OSError:
        pass


def show(error, stderr, write=os.write):
    """Print the traceback without this file's own frame, whatever the code did to `print` and `sys`."""
    try:
        import traceback

        trace = error.__traceback__.tb_next if error.__traceback__ else None
        text = "".join(traceback.format_exception(type(error), error, trace))
    except BaseException as second:
        text = "%s (and showing it failed: %s)\n" % (type(error).__name__, type(second).__name__)
    try:
        stderr.write(text)
        stderr.flush()
    except BaseException:
        write(2, text.encode("utf-8", "backslashreplace"))


def run():
    """Give the code a fresh `__main__` and run it."""
    os.set_inheritable(REPORT, False)
    for stream in (sys.stdout, sys.stderr):
        # A lone surrogate must not end a program that only prints it; a killed run keeps the lines that were finished.
        stream.reconfigure(errors="backslashreplace", line_buffering=True)
    main = type(sys)("__main__")
    main.__file__ = PATH
    main.__builtins__ = __builtins__
    sys.modules["__main__"] = main
    sys.argv = [PATH]
    sys.path.insert(0, "/sandbox/work")
    stderr = sys.stderr
    system_exit = SystemExit
    try:
        with open(PATH, "rb") as file:
            code = compile(file.read(), PATH, "exec", dont_inherit=True)
        exec(code, main.__dict__)
    except system_exit:
        raise
    except BaseException as error:
        try:
            message = str(error)
        except BaseException:
            message = "<its text cannot be shown>"
        report(type(error).__name__, message)
        show(error, stderr)
        raise system_exit(1) from None


run()
