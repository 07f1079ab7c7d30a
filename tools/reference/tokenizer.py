"""Trains the small SentencePiece model of the tests and writes the text <-> id pairs they check.

    python tools/reference/tokenizer.py            rewrites tests/data/tokenizer.model and tokenizer_golden.txt

The model has the settings of LLaMA's (BPE, byte fallback, identity normaliser, dummy prefix, digits split, ids 0/1/2
for unknown/begin/end, no padding id) but only 512 pieces. It is trained on text that this script makes up from word
lists and a fixed seed, so the same package version writes the same bytes. Needs the `sentencepiece` package.

tokenizer_golden.txt has one case a line, fields separated by tabs:
    E <text> <ids>     encode without begin-of-sentence
    D <ids> <text>     decode
Texts are UTF-8 with the escapes \\n \\t \\r \\\\ and \\xNN (a byte); ids are decimal, separated by spaces.
"""

import io
import pathlib
import random

import sentencepiece

VOCAB = 512
DATA = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data"

SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
COLOURS = "red blue green yellow purple orange black white grey pink".split()
SHAPES = "square circle triangle star ring cross box line dot heart".split()
THINGS = "dog cat person man woman child car tree bird boat table cup book horse hat ball house".split()
PLACES = ("left", "right", "top", "bottom", "middle", "corner")
RELATIONS = ("next to", "above", "below", "behind", "in front of", "inside", "on")
JOINTS = "nose left_eye right_eye left_ear right_ear left_wrist right_knee left_ankle".split()
QUESTIONS = (
    "What is in the image?",
    "How many {}s are there?",
    "Which colour is the {}?",
    "Where is the {}?",
    "Is there a {} in the picture?",
    "Describe the image and give the bounding box of each object.",
    "Please give the coordinates of the {}.",
)
# Rare on purpose: the trainer drops most of these letters, so the tests see byte fallback.
FOREIGN = ("naïve café", "größe", "καλημέρα", "привет", "你好", "こんにちは", "សួស្តី", "שלום", "नमस्ते", "🙂", "👩‍🚀", "½ × ±")


def box(rng):
    x1, x2 = sorted(rng.random() for _ in range(2))
    y1, y2 = sorted(rng.random() for _ in range(2))
    return f"{x1:.3f},{y1:.3f},{x2:.3f},{y2:.3f}"


def sentence(rng):
    colour, shape, thing = rng.choice(COLOURS), rng.choice(SHAPES), rng.choice(THINGS)
    forms = (
        lambda: f"There is a {colour} {shape} at the {rng.choice(PLACES)} of the image.",
        lambda: f"The {thing} is {rng.choice(RELATIONS)} the {rng.choice(THINGS)}.",
        lambda: f"<p>a {thing}</p>[{box(rng)}] and <p>two {shape}s</p>[{box(rng)};{box(rng)}].",
        lambda: f"[{box(rng)}]",
        lambda: f"<p>{rng.choice(JOINTS)}</p>[{rng.random():.3f},{rng.random():.3f}]",
        lambda: f"### Human: {rng.choice(QUESTIONS).format(thing)}",
        lambda: f"### Assistant: The {shape} is {colour}.",
        lambda: f"### Assistant: {rng.choice(('yes', 'no', 'one', 'two', 'I can see a ' + thing + '.'))}",
        lambda: f"I can see {rng.randrange(2, 20)} {thing}s; the {colour} one isn't {rng.choice(RELATIONS)} the {shape}.",
    )
    return rng.choice(forms)()


def corpus():
    rng = random.Random(20231206)
    yield "".join(chr(c) for c in range(33, 127))  # every printable ASCII character is a piece
    for i in range(6000):
        if i % 40 == 0:
            yield SYSTEM
        if i % 1500 == 0:
            yield rng.choice(FOREIGN)
        yield sentence(rng)


def train():
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=corpus(),
        model_writer=out,
        model_type="bpe",
        vocab_size=VOCAB,
        character_coverage=0.9999,
        required_chars="".join(chr(c) for c in range(33, 127)) + "é" + "你",
        byte_fallback=True,
        normalization_rule_name="identity",
        add_dummy_prefix=True,
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return out.getvalue()


def texts():
    one = "<p>A dog</p>[0.10,0.20,0.30,0.40] next to <p>two cats</p> [0.50,0.60,0.70,0.80;0.11,0.12,0.13,0.14]."
    yield from ("", " ", "  ", "a", " a", "  a  b   c    d", "\n", "\n\n###", "\n###", "###", "\t", "a\tb\r\nc")
    yield SYSTEM + "\n\n### Human: What's in the image?\n### Assistant:"
    yield SYSTEM + "\n\n### Human: What's in the image?\n### Assistant: A cat.\n### Human: And now?\n### Assistant:"
    yield from (one, "[0.123,0.456,0.789,1.000]", "<p>left_eye</p>[0.5,0.25]", "1234567890", "the red square")
    yield from ("</s>", "<s>", "<unk>", "<0x0A>", "▁", "a▁b", "\\", "\x00", "a\x00b", "\x7f")
    yield from ("é", "e\u0301", "naïve café", "größe", "καλημέρα", "привет мир", "你好,世界", "こんにちは", "សួស្តី ពិភពលោក")
    yield from ("שלום", "नमस्ते", "🙂", "👩‍🚀🚀", "🇰🇭", "½ × ±", "\ufeffx", "\u2028", "\u00a0", "x" * 70, "\U0010ffff")
    yield from ("Hi my darling", "my darling", "@", "@\n###", "`\n###", "=", ">")
    rng = random.Random(7)
    for _ in range(60):
        yield " ".join(sentence(rng) for _ in range(rng.randrange(1, 4)))
    letters = "ab  \n\t#.,[]<>/01éß你កខ🙂▁"
    for _ in range(100):
        yield "".join(rng.choice(letters) for _ in range(rng.randrange(1, 30)))


INVALID = (
    b"\xff", b"a\xffb", b"\xc3", b"\xc3(", b"\xe1\x9e", b"\xe1\x9ea", b"\xf0\x9f\x99", b"\xf0\x9f\x99 ok",
    b"\x80\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"ok \xfe\xfe ok",
)


def id_lists():
    byte = lambda text: [3 + b for b in text]
    yield from ([], [0], [1], [2], [1, 2], [3 + 10], [0, 0], [1, 0, 2])
    yield byte("🙂".encode())
    yield byte("🙂".encode()[:3])
    yield byte("🙂".encode()[:2]) + [300]
    yield byte(b"\xff\xfe") + byte("é".encode()) + byte(b"\x80")
    yield byte(b"\xe1\x9e") + [2] + byte(b"\x84")
    yield byte(b"\xed\xa0\x80")
    rng = random.Random(11)
    for length in (2, 3, 5, 9, 20):
        for _ in range(24):
            yield [rng.choice((rng.randrange(VOCAB), rng.randrange(259, VOCAB), rng.randrange(4))) for _ in range(length)]


def escape(data):
    out = []
    try:
        text = data.decode()
        simple = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}
        for c in text:
            printable = c.isprintable() or c in "\u200d"
            out.append(simple.get(c) or (c if printable else "".join(f"\\x{b:02x}" for b in c.encode())))
    except UnicodeDecodeError:
        out = [f"\\x{b:02x}" if b < 32 or b > 126 or b == 92 else chr(b) for b in data]
    return "".join(out)


def golden(sp):
    lines = []
    for data in [t.encode() for t in texts()] + list(INVALID):
        ids = sp.encode(data)
        lines.append(f"E\t{escape(data)}\t{' '.join(map(str, ids))}")
    space = sp.piece_to_id("▁")
    the = sp.encode("the")[0]
    extra = [[the], [space, the], [13, the], [space], [space, space, the], [1, the, the], [1, 13, space, the]]
    for ids in list(id_lists()) + extra:
        lines.append(f"D\t{' '.join(map(str, ids))}\t{escape(sp.decode(ids).encode())}")
    return "\n".join(lines) + "\n"


def main():
    model = train()
    sp = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert sp.vocab_size() == VOCAB
    (DATA / "tokenizer.model").write_bytes(model)
    (DATA / "tokenizer_golden.txt").write_text(golden(sp), encoding="utf-8")


if __name__ == "__main__":
    main()
