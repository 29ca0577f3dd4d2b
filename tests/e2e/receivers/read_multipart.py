"""Standard input is a multipart body, the argument its Content-Type: prints its parts as JSON. For a Python with aiohttp."""

import asyncio
import base64
import json
import sys

import aiohttp
from aiohttp.base_protocol import BaseProtocol


async def main(content_type, body):
    content = aiohttp.StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**30, loop=asyncio.get_running_loop())
    content.feed_data(body)
    content.feed_eof()
    parts = []
    async for part in aiohttp.MultipartReader({"Content-Type": content_type}, content):
        parts.append({"headers": dict(part.headers), "body": base64.b64encode(await part.read()).decode()})
    json.dump(parts, sys.stdout)


asyncio.run(main(sys.argv[1], sys.stdin.buffer.read()))
