"""Recursion, JSON, regular expressions, sorting with a callback."""
import json
import re
import sys
import time


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


END = time.time() + float(sys.argv[1])
TEXT = json.dumps([{"a": i, "b": str(i) * 3} for i in range(20000)])
while time.time() < END:
    fib(18)
    json.loads(TEXT)
    re.findall(r"[0-9]{3,}", TEXT)
    sorted(TEXT.split(), key=lambda word: word[::-1])
