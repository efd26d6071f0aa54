import asyncio
from urllib.request import urlopen

from hagane.observability import get_metrics, metrics_tracked, serve_metrics


class Greeter:
    name = "greeter"

    @metrics_tracked
    async def run(self, inputs):
        return {"greeting": f"Hello, {inputs['name']}!"}


asyncio.run(Greeter().run({"name": "Aiko"}))
get_metrics().counter("greetings", "Greetings sent", ["language"]).inc(labels={"language": "en"})

with serve_metrics(port=0) as server:
    page = urlopen(f"http://127.0.0.1:{server.port}/metrics").read().decode()
for line in page.splitlines():
    if 'agent="greeter",status="success"' in line or 'language="en"' in line:
        print(line)
