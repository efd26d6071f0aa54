import asyncio

from hagane.sandbox import get_sandbox

CODE = """
rows = [int(line) for line in open("sales.csv")]
print("total", sum(rows))
open("report.txt", "w").write(f"{len(rows)} rows")
"""


async def main() -> None:
    async with get_sandbox() as sandbox:
        result = await sandbox.execute(CODE, timeout=10.0, files={"sales.csv": b"3\n4\n5\n"})
        print(result.stdout.strip(), result["exit_code"], result.files)

        looping = await sandbox.execute("while True: pass", timeout=0.5)
        print("endless loop:", looping.exit_code)

        curious = await sandbox.execute("import socket; socket.create_connection(('192.0.2.1', 80))")
        print("network:", curious.success)


asyncio.run(main())
