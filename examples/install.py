import asyncio

import hagane

report = hagane.install()

# From here on an AgentFlow program as it was before.
from agentflow.observability import get_metrics
from agentflow.sandbox import get_sandbox


async def main() -> None:
    sandbox = get_sandbox()
    result = await sandbox.execute("print(6 * 7)")
    get_metrics().counter("answers", "Answers given", ["kind"]).inc(labels={"kind": "number"})
    print(type(sandbox).__module__, result.stdout.strip())


asyncio.run(main())
shown = hagane.observability.get_metrics().to_prometheus()
print([line for line in shown.splitlines() if "answers{" in line])
print(report.replaced[-1], report.awaited, report.skipped)
