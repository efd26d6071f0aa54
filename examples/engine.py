from hagane.engines import PipelineEngine, StageConfig
from hagane.rollback import SqliteStore
from hagane.validation import QualityGate


def research(inputs):
    return {"facts": [f"{inputs['topic']} is iron with a little carbon"]}


def write(inputs):
    # A failed gate comes back as feedback; a model would get it in its prompt.
    told = "_feedback" in inputs
    return {"text": inputs["facts"][0] if told else "...", "completeness_score": 95 if told else 40}


engine = PipelineEngine(
    stages=[StageConfig(name="research", agent=research), StageConfig(name="write", agent=write)],
    quality_gates=[QualityGate("completeness", lambda r: r.get("completeness_score", 0) >= 80, on_fail="retry")],
    checkpoint_store=SqliteStore("runs.sqlite"),
)
result = engine.run_sync({"topic": "steel"})
print(result["status"], "-", result["results"]["write"]["text"])
