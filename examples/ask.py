#!/usr/bin/env python3
"""One question about one image through libsphinx, with nothing but Python's standard library.

    ./ask.py models/SPHINX-v2-1k cat.jpg "Where is the cat?"

The library is the one that the linker finds, or the file that the variable SPHINX_LIBRARY names. The structures below
are those of sphinx.h, field by field.
"""

import ctypes as c
import os
import sys


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("text", c.c_char * 1024)]


PIECE = c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(c.c_char), c.c_size_t)


class AskOptions(c.Structure):
    _fields_ = [
        ("max_tokens", c.c_int),
        ("temperature", c.c_float),
        ("top_p", c.c_float),
        ("top_k", c.c_int),
        ("min_p", c.c_float),
        ("repeat_penalty", c.c_float),
        ("repeat_last_n", c.c_int),
        ("seed", c.c_uint64),
        ("stop", c.POINTER(c.c_char_p)),
        ("n_stop", c.c_size_t),
        ("ignore_eos", c.c_bool),
        ("answer_prefix", c.c_char_p),
        ("grammar", c.c_char_p),
        ("json_schema", c.c_char_p),
        ("lookup", c.c_int),
        ("draft_max", c.c_int),
        ("draft_min", c.c_int),
        ("draft_p_min", c.c_float),
        ("piece", PIECE),
        ("token", c.c_void_p),
        ("n_top", c.c_int),
        ("user", c.c_void_p),
    ]


class Box(c.Structure):
    _fields_ = [
        ("label", c.c_char_p),
        ("box", c.c_double * 4),
        ("square", c.c_double * 4),
        ("confidence", c.c_double),
        ("color", c.c_int),
    ]


class Point(c.Structure):
    _fields_ = [
        ("label", c.c_char_p),
        ("point", c.c_double * 2),
        ("square", c.c_double * 2),
        ("confidence", c.c_double),
        ("color", c.c_int),
        ("person", c.c_int),
    ]


class Timing(c.Structure):
    _fields_ = [("stage", c.c_char_p), ("seconds", c.c_double)]


class Answer(c.Structure):
    _fields_ = [
        ("text", c.c_char_p),
        ("tokens", c.POINTER(c.c_int32)),
        ("logprobs", c.POINTER(c.c_float)),
        ("spans", c.c_void_p),
        ("n_tokens", c.c_size_t),
        ("prompt_tokens", c.c_size_t),
        ("image_tokens", c.c_size_t),
        ("cached_tokens", c.c_size_t),
        ("image_cached", c.c_bool),
        ("drafted_tokens", c.c_size_t),
        ("accepted_tokens", c.c_size_t),
        ("dropped_turns", c.c_size_t),
        ("finish", c.c_int),
        ("boxes", c.POINTER(Box)),
        ("n_boxes", c.c_size_t),
        ("points", c.POINTER(Point)),
        ("n_points", c.c_size_t),
        ("regions", c.c_void_p),
        ("n_regions", c.c_size_t),
        ("malformed", c.c_size_t),
        ("timings", c.POINTER(Timing)),
        ("n_timings", c.c_size_t),
    ]


def load_library():
    lib = c.CDLL(os.environ.get("SPHINX_LIBRARY", "libsphinx.so.0"))
    error, handle = c.POINTER(Error), c.c_void_p
    lib.sphinx_model_open.argtypes = [c.POINTER(handle), c.POINTER(c.c_char_p), c.c_int, c.c_void_p, error]
    lib.sphinx_session_open.argtypes = [c.POINTER(handle), handle, c.c_void_p, error]
    lib.sphinx_session_image_file.argtypes = [handle, c.c_char_p, error]
    lib.sphinx_ask_options_default.restype = AskOptions
    lib.sphinx_ask.argtypes = [handle, c.c_char_p, c.POINTER(AskOptions), c.POINTER(c.POINTER(Answer)), error]
    for release in (lib.sphinx_model_close, lib.sphinx_session_close, lib.sphinx_answer_free):
        release.argtypes, release.restype = [handle], None
    return lib


@PIECE
def put(_user, text, size):
    sys.stdout.buffer.write(text[:size])
    sys.stdout.buffer.flush()
    return 0  # go on


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: ask.py MODEL IMAGE QUESTION")
    path, image, question = map(os.fsencode, sys.argv[1:])
    lib = load_library()
    model, session, answer, error = c.c_void_p(), c.c_void_p(), c.POINTER(Answer)(), Error()

    def check(status):
        if status != 0:
            sys.exit("ask.py: " + error.text.decode(errors="replace"))

    options = lib.sphinx_ask_options_default()
    options.temperature = 0  # the most likely answer, the same every time
    options.max_tokens = 128
    options.piece = put
    try:
        check(lib.sphinx_model_open(c.byref(model), (c.c_char_p * 1)(path), 1, None, c.byref(error)))
        check(lib.sphinx_session_open(c.byref(session), model, None, c.byref(error)))
        check(lib.sphinx_session_image_file(session, image, c.byref(error)))
        check(lib.sphinx_ask(session, question, c.byref(options), c.byref(answer), c.byref(error)))
        print()
        for box in answer.contents.boxes[: answer.contents.n_boxes]:
            name = box.label.decode() or "box"
            x1, y1, x2, y2 = box.box
            print(f"{name}: {x1:.0f},{y1:.0f} to {x2:.0f},{y2:.0f}, confidence {box.confidence:.2f}")
    finally:
        lib.sphinx_answer_free(answer)
        lib.sphinx_session_close(session)
        lib.sphinx_model_close(model)


if __name__ == "__main__":
    main()
